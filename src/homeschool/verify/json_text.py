"""JSON as a verifier reads it: one value, each name once, numbers that are numbers, nested no deeper than a check goes.

Python's own reader lets through what RFC 8259 does not (`NaN`, `Infinity`), what two readers read differently (a name
that stands twice), and `1e999`, which it turns into infinity. An answer that says two things wins with neither.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

LONGEST = 1_000_000
"""Characters of an answer that is read."""

DEEPEST = 64
"""Brackets that may be open at once."""

_FENCED = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(.*?)\r?\n?```", re.DOTALL)


class NotJsonError(ValueError):
    """`reason`: `not JSON`, `duplicate key`, `nested too deeply`, `too long` or `empty answer`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


def read_json(text: str) -> Any:
    """The value of a JSON text, within one Markdown fence or none. Raises NotJsonError."""
    if len(text) > LONGEST:
        raise NotJsonError("too long", f"{len(text)} characters")
    text = text.strip(" \t\r\n")
    fenced = _FENCED.fullmatch(text)
    if not text or (fenced and not fenced[1].strip()):
        raise NotJsonError("empty answer")
    try:
        value = json.loads(
            fenced[1] if fenced else text,
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except NotJsonError:
        raise
    except RecursionError:
        raise NotJsonError("nested too deeply") from None
    except ValueError as error:
        raise NotJsonError("not JSON", str(error)) from None
    if depth(value) > DEEPEST:
        raise NotJsonError("nested too deeply", f"more than {DEEPEST} levels")
    return value


def depth(value: Any) -> int:
    """How many brackets are open at the deepest place; 0 for a plain value."""
    level = 0
    layer = [value] if isinstance(value, dict | list) else []
    while layer:
        level += 1
        inner = [each for whole in layer for each in (whole.values() if isinstance(whole, dict) else whole)]
        layer = [each for each in inner if isinstance(each, dict | list)]
    return level


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotJsonError("duplicate key", f"{name!r} stands twice")
        found[name] = value
    return found


def _no_constant(name: str) -> None:
    raise NotJsonError("not JSON", f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotJsonError("not JSON", f"{text[:40]} is beyond every double")
    return value
