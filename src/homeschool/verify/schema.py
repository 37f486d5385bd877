"""`schema`: the answer is one JSON value that fits the JSON Schema of its row.

Needs column `schema`: a JSON Schema, or the JSON text of one (write text in Parquet, whose columns of mappings fill
gaps with nulls). Draft 2020-12, unless `$schema` names another. The whole answer is JSON; one Markdown fence around
it is taken off, and nothing else, so that words before or after it are a Fail.

Fail: `empty answer`, `not JSON` (NaN, Infinity and 1e999 are not), `duplicate key`, `nested too deeply` (over 64),
`too long` (over a million characters), `does not fit the schema`, `too much to check` and `pattern took too long`.
Broken: `no schema`, `bad schema`: not valid against its draft, a `$ref` that leads nowhere or elsewhere (nothing is
ever fetched) or round in a circle, a pattern that cannot be read, a format that nobody checks (see `formats`).

Stricter than the library jsonschema, on purpose: formats are checked; patterns are read as ECMA 262 and may not run
for ever (see `patterns`); `multipleOf` is exact (0.07 is a multiple of 0.01); a check ends after `STEPS` keywords,
however the schema branches. Not supported, and Broken: `patternProperties` beside `unevaluatedProperties`. Measured:
see `docs/verifiers.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.formats import ANNOTATIONS, FORMATS
from homeschool.verify.json_text import NotJsonError, read_json
from homeschool.verify.patterns import PatternTimeoutError, compiled, found

STEPS = 100_000
"""Keywords that are applied to one answer before it is given up: some seconds."""

_LEFT: ContextVar[list[int]] = ContextVar("steps left of the check that is running")
_DATA = ("enum", "const", "default", "examples")
"""Keywords that hold values, in which nothing is a schema."""

_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords that hold schemas by names, which are no keywords."""

_PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0},
        "mail": {"type": "string", "format": "email"},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "uniqueItems": True},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
GOLD: list[tuple[dict[str, Any], str]] = [
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7}'),
    ({"schema": _PERSON}, '```json\n{"name": "Ann", "age": 7, "mail": "ann@home.org", "tags": ["a", "b"]}\n```'),
    ({"schema": json.dumps(_PERSON)}, ' {"age": 7.0, "name": "Änn"}\n'),
    ({"schema": {"type": "number", "multipleOf": 0.01}}, "0.07"),
    ({"schema": {"$ref": "#/$defs/tree", "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}}}}}, "[[], [[]]]"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"schema": _PERSON}, '{"name": "Ann"}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": "7"}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7, "age": 8}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": NaN}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7, "mail": "ann"}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7, "tags": ["a\\n"]}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7, "tags": ["a", "a"]}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7, "extra": 1}'),
    ({"schema": _PERSON}, 'Here it is: {"name": "Ann", "age": 7}'),
    ({"schema": _PERSON}, '{"name": "Ann", "age": 7'),
    ({"schema": _PERSON}, ""),
]


class _TooMuchError(Exception):
    """A check took too many steps."""


@dataclass(frozen=True, slots=True)
class Schema:
    name: str = "schema@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        stated = row.get("schema")
        if not isinstance(stated, str | Mapping | bool):
            broken = Broken(reason="no schema", evidence=shown(repr(stated)), verifier=self.name)
            return [broken for _ in answers]
        try:
            check = prepared(stated if isinstance(stated, str) else json.dumps(stated))
        except (TypeError, ValueError) as error:
            return [self._broken(error) for _ in answers]
        return [self._judge(check, answer) for answer in answers]

    def _judge(self, check: Callable[[Any], str], answer: str) -> Verdict:
        from referencing.exceptions import Unresolvable

        try:
            fault = check(read_json(answer))
        except NotJsonError as error:
            return self._fail(error.reason, str(error) if str(error) != error.reason else shown(answer))
        except _TooMuchError:
            return self._fail("too much to check", f"more than {STEPS} steps")
        except PatternTimeoutError as error:
            return self._fail("pattern took too long", str(error))
        except Unresolvable as error:
            return self._broken(error)
        except RecursionError:
            # Answers are no deeper than the stack: it is the schema that leads back to itself.
            return self._broken(ValueError("a $ref leads round in a circle"))
        return self._fail("does not fit the schema", fault) if fault else Pass({"correct": 1.0}, verifier=self.name)

    def _fail(self, reason: str, evidence: str) -> Fail:
        return Fail({"correct": 0.0}, reason, shown(evidence), self.name)

    def _broken(self, error: Exception) -> Broken:
        return Broken(reason="bad schema", evidence=shown(str(error)), verifier=self.name)


def verifier() -> Schema:
    """The verifier `schema`."""
    return Schema()


@lru_cache(maxsize=256)
def prepared(text: str) -> Callable[[Any], str]:
    """The check of a schema: what is wrong with a value, or an empty text. Raises ValueError for a bad schema."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(schema, Mapping | bool):
        raise ValueError(f"{text[:80]} is not a JSON Schema")
    dialect = schema.get("$schema") if isinstance(schema, Mapping) else None
    find: Any = validator_for  # its stubs know no None
    kind = find(schema, default=None if dialect else Draft202012Validator)
    if kind is None:
        raise ValueError(f"unknown draft {dialect!r}")
    try:
        kind.check_schema(schema, format_checker=None)
    except (SchemaError, RecursionError) as error:
        raise ValueError(getattr(error, "message", "nested too deeply")) from None
    within = list(_schemas(schema))
    known = {inner["$id"] for inner in within if isinstance(inner.get("$id"), str)} | set(REGISTRY)
    for inner in within:
        _refuse(inner, bases={uri.partition("#")[0] for uri in known})
    if any("unevaluatedProperties" in inner for inner in within) and any("patternProperties" in s for s in within):
        raise ValueError("patternProperties beside unevaluatedProperties is not supported")
    # An explicit registry: without one, jsonschema would fetch what it does not know.
    validator = _bounded(kind)(schema, registry=REGISTRY, format_checker=_format_checker())

    def check(value: Any) -> str:
        token = _LEFT.set([STEPS])
        try:
            for error in validator.iter_errors(value):
                return f"{error.json_path}: {error.message}"
            return ""
        finally:
            _LEFT.reset(token)

    return check


def _schemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all within it."""
    if isinstance(schema, Mapping):
        yield schema
        for name, inner in schema.items():
            if name in _NAMED and isinstance(inner, Mapping):
                yield from _schemas(list(inner.values()))
            elif name not in _DATA:
                yield from _schemas(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _schemas(inner)


def _refuse(schema: Mapping[str, Any], *, bases: set[str]) -> None:
    """Raise ValueError for what is not fetched, cannot be run, or would not be checked."""
    for name in ("$ref", "$dynamicRef", "$recursiveRef"):
        target = schema.get(name)
        if (
            isinstance(target, str)
            and re.match(r"[a-z][a-z0-9+.-]*:", target)
            and target.partition("#")[0] not in bases
        ):
            raise ValueError(f"{name} {target!r} is elsewhere, and nothing is fetched")
    patterns = schema.get("patternProperties")
    for pattern in [*(patterns if isinstance(patterns, Mapping) else ()), schema.get("pattern")]:
        if isinstance(pattern, str):
            compiled(pattern)
    form = schema.get("format")
    if isinstance(form, str) and form not in FORMATS and form not in ANNOTATIONS:
        raise ValueError(f"format {form!r} would not be checked (known: {', '.join(FORMATS)})")


def _format_checker() -> Any:
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=())
    for name, holds in FORMATS.items():
        # Formats are of texts; a value of another type is `type`'s business.
        checker.checks(name)(lambda value, holds=holds: not isinstance(value, str) or holds(value))
    return checker


@lru_cache(maxsize=8)
def _bounded(kind: Any) -> Any:
    """A draft's validator that counts its steps, runs patterns within limits and divides exactly."""
    from jsonschema.validators import extend

    ours = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
        "uniqueItems": _unique_items,
    }
    keywords = {name: ours.get(name, check) for name, check in kind.VALIDATORS.items()}
    return extend(kind, {name: _counted(check) for name, check in keywords.items()})


def _counted(check: Callable[..., Any]) -> Callable[..., Any]:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        left = _LEFT.get()
        left[0] -= 1
        if left[0] < 0:
            raise _TooMuchError
        return check(validator, value, instance, schema)

    return counted


# One function a keyword, as jsonschema calls them: (validator, the keyword's value, the instance, the schema around).


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not found(pattern, instance):
        yield _error(f"{shown(instance, limit=80)!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if found(pattern, name):
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in named or any(found(pattern, name) for pattern in patterns):
            continue
        if inner is False:
            yield _error(f"{shown(name, limit=80)!r} is not among the properties")
        else:
            yield from validator.descend(value, inner, path=name)


def _multiple_of(validator: Any, step: float, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "number"):
        # Decimals keep what was written; a double's neighbours differ in its 17th digit.
        quotient = Fraction(Decimal(repr(instance))) / Fraction(Decimal(repr(step)))
        if quotient.denominator != 1:
            yield _error(f"{shown(repr(instance), limit=80)} is not a multiple of {step}")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[Any]:
    if wanted and validator.is_type(instance, "array") and len({_key(item) for item in instance}) < len(instance):
        yield _error("an item stands twice")


def _key(value: Any) -> Any:
    """A hashable that is equal for equal JSON values: 1 is 1.0, and not true."""
    if isinstance(value, dict):
        return "object", frozenset((name, _key(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return "array", tuple(_key(item) for item in value)
    return isinstance(value, bool), value


def _error(message: str) -> Any:
    from jsonschema import ValidationError

    return ValidationError(message)
