"""Verifiers by name: a file of this folder (`math`), a person's own function (`checks.py:judge`), or an entry point."""

from __future__ import annotations

from homeschool.core.discover import Listing, implementations, load
from homeschool.core.errors import UsageError
from homeschool.core.protocols import Verifier
from homeschool.verify.user import load_user

_PACKAGE = "homeschool.verify"


def load_verifier(name: str) -> Verifier:
    """The verifier called `name`. Raises UsageError, naming the nearest, if there is none."""
    if ":" in name:
        return load_user(name)
    if name.endswith(".py"):
        raise UsageError(f"{name!r} names a file but no function in it", hint=f"write `{name}:judge`")
    if name == "tests":
        raise UsageError(
            "the verifier 'tests' would run model-written code, which needs the sandbox of a later version",
            hint="judge with a function of your own meanwhile: `file.py:function`",
        )
    return load(_PACKAGE, name, "verifier", kind="verifier")()


def list_verifiers() -> list[Listing]:
    """Name, summary and paper of every verifier that can be named."""
    return implementations(_PACKAGE, "verifier")
