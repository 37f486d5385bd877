"""Typed answers: what a schema is, how a text is read as a value of it, and what to say to a model that missed it.

A schema is a type that pydantic understands (a dataclass, a TypedDict, a BaseModel, `list[Literal["a", "b"]]`) or a
JSON Schema as a mapping. Reading is strict: "3" is no integer. JSON may stand in a fence or between words, after a
thinking model's thoughts; the last value that fits is taken. What does not fit is `Unfit`, with words that a model can
mend by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.identity import canonical

_LONGEST_ERROR = 400


class Unfit(ValueError):
    """A text that holds no value of the schema. `kind` is countable: `not JSON` or `does not fit the schema`."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema, as JSON for models and as a check for answers."""

    json: Mapping[str, Any]
    value_of: Callable[[Any], Any]
    """The typed value of parsed JSON; raises Unfit."""

    def read(self, text: str) -> Any:
        """The value that `text` holds. Raises Unfit."""
        problem: Unfit | None = None
        values: list[Any] = []
        for found in _candidates(_answer_in(text)):
            try:
                values.append(self.value_of(found))
            except Unfit as error:
                problem = problem or error
        if values:
            return values[-1]  # models say what they mean last
        raise problem or Unfit("not JSON", _not_json(_answer_in(text)))

    def instruction(self) -> str:
        """What to add to a prompt for a model that cannot be held to a schema."""
        return _INSTRUCTION.format(schema=json.dumps(self.json, ensure_ascii=False))

    def complaint(self, error: Unfit) -> str:
        """What to answer a model that missed."""
        return _COMPLAINT.format(error=str(error)[:_LONGEST_ERROR])


def schema_of(given: type | Mapping[str, Any]) -> Schema:
    """The Schema of a type or of a JSON Schema. Raises UsageError for what is neither."""
    if isinstance(given, Mapping):
        return _of_mapping(canonical(given))
    try:
        return _of_type(given)
    except TypeError:  # unhashable, as Annotated with a list
        return _of_type.__wrapped__(given)


@lru_cache(maxsize=256)
def _of_mapping(text: str) -> Schema:
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    schema = json.loads(text)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise UsageError(
            f"{text[:80]} is not a JSON Schema ({error.message})", hint="pass a JSON Schema or a type"
        ) from error
    validator = kind(schema)

    def value_of(found: Any) -> Any:
        error = best_match(validator.iter_errors(found))
        if error is not None:
            place = error.json_path.removeprefix("$").removeprefix(".")
            raise Unfit("does not fit the schema", f"{place}: {error.message}" if place else error.message)
        return found

    return Schema(schema, value_of)


@lru_cache(maxsize=256)
def _of_type(given: type) -> Schema:
    import pydantic

    try:
        adapter = pydantic.TypeAdapter(given)
        schema = _closed(adapter.json_schema())
    except (pydantic.errors.PydanticSchemaGenerationError, pydantic.errors.PydanticUserError) as error:
        raise UsageError(
            f"{given!r} has no JSON Schema", hint="use a dataclass, a TypedDict, a pydantic model or a JSON Schema"
        ) from error

    def value_of(found: Any) -> Any:
        try:
            return adapter.validate_json(json.dumps(found), strict=True)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise Unfit("does not fit the schema", f"{place}: {first['msg']}" if place else first["msg"]) from None

    return Schema(schema, value_of)


def _closed(schema: Any) -> Any:
    """The JSON Schema of a type as a model is asked for it: every field, and no other.

    OpenAI's strict mode demands it, and a small model would go on inventing fields. Reading still allows for defaults.
    """
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    values = ("const", "enum", "default", "examples")
    closed = {name: each if name in values else _closed(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
        closed["required"] = list(schema["properties"])
    return closed


def _answer_in(text: str) -> str:
    """What comes after the thoughts, whose beginning may stand in the prompt. Raises Unfit if they do not end."""
    thoughts, ended, answer = text.rpartition("</think>")
    if not ended and text.lstrip().startswith("<think>"):
        raise Unfit("not JSON", "the thoughts have no end")
    return (answer if ended else thoughts + answer).strip()


def _candidates(text: str) -> Iterator[Any]:
    """JSON values in `text`: the whole of it, else every outermost object or array, in order."""
    fenced = text.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        yield json.loads(fenced, parse_constant=_no_constant)
        return
    except (ValueError, RecursionError):
        pass
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    start = 0
    while match := re.compile(r"[\[{]").search(text, start):
        try:
            found, start = decoder.raw_decode(text, match.start())
            yield found
        except (ValueError, RecursionError):
            start = match.start() + 1


def _not_json(text: str) -> str:
    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return "not JSON"


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_INSTRUCTION = "Answer with JSON only, one value that fits this JSON Schema:\n{schema}"
_COMPLAINT = "That answer cannot be used ({error}). Answer again, with JSON only, and mend it."
