"""A person's own verifier: `checks.py:judge` names a function `judge(answer, row)` in a file.

The function gets the answer's text and the row's columns (a copy) and says True, False or a Verdict; it may be async.
Anything else it returns, and anything it raises, is `Broken`: its fault, not the answer's, so the run counts it and
stops past a threshold instead of learning from it. The file runs in this process, with all that this process may do:
do not let it execute model-written code. A function that never returns holds up the run.

The verifier's name holds the file's digest, so an edited file is another verifier.
"""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from homeschool.core.errors import HomeschoolError, UsageError, nearest
from homeschool.core.identity import file_digest
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown

_IMPORTING = threading.Lock()


class UserCodeError(HomeschoolError):
    """What the user's own code raised."""


@dataclass(frozen=True, slots=True)
class UserVerifier:
    name: str
    function: Callable[[str, dict[str, Any]], Any]

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        return [await self._judge(row, answer) for answer in answers]

    async def _judge(self, row: Row, answer: str) -> Verdict:
        try:
            with _users_code():
                said = self.function(answer, dict(row.columns))
                if inspect.isawaitable(said):
                    said = await cast("Awaitable[Any]", said)
        except UserCodeError as error:
            kind = type(error.__cause__).__name__
            return Broken(reason=f"raised {kind}", evidence=shown(error.message), verifier=self.name)
        if isinstance(said, (Pass, Fail, Abstain, Broken)):
            return type(said)(said.scores, said.reason, said.evidence, said.verifier or self.name)
        if said is True:
            return Pass({"correct": 1.0}, verifier=self.name)
        if said is False:
            return Fail({"correct": 0.0}, "wrong answer", verifier=self.name)
        evidence = f"returned {type(said).__name__}, not True, False or a Verdict"
        return Broken(reason="wrong type", evidence=evidence, verifier=self.name)


def load_user(spec: str) -> UserVerifier:
    """The verifier `file.py:function`.

    Raises UsageError: no such file, a file that cannot be imported, no such function in it (naming the nearest), one
    that is not callable or does not take an answer and a row.
    """
    place, _, function_name = spec.rpartition(":")
    path = Path(place).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {place!r} for verifier {spec!r}", hint="write `folder/file.py:function`")
    module = _imported(path)
    if not hasattr(module, function_name):
        own = [name for name, value in vars(module).items() if inspect.isfunction(value) and not name.startswith("_")]
        hint = nearest(function_name, own) if own else f"write `def {function_name or 'judge'}(answer, row):` in it"
        raise UsageError(f"{path.name} has no function {function_name!r}", hint=hint)
    function = getattr(module, function_name)
    if not callable(function):
        raise UsageError(
            f"{function_name!r} in {path.name} is {type(function).__name__}, not a function",
            hint=f"write `def {function_name}(answer, row):` that returns True or False",
        )
    _check_signature(function, f"{path.name}:{function_name}")
    return UserVerifier(f"{path.name}:{function_name}@{file_digest(path)[:12]}", function)


def _check_signature(function: Callable[..., Any], name: str) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none: calling will tell
        return
    try:
        signature.bind("answer", {})
    except TypeError:
        raise UsageError(
            f"{name}{signature} cannot be called with an answer and a row", hint="write `def judge(answer, row):`"
        ) from None


def _imported(path: Path) -> ModuleType:
    """The file as a module of a name no one else has, with its folder on `sys.path` while it is imported."""
    # dataclasses look their module up in sys.modules, so it must be there.
    module = ModuleType(f"homeschool_user_{path.stem}_{file_digest(path)[:12]}")
    module.__file__ = str(path)
    folder = str(path.resolve().parent)
    with _IMPORTING:
        sys.modules[module.__name__] = module
        sys.path.insert(0, folder)
        try:
            with _users_code():
                exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
        except UserCodeError as error:
            del sys.modules[module.__name__]
            line, kind = _line_in(path, error.__cause__), type(error.__cause__).__name__
            said = f": {error.message}" if error.message else ""
            message = f"{path.name} cannot be imported ({kind}{said}, line {line})"
            raise UsageError(message, hint=f"run `python {path}` to see it fail") from error
        finally:
            sys.path.remove(folder)
    return module


def _line_in(path: Path, error: BaseException | None) -> int | str:
    """The last line of this file that was at work when `error` was raised."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or "?"
    frames = traceback.extract_tb(error.__traceback__) if error else []
    return next((frame.lineno or "?" for frame in reversed(frames) if frame.filename == str(path)), "?")


@contextmanager
def _users_code() -> Iterator[None]:
    """The one boundary: whatever a person's code raises, `sys.exit()` too, is theirs and becomes a record."""
    try:
        yield
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split()) if not isinstance(error, SyntaxError) else error.msg
        raise UserCodeError(text) from error
