"""The command `homeschool VERB`: finds the verb by its file name, runs it, and owns stdout, errors and exit codes.

A verb is a file beside this one, with

- a docstring whose first line is its summary in `homeschool --help`,
- `add(parser)`: declares its arguments,
- `run(args) -> dict`: calls the library; what it returns is the JSON object. A result with the key `refused` (one
  sentence) means exit 3: done as far as it may be, and refused.
- `say(result) -> str`: the same result in words.

Nothing but this file writes to stdout, so `--json` is one line whatever a library prints; everything else goes to
stderr. Exit 0 done; 1 the run failed; 2 wrong usage or config; 3 refused; 130 stopped by Ctrl-C.

Start-up is a promise (under 0.2 s): no verb is imported before it is the one that runs, and `--help` reads only the
first line of each file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from homeschool.core.errors import HomeschoolError, RefusedError, UsageError, nearest, unknown

NOT_VERBS = ("__init__", "audit", "inputs", "job", "main", "settings")


def main() -> None:
    """The console script: takes stdout away from everybody else, runs the command, writes its result, exits."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    code, text = command(sys.argv[1:])
    try:
        with os.fdopen(stdout, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(text)
    except BrokenPipeError:
        pass  # The reader (`| head`) has seen enough; what was asked for is done all the same.
    sys.exit(code)


def command(argv: Sequence[str]) -> tuple[int, str]:
    """Run one command line: its exit code and what belongs on stdout. Words and errors go to stderr."""
    debug = "--debug" in argv
    try:
        return _command(argv)
    except HomeschoolError as error:
        if debug:
            raise
        _complain(str(error))
        text = _json({"refused": error.message}) if isinstance(error, RefusedError) and "--json" in argv else ""
        return error.exit_code, text
    except KeyboardInterrupt:
        if debug:
            raise
        _complain("stopped by Ctrl-C: nothing is lost, the same command goes on from here")
        return 130, ""
    except Exception as error:  # The one boundary: whatever we failed to foresee is still one sentence.
        if debug:
            raise
        what = error.strerror or str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        _complain(f"{' '.join(what.split())}{where}: the same command goes on from here, with --debug it says more")
        return 1, ""


def verbs() -> dict[str, str]:
    """Every verb and its summary: the first line of its docstring, read as text."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem not in NOT_VERBS:
            with path.open(encoding="utf-8") as file:
                found[path.stem] = file.readline().strip().strip('"').rstrip(".")
    return found


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are our one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"type `{self.prog} --help`")


def _command(argv: Sequence[str]) -> tuple[int, str]:
    verb = argv[0] if argv else ""
    if verb in ("-h", "--help"):
        return 0, _help()
    if verb == "--version":
        from homeschool import __version__

        return 0, f"homeschool {__version__}\n"
    known = verbs()
    if not verb or verb.startswith("-"):
        raise UsageError("no verb was given", hint=f"type `homeschool VERB`, one of {', '.join(known)}")
    if verb not in known:
        raise unknown("verb", verb, known)
    module = importlib.import_module(f"homeschool.cli.{verb}")
    parser = Parser(prog=f"homeschool {verb}", description=known[verb] + ".", add_help=False, allow_abbrev=False)
    module.add(parser)
    general = parser.add_argument_group("everywhere")
    general.add_argument("--json", action="store_true", help="one line of JSON on stdout, words on stderr")
    general.add_argument("--debug", action="store_true", help="a traceback instead of a sentence")
    general.add_argument(
        "--sandbox", metavar="KIND", help="bubblewrap, namespaces or none (default: the best there is)"
    )
    general.add_argument("-h", "--help", action="store_true", help="show this text")
    if "-h" in argv or "--help" in argv:
        return 0, parser.format_help()
    args = _parse(parser, argv[1:])
    if args.sandbox is not None:
        _choose_sandbox(args.sandbox)
    result: dict[str, Any] = module.run(args)
    text = _json(result) if args.json else module.say(result).rstrip("\n") + "\n"
    if "refused" in result:
        _complain(result["refused"])
        return RefusedError.exit_code, text
    return 0, text


def _choose_sandbox(kind: str) -> None:
    """For this process and all it starts (Ray's workers too). Raises UsageError or RefusedError if it cannot be had."""
    from homeschool.sandbox.isolation import VARIABLE, chosen

    chosen(kind)
    os.environ[VARIABLE] = kind
    if kind == "none":
        _complain(
            "no sandbox: programs that a model wrote run with all that this user may do, and every verdict says so"
        )


def _parse(parser: Parser, argv: Sequence[str]) -> argparse.Namespace:
    """Arguments in any order (`key=value` may follow options); an unknown option names the nearest."""
    args, rest = parser.parse_known_intermixed_args(argv)
    if rest:
        options = [option for action in parser._actions for option in action.option_strings]  # no public accessor
        near = nearest(rest[0], options) if rest[0].startswith("-") else f"type `{parser.prog} --help`"
        raise UsageError(f"{parser.prog} has no argument {rest[0]!r}", hint=near)
    return args


def _help() -> str:
    known = verbs()
    width = max(map(len, known))
    lines = [f"  {name:{width}}  {summary}" for name, summary in known.items()]
    return "\n".join(
        [
            "usage: homeschool VERB [ARGS] [--json]",
            "",
            "Teach a language model at home: it writes its own lessons, a verifier checks every one,",
            "and it learns only from what passed.",
            "",
            *lines,
            "",
            "`homeschool VERB --help` says more. Start with `homeschool quickstart`.",
            "",
        ]
    )


def _json(result: dict[str, Any]) -> str:
    """One line; what JSON cannot say (NaN, infinity) becomes null."""
    return json.dumps(_finite(result), ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value


def _complain(sentence: str) -> None:
    print(f"homeschool: {sentence}", file=sys.stderr, flush=True)
