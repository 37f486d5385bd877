"""JSON in files: one object per line, or one list of objects; also gzipped; read as a stream.

No more than one line (or one object of a list) is held at a time, and none of more than 64 MiB. What is broken is
refused in one sentence with its place: the line and column, or the number of the object in its list.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from homeschool.core.errors import UsageError

LONGEST = 64 * 2**20
"""Bytes of a line, or characters of an object in a list."""
_BLOCK = 2**20
_BOM = b"\xef\xbb\xbf"
_FIRST = re.compile(r"\s*\[\s*(\S)")
_NEXT = re.compile(r"\s*,\s*(\S)")
_NONE = re.compile(r"\s*\[\s*\]\s*")
_END = re.compile(r"\s*\]\s*")


def json_records(path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a file that holds one per line, or a list of them. `name` is the file's name in errors."""
    with _opened(path, name) as file:
        if _holds_list(file):
            yield from _items(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), name)
        else:
            for number, raw in _lines(file, name):
                yield _record(raw, number, name)


def count_records(path: Path, name: str) -> int | None:
    """How many lines hold something; None for a list, which only parsing can count."""
    with _opened(path, name) as file:
        return None if _holds_list(file) else sum(1 for _ in _lines(file, name))


@contextmanager
def _opened(path: Path, name: str) -> Iterator[io.BufferedReader[Any]]:
    """The file's bytes, unpacked if its first two say gzip. Raises UsageError for what cannot be read."""
    try:
        with io.BufferedReader(path.open("rb", buffering=0), _BLOCK) as file:
            if path.name.endswith(".gz") or file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield io.BufferedReader(unpacked, _BLOCK)
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{name} cannot be read ({error})", hint="check that the file is whole") from error


def _holds_list(file: io.BufferedReader[Any]) -> bool:
    """Whether it begins as a list of objects. A line that is a list begins so too, and is broken either way."""
    head = file.peek(_BLOCK)[:_BLOCK].removeprefix(_BOM).lstrip()
    return head.startswith(b"[") and head[1:].lstrip()[:1] in (b"{", b"]", b"")


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank."""
    number = 0
    while raw := file.readline(LONGEST + 1):
        number += 1
        if len(raw) > LONGEST:
            raise UsageError(
                f"line {number} of {name} is longer than {LONGEST >> 20} MiB", hint="write one JSON object per line"
            )
        raw = raw.removeprefix(_BOM) if number == 1 else raw
        if line := raw.rstrip():
            yield number, line


def _record(raw: bytes, number: int, name: str) -> dict[str, Any]:
    try:
        record = _DECODER.decode(raw.decode("utf-8"))
    except json.JSONDecodeError as error:
        _broken(name, f"line {number}, column {error.colno}", error.msg, error)
    except UnicodeDecodeError as error:
        _broken(name, f"line {number}, byte {error.start + 1}", "not UTF-8", error)
    except (ValueError, RecursionError) as error:  # NaN, a number of thousands of digits, nesting without end
        _broken(name, f"line {number}", _short(error), error)
    if not isinstance(record, dict):
        what = _excerpt(raw.decode("utf-8", "replace"))
        raise UsageError(f"{name} has no JSON object at line {number} but {what}", hint='write {"prompt": ..., ...}')
    return record


def _items(reader: io.TextIOWrapper, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list, each parsed as soon as enough of the text is there."""
    window, number, more = _Window(reader), 1, True
    while True:
        record, why = _item(window, number, name)
        if record is not None:
            yield record
            number += 1
        elif more and len(window.text) - window.at <= LONGEST:
            try:
                more = window.grow()
            except UnicodeDecodeError as error:
                _broken(name, f"item {number} or after", "not UTF-8", error)
        else:
            break
    end = (_NONE if number == 1 else _END).fullmatch(window.text, window.at)
    if more or not end:
        _broken(name, f"item {number}", f"longer than {LONGEST >> 20} MiB" if more else why, None)


def _item(window: _Window, number: int, name: str) -> tuple[dict[str, Any] | None, str]:
    """The next object, or None and why there is none in the window: it may be cut off, or the list may be over."""
    head = (_FIRST if number == 1 else _NEXT).match(window.text, window.at)
    if not head or head[1] == "]":
        return None, "no , or ] follows"
    if head[1] != "{":
        what = _excerpt(window.text[head.start(1) :])
        raise UsageError(f"{name} has no JSON object at item {number} but {what}", hint='write [{"prompt": ...}]')
    try:
        record, window.at = _DECODER.raw_decode(window.text, head.start(1))
    except json.JSONDecodeError as error:
        return None, error.msg
    except (ValueError, RecursionError) as error:
        _broken(name, f"item {number}", _short(error), error)
    return record, ""


class _Window:
    """The part of a text that is being parsed: `text` from `at` on."""

    def __init__(self, reader: io.TextIOWrapper) -> None:
        self._reader = reader
        self.text = ""
        self.at = 0

    def grow(self) -> bool:
        """Read on, at least as much as is there, so that a long object is not parsed too often. False at the end."""
        rest = self.text[self.at :]
        new = self._reader.read(max(_BLOCK, len(rest)))
        self.text, self.at = rest + new, 0
        return bool(new)


def _broken(name: str, place: str, why: str, error: Exception | None) -> NoReturn:
    raise UsageError(f"{name} is broken at {place} ({why})", hint="write one JSON object per line") from error


def _short(error: Exception) -> str:
    return str(error).split(";")[0].split(" (")[0]


def _excerpt(text: str) -> str:
    text = " ".join(text[:200].split())
    return text if len(text) <= 40 else f"{text[:40]}..."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
