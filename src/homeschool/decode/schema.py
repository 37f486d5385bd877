"""What of JSON Schema (draft 2020-12) a constrained answer is held to, and what is refused by name.

The grammar library refuses most keywords that it does not know how to hold. Here stands the rest: schemas that it
takes but whose answers a validator could still turn down, because a validator reads numbers as doubles and objects as
mappings. Bounds that exclude their end are moved to the next number inside, for `0.99999999999999999999` is below 1 in
writing and is 1 when read; numbers of more digits than the library keeps, fractions in `multipleOf`, and several more
names of an open object (one name written twice counts once) are refused. So are control characters that JSON has no
short escape for.
"""

from __future__ import annotations

import json
import math
import re
import re._parser as parser  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from homeschool.core.errors import UnanswerableError

MAPPINGS = ("properties", "patternProperties", "$defs", "definitions")
LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
SINGLES = ("items", "additionalProperties")
"""Keywords that hold schemas: by name, in a list, alone."""

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LARGEST_BOUND = 1e15
DIGITS = 15
"""Digits of a number that the grammar library reads exactly, as every double keeps them."""

SMALLEST = Decimal("1e-15")
"""The number next to zero, where a bound excludes zero."""

VISITS = 10_000
"""Subschemas that are looked at to bound the length of an ending."""


def prepare(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as it is put to the grammar library. Raises UnanswerableError, naming what cannot be held."""
    ready = {key: value for key, value in _prepare(schema).items() if key != "x-guidance"}
    for text in strings(ready):
        for character in text:
            if (ord(character) < 32 and character not in "\n\r\t\b\f") or character == "\x7f":
                raise refused(f"the control character {character!r}")
            if 0xD800 <= ord(character) <= 0xDFFF:
                raise refused(f"half of a surrogate pair, {character!r}")
    return ready


def refused(what: str) -> UnanswerableError:
    """The error of a schema that no answer can be held to."""
    return UnanswerableError(
        f"an answer cannot be held to a schema with {what}", hint="simplify the schema, and check the rest afterwards"
    )


def strings(value: Any) -> Iterator[str]:
    """Every text in a schema, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from strings(inner)


def ending(schema: Mapping[str, Any]) -> int | None:
    """Bytes that suffice to end one open bracket of an answer, the value begun in it included.

    So an answer with D brackets open can be ended within (D + 1) times as many. None if that is not known: patterns,
    formats and intersections are not analysed.
    """
    measure = _Measure(schema)
    try:
        lengths = [measure.shortest(inner) for inner in _subschemas(schema)]
    except _UnknownError:
        return None
    if min(lengths) == math.inf:
        return None
    names = [len(json.dumps(name)) for name in strings(schema)]
    return 2 * int(max(length for length in lengths if length < math.inf)) + max(names, default=0) + 16


def examples(schema: Mapping[str, Any]) -> list[str]:
    """Short texts that meet the patterns of a schema, where they can be made, and longer ones for a `minLength`."""
    found: dict[str, None] = {}
    for inner in _subschemas(schema):
        if isinstance(inner, Mapping) and isinstance(pattern := inner.get("pattern"), str):
            try:
                example = _example(parser.parse(pattern))
            except (re.error, _UnknownError):
                continue
            missing = "a" * (inner.get("minLength", 0) - len(example))
            found |= dict.fromkeys([example + missing, missing + example])
    return list(found)


def _example(parsed: Any) -> str:
    """A text that a parsed regular expression matches. Raises _UnknownError for assertions and back references."""
    text = ""
    for operation, argument in parsed:
        match str(operation):
            case "LITERAL":
                text += chr(argument)
            case "NOT_LITERAL":
                text += "a" if argument != ord("a") else "b"
            case "ANY":
                text += "a"
            case "IN":
                text += _member(argument)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                text += _example(argument[2]) * min(argument[0], VISITS)
            case "SUBPATTERN" | "ATOMIC_GROUP":
                text += _example(argument[-1] if operation == parser.SUBPATTERN else argument)
            case "BRANCH":
                text += min(map(_example, argument[1]), key=len)
            case "AT":
                pass
            case _:
                raise _UnknownError
    return text


def _member(members: Sequence[Any]) -> str:
    """A character of a class."""
    operation, argument = members[0]
    match str(operation):
        case "LITERAL":
            return chr(argument)
        case "RANGE":
            return chr(argument[0])
        case "CATEGORY":
            name = str(argument)
            return {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_NOT_WORD": "-"}.get(name, "a")
    excluded = re.compile("|".join(re.escape(_member([member])) for member in members[1:]))
    return next(letter for letter in "a0-_ A~" if not excluded.match(letter))


def _prepare(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    ready: dict[str, Any] = {}
    for key, value in schema.items():
        if key in MAPPINGS and isinstance(value, Mapping):
            ready[key] = {name: _prepare(inner) for name, inner in value.items()}
        elif key in LISTS and isinstance(value, Sequence):
            ready[key] = [_prepare(inner) for inner in value]
        elif key in SINGLES:
            ready[key] = _prepare(value)
        else:
            ready[key] = value
    _check(ready)
    _tighten(ready, "minimum", "exclusiveMinimum", rounding=ROUND_CEILING)
    _tighten(ready, "maximum", "exclusiveMaximum", rounding=ROUND_FLOOR)
    return ready


def _check(schema: Mapping[str, Any]) -> None:
    """Raise UnanswerableError for what this level of a schema asks and a draw cannot keep."""
    for key in BOUNDS:
        if key in schema and (isinstance(schema[key], bool) or not abs(schema[key]) <= LARGEST_BOUND):
            raise refused(f"{key} {schema[key]!r} (bounds are numbers from -1e15 to 1e15)")
    step = schema.get("multipleOf", 1)
    if step != int(step):
        raise refused(f"multipleOf {step!r} (only whole numbers)")
    if not isinstance(schema.get("items", True), (Mapping, bool)):
        raise refused("a list of items (draft 2020-12 calls it prefixItems)")
    if schema.get("minProperties", 0) > len(schema.get("required", ())) + 1:
        raise refused(f"minProperties {schema['minProperties']!r} beyond the required names and one more")
    for number in _numbers([schema.get("const"), schema.get("enum")]):
        if abs(number) > LARGEST_BOUND or (isinstance(number, float) and float(f"{number:.{DIGITS}g}") != number):
            raise refused(f"the constant {number!r} (constants are numbers from -1e15 to 1e15, of {DIGITS} digits)")


def _tighten(schema: dict[str, Any], inclusive: str, exclusive: str, *, rounding: str) -> None:
    """Bounds that keep `DIGITS` digits, rounded inwards; one that excludes its end becomes the next such number."""
    context = Context(prec=DIGITS, rounding=rounding)
    inside = context.next_plus if rounding == ROUND_CEILING else context.next_minus
    bounds: list[Decimal] = []
    if inclusive in schema:
        bounds.append(context.create_decimal(repr(schema[inclusive])))
    if exclusive in schema and schema.get("type") != "integer":
        excluded = Decimal(repr(schema.pop(exclusive)))
        moved = inside(excluded) if excluded else SMALLEST.copy_sign(inside(excluded))
        bounds.append(moved)
    if bounds:
        bound = max(bounds) if rounding == ROUND_CEILING else min(bounds)
        schema[inclusive] = int(bound) if bound == int(bound) else float(bound)


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, (int, float)):
        yield value


def _subschemas(schema: Any) -> Iterator[Any]:
    yield schema
    if isinstance(schema, Mapping):
        inner = [value for key in MAPPINGS for value in schema.get(key, {}).values()]
        inner += [value for key in LISTS for value in schema.get(key, ())]
        for value in [*inner, *(schema[key] for key in SINGLES if key in schema)]:
            yield from _subschemas(value)


class _UnknownError(Exception):
    """The length of an ending is not known."""


class _Measure:
    """Upper bounds on the shortest instances of schemas, in bytes of compact JSON."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = VISITS

    def shortest(self, schema: Any, above: tuple[str, ...] = ()) -> float:
        """Infinite where a schema leads back to one of the references `above`."""
        self._left -= 1
        if not isinstance(schema, Mapping):
            return 8
        if self._left < 0 or not schema.keys().isdisjoint(
            ("pattern", "format", "multipleOf", "allOf", "patternProperties", "minProperties")
        ):
            raise _UnknownError
        length = 8.0 + 2 * schema.get("minLength", 0)
        length += sum(24 + 2 * len(json.dumps(schema[key])) for key in BOUNDS if key in schema)
        constants = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
        length += max((len(json.dumps(constant)) for constant in constants), default=0)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                options = [self.shortest(option, above) for option in schema[key]]
                length += max((option for option in options if option < math.inf), default=math.inf)
        if "$ref" in schema:
            length += self._referred(schema["$ref"], above)
        for name in schema.get("required", ()):
            length += len(json.dumps(name)) + 2 + self.shortest(schema.get("properties", {}).get(name), above)
        for index in range(min(schema.get("minItems", 0), VISITS)):
            prefix = schema.get("prefixItems", ())
            length += 1 + self.shortest(prefix[index] if index < len(prefix) else schema.get("items"), above)
        return length

    def _referred(self, reference: str, above: tuple[str, ...]) -> float:
        if reference in above:
            return math.inf
        if not reference.startswith("#"):
            raise _UnknownError
        found: Any = self._root
        for part in reference[1:].split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if found is None:
            raise _UnknownError
        return self.shortest(found, (*above, reference))
