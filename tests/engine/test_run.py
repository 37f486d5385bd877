from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.records import Completion
from homeschool.engine import run as engine_run
from homeschool.engine.run import Run, read_run

ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
SETTINGS = {"model": "nano", "seed": 3, "train": {"objective": "sft", "lora": 16}}


def test_a_run_records_itself_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    with Run.open(out, kind="improve", settings=SETTINGS) as run:
        first = (out / "run.json").read_bytes()
        run.answers.commit([Completion("4", "stop", key="k")], max_tokens=8)
        assert run.seed == 3
    with Run.open(out, kind="improve", settings=SETTINGS) as run:
        assert set(run.answers.lookup(["k"], max_tokens=8)) == {"k"}
    assert (out / "run.json").read_bytes() == first
    record = read_run(out)
    assert record["kind"] == "improve"
    assert record["settings"] == SETTINGS
    assert {"homeschool", "python", "torch"} <= set(record["versions"])
    assert len(record["digest"]) == 24


def test_opening_a_run_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from homeschool.engine.run import Run\n"
        "Run.open(pathlib.Path(sys.argv[1]), kind='k', settings={}).close()\n"
        "print(sorted({'torch', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=True, env=ENV
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("improve", {**SETTINGS, "train": {"objective": "sft", "lora": 8}}, "train.lora was 16 and is 8:"),
        ("improve", {**SETTINGS, "rounds": 5}, "rounds was not set and is 5:"),
        ("generate", SETTINGS, "kind was 'improve' and is 'generate':"),
        ("improve", {"a": 1, "b": 2, "c": 3, "d": 4}, "and 5 more: choose another --out"),
    ],
)
def test_the_folder_of_another_run_is_refused_and_the_difference_named(
    kind: str, settings: dict[str, object], words: str, tmp_path: Path
) -> None:
    Run.open(tmp_path / "run", kind="improve", settings=SETTINGS).close()
    with pytest.raises(UsageError, match="holds another run") as raised:
        Run.open(tmp_path / "run", kind=kind, settings=settings)
    assert words in str(raised.value)
    assert "--out" in raised.value.hint
    Run.open(tmp_path / "run", kind="improve", settings=SETTINGS).close()


def test_what_is_no_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"not a run and not empty .it holds 'thesis.txt'"):
        Run.open(tmp_path, kind="improve", settings={})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError, match="is a file"):
        Run.open(tmp_path / "thesis.txt", kind="improve", settings={})
    with pytest.raises(UsageError, match="is not a run"):
        read_run(tmp_path)


def test_a_kill_before_run_json_was_written_leaves_a_folder_that_opens(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("99999\n")
    (tmp_path / "run.json.part").write_text('{"kind": "imp')
    Run.open(tmp_path, kind="improve", settings={}).close()
    assert read_run(tmp_path)["seed"] == 0


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(HomeschoolError, match=r"run.json is damaged"):
        Run.open(tmp_path, kind="improve", settings={})


HOLD = (
    "import sys, pathlib\n"
    "from homeschool.engine.run import Run\n"
    "run = Run.open(pathlib.Path(sys.argv[1]), kind='k', settings={})\n"
    "print('open', flush=True)\n"
    "sys.stdin.read()\n"
)


def test_two_processes_cannot_write_one_run_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENV
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(UsageError, match=f"process {holder.pid} is writing the run"):
        Run.open(tmp_path, kind="k", settings={})
    holder.kill()
    holder.wait()
    Run.open(tmp_path, kind="k", settings={}).close()


def test_a_probed_fact_is_measured_once(tmp_path: Path) -> None:
    made: list[int] = []

    def measure() -> tuple[int, str]:
        made.append(1)
        return (16, "bf16")

    for _ in range(2):
        with Run.open(tmp_path, kind="k", settings={}) as run:
            assert run.probed("micro_batch", measure) == [16, "bf16"]
            assert run.probed("nothing", lambda: None) is None
    assert made == [1]
    assert read_run(tmp_path)["probed"] == {"micro_batch": [16, "bf16"], "nothing": None}


def test_json_files_are_saved_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run.open(tmp_path, kind="k", settings={}) as run:
        assert run.load_json("rounds/2/gate.json") is None
        run.save_json("rounds/2/gate.json", {"promoted": True, "gain": 0.25, "levels": (1, 2)})
        assert run.load_json("rounds/2/gate.json") == {"promoted": True, "gain": 0.25, "levels": [1, 2]}
        assert run.path("rows", 3).parent.is_dir()

        def full(descriptor: int) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoppedError, match="disk is full"):
            run.save_json("rounds/2/gate.json", {"promoted": False})
        assert run.load_json("rounds/2/gate.json")["promoted"] is True
        (tmp_path / "broken.json").write_text("{")
        with pytest.raises(HomeschoolError, match=r"broken.json is damaged"):
            run.load_json("broken.json")


def test_the_digest_is_of_what_was_set(tmp_path: Path) -> None:
    settings = {"b": 1, "a": (1, 2), "path": "x"}
    Run.open(tmp_path, kind="k", settings=settings).close()
    assert json.loads((tmp_path / engine_run.RECORD).read_text())["settings"]["a"] == [1, 2]
    Run.open(tmp_path, kind="k", settings={"path": "x", "a": [1, 2], "b": 1}).close()
