"""Planted errors for `schema`: a schema, a value made to fit it, and the same value with one thing broken.

Each row has an object schema of three to six properties, drawn from kinds of value that know how to make a right one
and several wrong ones (wrong type, beyond a bound, against a pattern, no such date). Other corruptions are of the
whole: a name missing, one too many, one that stands twice, text that is no JSON or more than JSON. `how` names the
kind of value and what was done.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from homeschool.verify.planted import Planted

_WORDS = ["river", "garden", "teacher", "window", "letter", "morning", "kitchen", "village", "doctor", "forest"]


@dataclass(frozen=True, slots=True)
class _Value:
    """A kind of value: its schema, one that fits, and others that do not, by what is wrong."""

    kind: str
    schema: dict[str, Any]
    right: Any
    wrong: dict[str, Any]


def planted(seed: int, n: int) -> Iterator[Planted]:
    """`n` answers, every other one right. The same seed gives the same answers."""
    rng = random.Random(f"planted schema {seed}")
    for place in range(n):
        names = rng.sample(_WORDS, rng.randint(3, 6))
        values = {name: rng.choice(_KINDS)(rng) for name in names}
        required = names[: rng.randint(1, len(names))]
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: value.schema for name, value in values.items()},
            "required": required,
            "additionalProperties": False,
        }
        held = {name: value.right for name, value in values.items() if name in required or rng.random() < 0.7}
        right = _written(held, rng)
        columns = {"schema": json.dumps(schema) if rng.random() < 0.5 else schema}
        if place % 2 == 0:
            yield Planted(columns, right, True, "right")
            continue
        name = rng.choice(list(held))
        broken = {
            f"{values[name].kind}: {how}": _written({**held, name: wrong}, rng)
            for how, wrong in values[name].wrong.items()
        }
        if rng.random() < 0.4:
            broken = _broken_text(right, held, required[0])
        how = rng.choice(list(broken))
        yield Planted(columns, broken[how], False, how)


def _written(value: Any, rng: random.Random) -> str:
    """JSON in one of the ways in which it may be written."""
    text = json.dumps(value, indent=rng.choice([None, 2]), ensure_ascii=rng.random() < 0.5)
    return f"```json\n{text}\n```" if rng.random() < 0.3 else text


def _broken_text(right: str, held: dict[str, Any], required: str) -> dict[str, str]:
    """What can be wrong with the text or the object as a whole, `required` being a name that must stand."""
    plain = json.dumps(held)
    name, first = json.dumps(required), json.dumps(held[required])
    return {
        "text: empty": "",
        "text: an empty fence": "```json\n```",
        "text: cut short": plain[:-1],
        "text: words before it": f"Here is the JSON:\n{right}",
        "text: words after it": f"{right}\nI hope this helps.",
        "text: two values": f"{plain}\n{plain}",
        "text: single quotes": str(held).replace('"', "'") if "'" in str(held) else plain[:-1],
        "text: a comma too many": plain[:-1] + ",}",
        "text: a comment": plain[:-1] + "// done\n}",
        "text: a zero-width space": "\u200b" + plain,
        "text: NaN": plain.replace(f"{name}: {first}", f"{name}: NaN", 1),
        "text: a name twice": plain.replace(f"{name}: {first}", f"{name}: {first}, {name}: {first}", 1),
        "object: a name missing": json.dumps({each: value for each, value in held.items() if each != required}),
        "object: a name too many": json.dumps({**held, "extra": 1}),
        "object: a name misspelt": plain.replace(name, name[:-1] + ' "', 1),
        "object: a look-alike name": plain.replace(name, name.replace("e", "е").replace("o", "о").replace("a", "а"), 1),  # noqa: RUF001
        "object: in a list": f"[{plain}]",
        "object: as a string": json.dumps(plain),
        "object: null": "null",
    }


def _integer(rng: random.Random) -> _Value:
    low = rng.randint(-50, 50)
    high = low + rng.randint(1, 100)
    schema = {"type": "integer", "minimum": low, "maximum": high}
    wrong = {
        "below": low - 1,
        "above": high + 1,
        "a fraction": low + 0.5,
        "as text": str(low),
        "true": True,
        "null": None,
    }
    return _Value("integer", schema, rng.choice([low, high, float(high), rng.randint(low, high)]), wrong)


def _number(rng: random.Random) -> _Value:
    limit = rng.randint(1, 1000)
    schema = {"type": "number", "exclusiveMaximum": limit, "multipleOf": 0.01}
    right = rng.randint(1, 100 * limit - 1) / 100
    wrong = {
        "at the excluded bound": limit,
        "between the steps": right - 0.005,
        "as text": str(right),
        "in a list": [right],
    }
    return _Value("number", schema, right, wrong)


def _string(rng: random.Random) -> _Value:
    low = rng.randint(2, 5)
    high = low + rng.randint(0, 5)
    schema = {"type": "string", "minLength": low, "maxLength": high}
    wrong = {
        "too short": "é" * (low - 1),
        "too long": "x" * (high + 1),
        "a number": 7,
        "null": None,
        "a list": ["x" * low],
    }
    return _Value("string", schema, "é" * rng.randint(low, high), wrong)


def _pattern(rng: random.Random) -> _Value:
    size = rng.randint(2, 6)
    schema = {"type": "string", "pattern": rf"^[A-Z]{{2}}-\d{{{size}}}$"}
    digits = "".join(rng.choices("0123456789", k=size))
    wrong = {
        "a digit short": f"AB-{digits[1:]}",
        "a digit too many": f"AB-{digits}0",
        "small letters": f"ab-{digits}",
        "a line feed after it": f"AB-{digits}\n",
        "Arabic digits": "AB-" + digits[1:] + "٣",
        "a look-alike letter": f"ΑB-{digits}",  # noqa: RUF001
    }
    return _Value("pattern", schema, f"AB-{digits}", wrong)


def _enum(rng: random.Random) -> _Value:
    options: list[Any] = [*rng.sample(_WORDS, 3), 1]
    wrong = {
        "another": "other",
        "in capitals": options[0].upper(),
        "true for 1": True,
        "as text": "1",
        "with a space": options[0] + " ",
    }
    return _Value("enum", {"enum": options}, rng.choice([*options, 1.0]), wrong)


def _boolean(rng: random.Random) -> _Value:
    return _Value("boolean", {"type": "boolean"}, rng.random() < 0.5, {"as text": "true", "1": 1, "null": None})


def _date(rng: random.Random) -> _Value:
    day = f"{rng.randint(1900, 2100)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    wrong = {
        "no such day": day[:5] + "02-30",
        "no such month": day[:5] + "13-01",
        "slashes": day.replace("-", "/"),
        "no hyphens": day.replace("-", ""),
    }
    return _Value("date", {"type": "string", "format": "date"}, day, wrong)


def _time(rng: random.Random) -> _Value:
    moment = f"2024-05-{rng.randint(1, 31):02}T{rng.randint(0, 23):02}:30:00"
    wrong = {"no zone": moment, "no time": moment[:10], "hour 24": moment[:11] + "24:00:00Z", "words": "yesterday"}
    return _Value(
        "date-time", {"type": "string", "format": "date-time"}, moment + rng.choice(["Z", "+02:00", ".5Z"]), wrong
    )


def _email(rng: random.Random) -> _Value:
    name = rng.choice(_WORDS)
    wrong = {
        "no at": f"{name}.org",
        "no host": f"{name}@",
        "no name": f"@{name}.org",
        "a space": f"{name} @{name}.org",
        "two": f"{name}@a.org, {name}@b.org",
    }
    return _Value("email", {"type": "string", "format": "email"}, f"{name}@{name}.org", wrong)


def _uri(rng: random.Random) -> _Value:
    name = rng.choice(_WORDS)
    wrong = {
        "no scheme": f"{name}.org/a",
        "a space": f"https://{name}.org/a b",
        "angle brackets": f"<https://{name}.org>",
    }
    return _Value("uri", {"type": "string", "format": "uri"}, f"https://{name}.org/a?b=c#d", wrong)


def _array(rng: random.Random) -> _Value:
    low = rng.randint(1, 3)
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": low, "maxItems": low + 2, "uniqueItems": True}
    right = list(range(low + rng.randint(0, 2)))
    wrong = {
        "too few": right[: low - 1],
        "too many": list(range(low + 3)),
        "one twice": [*right[:low], 0, 0.0][-2:] if low <= 2 else [0, 1, 0.0],
        "another type within": [*right[:-1], "x"],
        "no list": {"0": 1},
    }
    return _Value("array", schema, right, wrong)


def _object(rng: random.Random) -> _Value:
    within = _integer(rng)
    schema = {
        "type": "object",
        "properties": {"inner": within.schema},
        "required": ["inner"],
        "additionalProperties": False,
    }
    wrong = {f"within, {how}": {"inner": value} for how, value in within.wrong.items()}
    return _Value(
        "object",
        schema,
        {"inner": within.right},
        {**wrong, "empty": {}, "one too many": {"inner": within.right, "x": 1}},
    )


def _either(rng: random.Random) -> _Value:
    first, second = _integer(rng), _pattern(rng)
    wrong = {"neither": [1], "the number wrong": first.wrong["above"], "the text wrong": second.wrong["small letters"]}
    return _Value("oneOf", {"oneOf": [first.schema, second.schema]}, rng.choice([first.right, second.right]), wrong)


def _tree(rng: random.Random) -> _Value:
    schema = {
        "$id": "https://example.org/tree",
        "type": "object",
        "properties": {"size": {"type": "integer"}, "below": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["size"],
    }
    depth = rng.randint(1, 6)
    wrong = {"wrong at the bottom": _branch(depth, "x"), "no list": {"size": 1, "below": 2}, "too deep": _branch(60, 1)}
    return _Value("tree", schema, _branch(depth, 1), wrong)


def _branch(depth: int, size: Any) -> dict[str, Any]:
    node: dict[str, Any] = {"size": size}
    for _ in range(depth):
        node = {"size": 1, "below": [node]}
    return node


_KINDS: list[Callable[[random.Random], _Value]] = [
    _integer,
    _number,
    _string,
    _pattern,
    _enum,
    _boolean,
    _date,
    _time,
    _email,
    _uri,
    _array,
    _object,
    _either,
    _tree,
]
