"""Names that depend on nothing but content: digests and seeds.

Two machines that do the same work must give it the same name, so everything that is hashed is first written
as canonical JSON (sorted keys, no spaces, UTF-8) and every random stream starts from a hash of where it stands.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def canonical(value: Any) -> str:
    """`value` as the one JSON text that equal values share. NaN and infinities raise ValueError."""
    return _text(value)


def digest(*parts: Any) -> str:
    """24 hex digits (96 bits) that name `parts`."""
    return name_of(canonical(parts))


def name_of(text: str) -> str:
    """24 hex digits that name a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def seed_of(*parts: Any) -> int:
    """A seed in [0, 2**63) that depends on every part: run seed, round, row id, branch, ordinal."""
    hashed = hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(hashed[:8], "big") >> 1


def file_digest(path: Path) -> str:
    """24 hex digits that name a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:24]


def _plain(value: Any) -> Any:
    """What JSON lacks: sets are sorted, mappings are copied, paths are text."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if hasattr(value, "items"):
        return dict(value.items())
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no canonical form: pass text, numbers, lists or mappings")


def _writer() -> Callable[[Any], str]:
    """Writes canonical JSON. Every seed, key and id of a run goes through it, and json.dumps would make an encoder each
    time: so the C one, where there is one, is made once.
    """
    encoder = json.JSONEncoder(
        sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False, default=_plain
    )
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    write: Any = make(None, _plain, json.encoder.encode_basestring, None, ":", ",", True, False, False)
    return lambda value: "".join(write(value, 0))


_text = _writer()
