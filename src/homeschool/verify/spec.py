"""The grammar of specs: `math`, `length(most=400)`, `all_of(math, "checks.py:judge")`, `log_and(centre=0.5)`.

A spec is a name, options in brackets by name, and, for what composes others, specs. It is read with `ast` and never
evaluated: names, calls, text in quotes and plain values (numbers, text, true and false, lists and mappings of such) are
all there is, and anything else is refused in one sentence. Options are checked against the signature of what they are
for, so a wrong one names the nearest.
"""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import Any

from homeschool.core.config import build
from homeschool.core.errors import UsageError, nearest

LONGEST = 4000
"""Characters of a spec. A longer one is no spec, and Python's parser is recursive."""
_YAML = {"true": True, "false": False, "null": None, "none": None}
"""What people write in a config beside Python's own words."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One name with what stands in its brackets."""

    name: str
    parts: tuple[Spec | str, ...] = ()
    """Specs it is composed of; text is what stood in quotes, as `checks.py:judge`."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def parse(text: str, *, kind: str) -> Spec:
    """The spec that `text` is; `kind` is what it names, in words, for errors. Raises UsageError."""
    try:
        if len(text) > LONGEST:
            raise ValueError("it is too long")
        return _spec(ast.parse(text.strip(), mode="eval").body, kind)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"unknown {kind} {text[:80]!r} ({why})", hint=_hint(text)) from error


def checked(spec: Spec, function: Callable[..., Any]) -> dict[str, Any]:
    """The options of `spec` as `function` takes them by keyword; those not given are left to it. Raises UsageError.

    An unknown name is an error that names the nearest, a value of another type than the annotation one that names both.
    """
    taken = [each for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY]
    names = [each.name for each in taken]
    for name in spec.options:
        if not names:
            raise UsageError(f"{spec.name} takes no options, and {name!r} is given", hint=f"write `{spec.name}`")
        if name not in names:
            raise UsageError(f"unknown option {name!r} of {spec.name}", hint=nearest(name, names))
    for each in taken:
        if each.default is each.empty and each.name not in spec.options:
            raise UsageError(f"{spec.name} needs {each.name!r}", hint=f"write `{spec.name}({each.name}=...)`")
    hints = typing.get_type_hints(function)
    given = [(name, _readable(hints.get(name, Any))) for name in spec.options]
    try:
        built = build(make_dataclass("Options", given), spec.options, path=spec.name)
    except UsageError as error:
        raise UsageError(
            error.message, hint=f"write `{spec.name}({names[0]}=...)` with a value of that kind"
        ) from error
    return {name: getattr(built, name) for name in spec.options}


def _spec(node: ast.expr, kind: str) -> Spec:
    if isinstance(node, ast.Name):
        return Spec(node.id)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError(f"{ast.unparse(node)[:40]!r} is no name")
    options: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ValueError("options are written one by one, without **")
        options[keyword.arg] = _value(keyword.value)
    return Spec(node.func.id, tuple(_part(part, kind) for part in node.args), options)


def _part(node: ast.expr, kind: str) -> Spec | str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, (ast.Name, ast.Call)):
        return _spec(node, kind)
    raise ValueError(f"{ast.unparse(node)[:40]!r} is no {kind}: options are given by name")


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id.lower() in _YAML:
        return _YAML[node.id.lower()]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError) as error:
        raise ValueError(f"{ast.unparse(node)[:40]!r} is no plain value: put text in quotes") from error


def _readable(hint: Any) -> Any:
    """A type as the config reader knows it: it reads every sequence as a tuple."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, Sequence):
        return tuple[inner[0], ...]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_readable(each) for each in inner)]  # noqa: UP007 (the members are not known here)
    return hint


def _hint(text: str) -> str:
    if ":" in text:
        return 'put a file in quotes inside brackets: `all_of(math, "checks.py:judge")`'
    return "write NAME, NAME(option=value) or all_of(NAME, NAME)"
