"""A value that satisfies a JSON Schema, drawn by a hash: what the stand-in server of `openai_server` answers with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_TEXT = (
    "river stone light paper green seven house under winter candle bridge market silver window garden thunder "
    "letter copper harbor meadow orange violin carpet pencil mirror basket forest engine pocket feather island cloud"
)
WORDS = _TEXT.split()


def value_of(schema: Mapping[str, Any], drawn: bytes, root: Mapping[str, Any]) -> Any:
    """A value that satisfies `schema` (the parts of JSON Schema that typed answers use), drawn by a hash."""
    at = hashlib.sha256(drawn + repr(sorted(schema)).encode()).digest()
    if "$ref" in schema:
        return value_of(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], at, root)
    if "const" in schema:
        return schema["const"]
    for choices in (schema.get("enum"), schema.get("anyOf"), schema.get("oneOf")):
        if choices:
            chosen = choices[at[0] % len(choices)]
            return chosen if choices is schema.get("enum") else value_of(chosen, at, root)
    kind = schema.get("type", "object")
    kind = kind[at[0] % len(kind)] if isinstance(kind, list) else kind
    if kind == "object":
        return {
            name: value_of(part, at + name.encode(), root) for name, part in (schema.get("properties") or {}).items()
        }
    if kind == "array":
        low = schema.get("minItems", 0)
        size = low + at[0] % (schema.get("maxItems", low + 3) - low + 1)
        return [value_of(schema.get("items") or {}, at + b"%d" % i, root) for i in range(size)]
    if kind == "string":
        text = " ".join(WORDS[byte & 31] for byte in at[: 2 + at[1] % 4])[: schema.get("maxLength", 80)]
        return text.ljust(schema.get("minLength", 0), "x")
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 101) - 1)
        return low + at[0] % (int(high - low) + 1)
    return bool(at[0] & 1) if kind == "boolean" else None
