"""Schemas by hand, each hard in its own way, with a number of tokens that lets nano write more than the least."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "address": {
            "type": "object",
            "properties": {
                "street": {"type": "string", "maxLength": 20},
                "geo": {
                    "type": "object",
                    "properties": {"lat": {"type": "number", "minimum": -90, "maximum": 90}, "lon": {"type": "number"}},
                    "required": ["lat", "lon"],
                    "additionalProperties": False,
                },
            },
            "required": ["geo"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "address"],
    "additionalProperties": False,
}

BOUNDED_ARRAYS: dict[str, Any] = {
    "type": "array",
    "minItems": 2,
    "maxItems": 4,
    "items": {
        "type": "array",
        "minItems": 1,
        "maxItems": 3,
        "items": {"type": "string", "minLength": 2, "maxLength": 5},
    },
}

UNICODE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prénom": {"enum": ["Zoë", "Łukasz", "李", "😀😁"]},
        "ключ": {"const": 'naïve "quote" \\ slash\n'},
        "emoji 😀": {"type": "array", "items": {"enum": ["é", "è", "e"]}, "minItems": 1, "maxItems": 3},
        "text": {"type": "string", "maxLength": 6},
    },
    "required": ["prénom", "ключ", "emoji 😀"],
    "additionalProperties": {"type": "boolean"},
}

TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 3},
            },
            "required": ["value", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}

UNION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "shape": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "exclusiveMinimum": 0}},
                    "required": ["kind", "radius"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {
                        "kind": {"const": "polygon"},
                        "points": {
                            "type": "array",
                            "minItems": 3,
                            "items": {
                                "type": "array",
                                "prefixItems": [{"type": "number"}, {"type": "number"}],
                                "items": False,
                                "minItems": 2,
                            },
                        },
                    },
                    "required": ["kind", "points"],
                    "additionalProperties": False,
                },
                {"type": "null"},
            ]
        }
    },
    "required": ["shape"],
    "additionalProperties": False,
}

PATTERNS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "pattern": "^[a-z]{3,}[0-9]{2,5}$"},
        "day": {"type": "string", "format": "date"},
        "mail": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}]},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "step": {"type": "integer", "multipleOf": 7, "minimum": 10},
    },
    "required": ["code", "day", "mail", "share", "step"],
    "additionalProperties": False,
}

OPEN: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, 'b"c': {"type": "null"}},
    "patternProperties": {"^x_": {"type": "boolean"}},
    "additionalProperties": {"type": "array", "items": {"type": "integer", "maximum": 9}},
    "minProperties": 1,
    "required": ["a"],
}

ANYTHING: dict[str, Any] = {"type": "object", "properties": {"any": {}, "list": {"type": "array"}}, "required": ["any"]}

LONG_NAMES: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {f"a_rather_long_property_name_{index}": {"type": "boolean"} for index in range(4)},
        "required": [f"a_rather_long_property_name_{index}" for index in range(4)],
        "additionalProperties": False,
    },
    "minItems": 0,
}

MERGED: dict[str, Any] = {
    "allOf": [
        {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}}, "required": ["id"]},
        {"type": "object", "properties": {"tag": {"type": "string", "minLength": 3}}, "required": ["tag"]},
    ],
    "x-note": "an unknown keyword says nothing",
}

SCALARS: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}


class Step(BaseModel):
    thought: str = Field(max_length=30)
    score: float = Field(ge=0, le=1)


class Plan(BaseModel):
    title: str
    steps: list[Step] = Field(min_length=1, max_length=3)
    mood: str | None = None
    weights: dict[str, int] = {}


HARD: dict[str, tuple[dict[str, Any], int]] = {
    "person": (PERSON, 150),
    "bounded arrays": (BOUNDED_ARRAYS, 120),
    "unicode": (UNICODE, 260),
    "tree": (TREE, 150),
    "union": (UNION, 120),
    "patterns": (PATTERNS, 160),
    "open": (OPEN, 120),
    "anything": (ANYTHING, 100),
    "long names": (LONG_NAMES, 200),
    "merged": (MERGED, 80),
    "scalars": (SCALARS, 40),
    "pydantic": (Plan.model_json_schema(), 160),
}
"""Schema, and a comfortable `max_tokens`."""
