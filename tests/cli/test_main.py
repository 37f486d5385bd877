"""The front door: finding verbs, one line of JSON on stdout, exit codes, errors as one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeschool.cli import main
from homeschool.core.errors import RefusedError, StoppedError, UsageError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}

Install = Callable[[Callable[[Any], dict[str, Any]]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a verb `probe` with the given `run` behind the door."""

    def put(run: Callable[[Any], dict[str, Any]]) -> None:
        module = types.ModuleType("homeschool.cli.probe")
        vars(module).update(
            add=lambda parser: parser.add_argument("words", nargs="*"),
            run=run,
            say=lambda result: f"said {result['x']}",
        )
        monkeypatch.setitem(sys.modules, "homeschool.cli.probe", module)
        monkeypatch.setattr(main, "verbs", lambda: {"probe": "A probe", "prove": "Another"})

    return put


def raiser(error: BaseException) -> Callable[[Any], dict[str, Any]]:
    def run(args: Any) -> dict[str, Any]:
        raise error

    return run


def test_help_names_every_verb_and_its_summary() -> None:
    code, text = main.command(["--help"])
    assert code == 0
    for verb, summary in main.verbs().items():
        assert f"  {verb} " in text
        assert summary in text
        assert len(summary) > 10


def test_every_verb_has_what_a_verb_needs() -> None:
    import importlib

    for verb in main.verbs():
        module = importlib.import_module(f"homeschool.cli.{verb}")
        assert {"add", "run", "say"} <= set(vars(module)), verb


def test_version() -> None:
    from homeschool import __version__

    assert main.command(["--version"]) == (0, f"homeschool {__version__}\n")


def test_json_is_one_line_and_words_are_words(install: Install) -> None:
    install(lambda args: {"x": args.words, "nan": float("nan"), "path": Path("a")})
    code, text = main.command(["probe", "a", "--json", "b"])
    assert code == 0
    assert text.count("\n") == 1
    assert json.loads(text) == {"x": ["a", "b"], "nan": None, "path": "a"}
    assert main.command(["probe", "a"]) == (0, "said ['a']\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "no verb"),
        (["--json"], "no verb"),
        (["probee"], "did you mean 'probe'"),
        (["probe", "--jsn"], "did you mean '--json'"),
    ],
)
def test_wrong_usage_is_one_sentence(
    install: Install, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    install(lambda args: {"x": 1})
    assert main.command(argv) == (2, "")
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("no such file: x", hint="give one"), 2, "no such file: x: give one"),
        (StoppedError("the loss is NaN"), 1, "the loss is NaN"),
        (KeyboardInterrupt(), 130, "the same command goes on"),
        (OSError(28, "No space left on device", "rows.parquet"), 1, "No space left on device (rows.parquet)"),
        (ValueError("two\nlines"), 1, "ValueError: two lines"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    install: Install, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    install(raiser(error))
    assert main.command(["probe", "--json"]) == (code, "")
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_debug_lets_the_traceback_through(install: Install) -> None:
    install(raiser(UsageError("no")))
    with pytest.raises(UsageError):
        main.command(["probe", "--debug"])


def test_refused_is_3_and_prints_its_json(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install(lambda args: {"x": 1, "refused": "nothing was gained"})
    assert main.command(["probe", "--json"]) == (3, '{"x": 1, "refused": "nothing was gained"}\n')
    install(raiser(RefusedError("it does not fit")))
    assert main.command(["probe", "--json"]) == (3, '{"refused": "it does not fit"}\n')
    assert "it does not fit" in capsys.readouterr().err


NOISY = """
import os, subprocess, sys, types
from homeschool.cli import main
def run(args):
    print("python noise")
    os.write(1, b"descriptor noise\\n")
    subprocess.run(["echo", "child noise"], check=True)
    return {"x": 1}
module = types.ModuleType("homeschool.cli.probe")
vars(module).update(add=lambda parser: None, run=run, say=str)
sys.modules["homeschool.cli.probe"] = module
main.verbs = lambda: {"probe": "A probe"}
sys.argv = ["homeschool", "probe", "--json"]
main.main()
"""


def test_stdout_belongs_to_the_result() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stdout == '{"x": 1}\n'
    assert all(noise in done.stderr for noise in ("python noise", "descriptor noise", "child noise"))


def test_a_closed_pipe_is_no_error() -> None:
    script = f"{sys.executable} -m homeschool --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_process_exits_with_the_code() -> None:
    command = [sys.executable, "-m", "homeschool", "improv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did you mean" in done.stderr or "known:" in done.stderr
