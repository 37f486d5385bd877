"""A person's own code: `file.py:name` names a function in a file, which is imported here and nowhere else.

The file runs in this process, with all that this process may do. Whatever it raises, `sys.exit()` too, is a
UserCodeError: theirs, and so a record or a sentence, never our crash.
"""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from homeschool.core.errors import HomeschoolError, UsageError, nearest
from homeschool.core.identity import file_digest

_IMPORTING = threading.Lock()


class UserCodeError(HomeschoolError):
    """What the user's own code raised."""


def function_in(spec: str, *, kind: str, sketch: str) -> tuple[Callable[..., Any], Path]:
    """The function that `file.py:function` names, and its file. `kind` and `sketch` (`def judge(...):`) are for errors.

    Raises UsageError: no such file, a file that cannot be imported, no such function in it (naming the nearest), one
    that is not callable.
    """
    place, _, name = spec.rpartition(":")
    path = Path(place).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {place!r} for {kind} {spec!r}", hint="write `folder/file.py:function`")
    module = _imported(path)
    if not hasattr(module, name):
        functions = [value for value in vars(module).values() if inspect.isfunction(value)]
        own = [each.__name__ for each in functions if each.__module__ == module.__name__ and each.__name__[0] != "_"]
        hint = nearest(name, own) if own else f"write `{sketch}` in it"
        raise UsageError(f"{path.name} has no function {name!r}", hint=hint)
    function = getattr(module, name)
    if not callable(function):
        raise UsageError(
            f"{name!r} in {path.name} is {type(function).__name__}, not a function", hint=f"write `{sketch}` in it"
        )
    return function, path


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
            with users_code():
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
    frames = list(traceback.extract_tb(error.__traceback__)) if error else list[traceback.FrameSummary]()
    return next((frame.lineno or "?" for frame in reversed(frames) if frame.filename == str(path)), "?")


@contextmanager
def users_code() -> Generator[None]:
    """The one boundary: whatever a person's code raises, `sys.exit()` too, is theirs and becomes a record."""
    try:
        yield
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split()) if not isinstance(error, SyntaxError) else error.msg
        raise UserCodeError(text) from error
