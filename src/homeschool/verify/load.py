"""Verifiers by name: `math`, `length(most=400)`, `all_of(math, "checks.py:judge")`, `checks.py:judge`.

A name is a file of this folder or an entry point; what holds a colon is a person's own function in a file. The grammar
is that of `spec`: nothing is evaluated. Options given are part of the verifier's name, so that a verdict, and the
settings of a run, tell `length(most=400)` from `length(most=200)`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from homeschool.core.discover import Listing, implementations, load
from homeschool.core.errors import UsageError
from homeschool.core.identity import canonical, name_of
from homeschool.core.protocols import Verifier
from homeschool.verify.spec import Spec, checked, parse
from homeschool.verify.user import load_user

_PACKAGE = "homeschool.verify"
COMPOSED = ("all_of", "first_of")
"""Those that take verifiers; all others take options only."""
_SHOWN_OPTIONS = 60
"""Characters of options in a verifier's name; longer ones (a rubric) stand there as a hash."""


def load_verifier(name: str) -> Verifier:
    """The verifier that `name` describes. Raises UsageError, naming the nearest name or option, if there is none."""
    if ":" in name and not name.rstrip().endswith(")"):
        return load_user(name)
    if name.endswith(".py"):
        raise UsageError(f"{name!r} names a file but no function in it", hint=f"write `{name}:judge`")
    return _made(parse(name, kind="verifier"))


def list_verifiers() -> list[Listing]:
    """Name, summary and paper of every verifier that can be named."""
    return implementations(_PACKAGE, "verifier")


def is_grouped(verifier: Verifier) -> bool:
    """Whether its verdict on an answer depends on the other answers to the same row (`grouped = True` on its class)."""
    return bool(getattr(verifier, "grouped", False))


def _made(spec: Spec) -> Verifier:
    factory: Any = load(_PACKAGE, spec.name, "verifier", kind="verifier")
    if spec.name in COMPOSED:
        if not spec.parts:
            raise UsageError(f"{spec.name} needs verifiers", hint=f"write for example `{spec.name}(exact, math)`")
        parts = [load_verifier(part) if isinstance(part, str) else _made(part) for part in spec.parts]
        return factory(*parts, **checked(spec, factory))
    if spec.parts:
        raise UsageError(f"{spec.name} takes options by name only", hint=f"write `{spec.name}(option=value)`")
    return _named(factory(**checked(spec, factory)), spec)


def _named(verifier: Verifier, spec: Spec) -> Verifier:
    """The verifier with its options in its name, where its name is a field that can be set."""
    if not spec.options or not dataclasses.is_dataclass(verifier):
        return verifier
    if not any(each.name == "name" and each.init for each in dataclasses.fields(verifier)):
        return verifier
    text = ", ".join(f"{option}={canonical(value)}" for option, value in sorted(spec.options.items()))
    told = text if len(text) <= _SHOWN_OPTIONS else name_of(text)[:12]
    renamed: Any = dataclasses.replace(verifier, name=f"{verifier.name}({told})")  # pyright: ignore[reportArgumentType]
    return renamed
