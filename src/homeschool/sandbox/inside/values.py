"""Values as plain data: what crosses between a candidate's process and its judge's, and nothing that could act.

Each type has a tag and a pair of functions here, packing.py walks the containers. Reading looks the tag up and builds a
value of a built-in type: it never runs, imports or finds anything that the bytes name. Types are exact: an instance of
a subclass is not a value of its base, but an object (exchange.py).

`encode` and `decode` are whole messages: JSON in UTF-8, in which lone surrogates, NaN and -0.0 survive.
Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import json
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

from packing import PACK, UNPACK, DeepError, Node, NoneType, Packer, ProtocolError, Unpacker

BITS = 1 << 17
"""How long the parts of a Fraction may be: reducing it takes quadratic time."""
KEYS, VALUES, ITEMS = type({}.keys()), type({}.values()), type({}.items())
MUTABLE: dict[type, type] = {}
"""Built-in containers that can be changed in place, each with itself; subclasses are found by their base."""
for _type in (list, dict, set, bytearray, collections.deque, collections.OrderedDict, collections.Counter):
    MUTABLE[_type] = _type
MUTABLE[collections.defaultdict] = collections.defaultdict

TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset, range, slice, object),
        *(NoneType, type(...), collections.deque, collections.OrderedDict, collections.Counter),
        *(collections.defaultdict, decimal.Decimal, fractions.Fraction),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
    )
}
"""Classes that either side has: they travel as names, and the receiver takes its own."""
_builtins: dict[str, Any] = vars(sys.modules["builtins"])
TYPES.update({n: v for n, v in _builtins.items() if isinstance(v, type) and issubclass(v, BaseException)})
NAMES: dict[type, str] = {kind: kind.__name__ for kind in TYPES.values()}


def _writer() -> Callable[[Any], str]:
    """JSONEncoder.encode, without making the encoder in C anew for every message."""
    coder = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
    make = json.encoder.c_make_encoder  # pyright: ignore[reportAttributeAccessIssue]
    if make is None:
        return coder.encode
    write = make(None, coder.default, json.encoder.encode_basestring, None, ":", ",", False, False, True)
    return lambda node: "".join(write(node, 0))


_write = _writer()
_read: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def encode(node: Node) -> bytes:
    """JSON as bytes. DeepError if it is nested too deep."""
    try:
        return _write(node).encode("utf-8", "surrogatepass")
    except RecursionError:
        raise DeepError("a value nested too deep for JSON") from None


def decode(data: bytes) -> Node:
    """The JSON of these bytes. DeepError, ProtocolError."""
    try:
        text = data.decode("utf-8", "surrogatepass")
        node, end = _read(text, 0)
    except RecursionError:
        raise DeepError("a message nested too deep for JSON") from None
    except (ValueError, StopIteration) as error:
        raise ProtocolError(f"no JSON: {error}") from None
    if end != len(text):
        raise ProtocolError("no JSON: something after its end")
    return node


def _of(kind: type, node: Node) -> Any:
    """`node`, which must be of this type."""
    if type(node) is not kind:
        raise ProtocolError(f"a {type(node).__name__}, not a {kind.__name__}")
    return node


# --- one pair of functions a tag ----------------------------------------------------------------------------------
# What they add to the stack is about a level of packing.py's, hence their `depth + 1`.


def _scalar(tag: str, kind: type, write: Callable[[Any], list[Node]], read: Callable[..., Any]) -> None:
    """A type that holds no containers: written as a list of JSON values."""
    PACK[kind] = lambda packer, value, depth: [tag, *write(value)]
    UNPACK[tag] = lambda unpacker, node, depth: read(*node[1:])


def _bytes(text: Node) -> bytes:
    return _of(str, text).encode("latin-1")


def _fraction(above: str, below: str) -> fractions.Fraction:
    parts = int(_of(str, above), 16), int(_of(str, below), 16)
    if max(parts).bit_length() > BITS or min(parts).bit_length() > BITS:
        raise ProtocolError("a fraction of very long numbers")
    return fractions.Fraction(*parts)


def _offset(value: datetime.datetime | datetime.time) -> list[Node]:
    """A time zone as its offset of the moment: equality and order of moments ask for no more."""
    offset = value.utcoffset()
    return [] if offset is None else [offset.days, offset.seconds, offset.microseconds]


def _zone(offset: Node) -> datetime.timezone | None:
    return datetime.timezone(datetime.timedelta(*_of(list, offset))) if offset else None


def _moment(value: datetime.datetime) -> list[Node]:
    clock = [value.hour, value.minute, value.second, value.microsecond]
    return [value.year, value.month, value.day, *clock, _offset(value), value.fold]


def _date_time(*node: Node) -> datetime.datetime:
    return datetime.datetime(*node[:7], tzinfo=_zone(node[7]), fold=node[8])


def _time(*node: Node) -> datetime.time:
    return datetime.time(*node[:4], tzinfo=_zone(node[4]), fold=node[5])


_scalar("i", int, lambda x: [f"{x:x}"], lambda text: int(_of(str, text), 16))
_scalar("b", bytes, lambda x: [x.decode("latin-1")], _bytes)
_scalar("C", complex, lambda x: [x.real, x.imag], complex)
_scalar(
    "r", range, lambda x: [f"{x.start:x}", f"{x.stop:x}", f"{x.step:x}"], lambda *n: range(*(int(i, 16) for i in n))
)
_scalar("...", type(...), lambda x: [], lambda: ...)
_scalar("none", type(NotImplemented), lambda x: [], lambda: NotImplemented)
_scalar("D", decimal.Decimal, lambda x: [str(x)], lambda text: decimal.Decimal(_of(str, text)))
_scalar("F", fractions.Fraction, lambda x: [f"{x.numerator:x}", f"{x.denominator:x}"], _fraction)
_scalar("delta", datetime.timedelta, lambda x: [x.days, x.seconds, x.microseconds], datetime.timedelta)
_scalar("date", datetime.date, lambda x: [x.year, x.month, x.day], datetime.date)
_scalar("datetime", datetime.datetime, _moment, _date_time)
_scalar("time", datetime.time, lambda x: [x.hour, x.minute, x.second, x.microsecond, _offset(x), x.fold], _time)
_scalar("zone", datetime.timezone, lambda x: _offset(datetime.datetime.now(x)), lambda *node: _zone(list(node)))


def _of_items(tag: str, kind: type, make: Callable[..., Any], take: Callable[[Any], Iterable[Any]] = iter) -> None:
    """A container that cannot be made before its elements, or cannot hold itself."""
    in_keys = kind in (set, frozenset, KEYS)

    def write(packer: Packer, value: Any, depth: int) -> Node:
        packer.open.add(place := packer.add(value))
        node = (packer.members if in_keys else packer.row)([tag], list(take(value)), depth + 1)
        packer.open.discard(place)
        return node

    def read(unpacker: Unpacker, node: list[Node], depth: int) -> Any:
        place = unpacker.reserve()
        value = make(unpacker.members(node, depth + 1) if in_keys else unpacker.row([], node, depth + 1))
        unpacker.items[place] = value
        return value

    PACK[kind], UNPACK[tag] = write, read


_of_items("s", set, set)
_of_items("z", frozenset, frozenset)
_of_items("keys", KEYS, lambda row: dict.fromkeys(row).keys())
_of_items("values", VALUES, lambda row: dict(enumerate(row)).values())
_of_items("items", ITEMS, lambda row: dict(row).items(), lambda x: map(tuple, x))
_of_items(":", slice, lambda row: slice(*row), lambda x: (x.start, x.stop, x.step))
_of_items("a", bytearray, lambda row: bytearray(_bytes(row[0])), lambda x: [x.decode("latin-1")])


def _array(row: list[Any]) -> array.array[Any]:
    values = array.array(_of(str, row[0]))
    values.frombytes(_bytes(row[1]))
    return values


_of_items("array", array.array, _array, lambda x: [x.typecode, x.tobytes().decode("latin-1")])


def _table(tag: str, kind: Any) -> None:
    """A kind of dict."""

    def write(packer: Packer, value: Any, depth: int) -> Node:
        packer.add(value)
        return packer.pairs([tag], value, depth + 1)

    def read(unpacker: Unpacker, node: list[Node], depth: int) -> Any:
        unpacker.items.append(table := kind())
        return unpacker.fill(table, node, depth + 1)

    PACK[kind], UNPACK[tag] = write, read


_table("od", collections.OrderedDict)
_table("count", collections.Counter)


def _pack_default(packer: Packer, value: Any, depth: int) -> Node:
    packer.add(value)
    return packer.pairs(["dd", packer.pack(value.default_factory, depth + 1)], value, depth + 1)


def _unpack_default(unpacker: Unpacker, node: list[Node], depth: int) -> Any:
    unpacker.items.append(table := collections.defaultdict())
    table.default_factory = unpacker.unpack(node[1], depth + 1)
    return unpacker.fill(table, node, depth + 1, 2)


def _pack_deque(packer: Packer, value: Any, depth: int) -> Node:
    packer.add(value)
    return packer.row(["q", value.maxlen], list(value), depth + 1)


def _unpack_deque(unpacker: Unpacker, node: list[Node], depth: int) -> Any:
    unpacker.items.append(line := collections.deque(maxlen=node[1]))
    line.extend(unpacker.row([], node[1:], depth + 1))
    return line


PACK[collections.defaultdict], UNPACK["dd"] = _pack_default, _unpack_default
PACK[collections.deque], UNPACK["q"] = _pack_deque, _unpack_deque


def _write_type(packer: Packer, value: type, depth: int) -> Node:
    name = NAMES.get(value)
    return packer.outside(value, packer, depth) if name is None else ["T", name]


PACK[type] = _write_type
UNPACK["T"] = lambda unpacker, node, depth: TYPES[_of(str, node[1])]


# --- types of modules that not every program imports ---------------------------------------------------------------

_ARRAY_TYPE = re.compile(r"[<>|=](?:[biufc]\d{1,2}|[SU]\d{1,4}|[mM]8\[\w{1,9}\])")


def pack_foreign(packer: Packer, value: Any, depth: int) -> Node | None:
    """A path, or an array or a scalar of numpy; None for anything else."""
    kind = type(value)
    module = str(kind.__module__).partition(".")[0]
    if module == "numpy" and "numpy" in sys.modules:
        return _pack_numpy(packer, value, depth)
    if module == "pathlib" and kind.__name__ in ("PosixPath", "PurePosixPath") and "pathlib" in sys.modules:
        return ["path", kind.__name__, str(value)]
    return None


def _pack_numpy(packer: Packer, value: Any, depth: int) -> Node | None:
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.generic):
        return packer.pack(value.item(), depth) if not isinstance(value.item(), numpy.generic) else None
    if type(value) is not numpy.ndarray or not _ARRAY_TYPE.fullmatch(value.dtype.str):
        return None
    packer.add(value)
    return ["numpy", value.dtype.str, list(value.shape), value.tobytes().decode("latin-1")]


def _unpack_numpy(unpacker: Unpacker, node: list[Node], depth: int) -> Any:
    if not _ARRAY_TYPE.fullmatch(_of(str, node[1])) or not all(type(n) is int and n >= 0 for n in node[2]):
        raise ProtocolError("no array of numbers")
    try:
        import numpy
    except ImportError:
        raise ProtocolError("an array of numpy, which is not installed here") from None
    values = numpy.frombuffer(_bytes(node[3]), dtype=node[1]).reshape(node[2]).copy()
    unpacker.items.append(values)
    return values


def _unpack_path(unpacker: Unpacker, node: list[Node], depth: int) -> Any:
    import pathlib

    kinds = {"PosixPath": pathlib.PosixPath, "PurePosixPath": pathlib.PurePosixPath}
    return kinds[node[1]](_of(str, node[2]))


UNPACK["numpy"], UNPACK["path"] = _unpack_numpy, _unpack_path
