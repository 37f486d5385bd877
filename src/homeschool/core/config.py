"""Plain dictionaries to frozen dataclasses, strictly: an unknown key names the nearest, a wrong type names both.

YAML is read at the edge (`homeschool.cli.settings`); here is only the dictionary, so this file needs no package.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from homeschool.core.errors import UsageError, unknown

T = TypeVar("T")


def build(kind: type[T], values: Mapping[str, Any], *, path: str = "") -> T:
    """An instance of the dataclass `kind` from `values`; nested dataclasses are built from nested dictionaries.

    Raises UsageError for an unknown key (naming the nearest), a missing one, and a value of the wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in fields:
            raise unknown("key", _join(path, str(key)), [_join(path, name) for name in fields])
    built: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            built[name] = _convert(hints[name], values[name], _join(path, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UsageError(f"the config has no {_join(path, name)!r}", hint=f"add `{_join(path, name)}: ...`")
    return kind(**built)


def override(values: Mapping[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """`values` with the key at a dotted path (`budget.hours`) set. Raises UsageError if the path crosses a value."""
    head, _, rest = dotted.partition(".")
    merged = dict(values)
    if not rest:
        merged[head] = value
        return merged
    inner = merged.get(head, {})
    if not isinstance(inner, Mapping):
        raise UsageError(f"{dotted!r} goes through {head!r}, which is {inner!r}", hint=f"set {head} to a mapping first")
    merged[head] = override(typing.cast("Mapping[str, Any]", inner), rest, value)
    return merged


def plain(value: Any) -> Any:
    """A config as dictionaries and lists again, for run.json and for hashing."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in typing.cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in typing.cast("list[Any]", value)]
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _convert(hint: Any, value: Any, path: str) -> Any:
    """`value` as `hint` wants it, or UsageError."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        choices = [arg for arg in args if arg is not type(None)]
        for index, choice in enumerate(choices):
            try:
                return _convert(choice, value, path)
            except UsageError:
                if index == len(choices) - 1:
                    raise
    if origin is typing.Literal:
        if value not in args:
            raise unknown(path, str(value), [str(arg) for arg in args])
        return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise _wrong(path, "a mapping", value)
        return build(hint, typing.cast("Mapping[str, Any]", value), path=path)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong(path, "a list", value)
        items = typing.cast("list[Any]", value)
        return tuple(_convert(args[0], item, f"{path}[{index}]") for index, item in enumerate(items))
    if origin in (dict, Mapping) or hint is dict:
        if not isinstance(value, Mapping):
            raise _wrong(path, "a mapping", value)
        inner = args[1] if len(args) == 2 else Any
        pairs = typing.cast("Mapping[str, Any]", value).items()
        return {str(key): _convert(inner, item, _join(path, str(key))) for key, item in pairs}
    return _scalar(hint, value, path)


def _scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML reads 1e-3 as text (it wants 1.0e-3); everybody means the number.
        try:
            return float(value)
        except ValueError:
            raise _wrong(path, "a number", value) from None
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if (isinstance(value, bool) and hint is not bool) or not isinstance(value, hint):
        raise _wrong(path, wanted.get(hint, getattr(hint, "__name__", str(hint))), value)
    return value


def _wrong(path: str, wanted: str, value: Any) -> UsageError:
    return UsageError(f"{path} must be {wanted}, not {value!r}", hint=f"write `{path}: ...` with {wanted}")
