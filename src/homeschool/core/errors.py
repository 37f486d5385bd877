"""Every error a user can meet, each one sentence: what happened, with the value, and what to type next.

Exit codes are decided here and nowhere else: 1 the run failed, 2 wrong usage or config, 3 refused (does not fit,
not promoted under `--require-gain`, unsafe). The command line prints the sentence and no traceback (`--debug` does).

Three things are *not* errors. A wrong answer is a `Fail`; a fault of our own verifier is a `Broken`; a row that
leaves the stream is a `Dropped`. All three are records with a reason, and the run goes on.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable


class HomeschoolError(Exception):
    """A failure that a person must act on. `hint` is what to type or change next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UsageError(HomeschoolError):
    """Wrong arguments, config or input files: nothing was started."""

    exit_code = 2


class RefusedError(HomeschoolError):
    """We could, but should not: it does not fit, gained nothing under `--require-gain`, or is unsafe."""

    exit_code = 3


class StoppedError(HomeschoolError):
    """A run stopped itself at a safe point (broken verifier, diverged loss, full disk); it can be resumed."""


class UnanswerableError(HomeschoolError):
    """A model says that it can never answer this request (too long a prompt, say). Costs the row, not the run."""


class UnansweredError(HomeschoolError):
    """No answer came, however often the request was sent. The row stays unfinished: a later run asks again.

    `kind` is a short phrase that can be counted: `timeout`, `server error 500`, `connection cut`.
    """

    def __init__(self, message: str, *, hint: str = "", kind: str = "") -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint of an unknown name: the nearest known one, or the list."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error of a name nobody has: `unknown recipe 'rejection': did you mean 'rejection_sampling'?`"""
    return UsageError(f"unknown {kind} {name!r}", hint=nearest(name, known))


def need(module: str, *, extra: str, for_: str) -> None:
    """Raise UsageError, before any work, if an optional package is missing."""
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"{for_} needs {module}", hint=f"pip install 'homeschool[{extra}]'")
