"""Containers as plain data: the part of the codec that walks values; values.py has its table of types.

A scalar is its JSON self; everything else is a JSON list that begins with a tag. Shared and cyclic containers keep
their identity: each is numbered in pre-order, and `["@", number]` is that one again. Whatever has no tag in the table
is handed to `outside` (writing) and `inside` (reading): the objects that stay where they are.

Refuses what is nested too deep and a cycle through a tuple (DeepError), and what is no such data (ProtocolError).
Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import Any

LEVELS = 300
"""How deep containers may nest. Each level is two frames of Python's own stack, of which it allows 1000."""
BIG = 1 << 63
CROWD = 256
"""From how many keys on their hashes are looked at: keys of one hash would take quadratic time."""


class ExchangeError(BaseException):
    """The other side has failed as a partner. Not an Exception: no test's `except Exception` may hide it."""


class DeepError(ExchangeError):
    """Nested too deep."""


class ProtocolError(ExchangeError):
    """What came is no message."""


NoneType = type(None)
PLAIN = frozenset({str, bool, NoneType, float})

_INTS = frozenset({int})

Node = Any
"""A JSON value."""
PACK: dict[type, Callable[[Packer, Any, int], Node]] = {}
UNPACK: dict[str, Callable[[Unpacker, list[Node], int], Any]] = {}
"""The table of types and tags, filled by values.py."""


class Packer:
    """Writes the values of one message. `items`: its containers by number."""

    __slots__ = ("items", "keys", "known", "open", "outside", "places")

    def __init__(self, outside: Callable[[Any, Packer, int], Node], known: dict[int, Node] | None = None) -> None:
        """`known`: how to write containers that the other side has already, by identity."""
        self.outside = outside
        self.known = known
        self.items: list[Any] = []
        self.places: dict[int, int] = {}
        self.open: set[int] = set()
        self.keys = 0

    def add(self, value: Any) -> int:
        """Number a container."""
        place = self.places[id(value)] = len(self.items)
        self.items.append(value)
        return place

    def pack(self, value: Any, depth: int = 0) -> Node:
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is int:
            return value if -BIG <= value < BIG else ["i", f"{value:x}"]
        place = self.places.get(id(value))
        # As a key a tuple is written out each time, see Unpacker.refer.
        if place is not None and not (self.keys and isinstance(value, tuple)):
            if place in self.open:
                raise DeepError("a cycle through a tuple")
            return ["@", place]
        if self.known and id(value) in self.known:
            return self.known[id(value)]
        if depth > LEVELS:
            raise DeepError(f"a value nested more than {LEVELS} levels deep")
        if kind is list:
            self.add(value)
            return self.row(["l"], value, depth)
        if kind is tuple:
            place = self.add(value)
            self.open.add(place)
            node = self.row(["t"], value, depth)
            self.open.discard(place)
            return node
        if kind is dict:
            self.add(value)
            return self.pairs(["d"], value, depth)
        maker = PACK.get(kind)
        return self.outside(value, self, depth) if maker is None else maker(self, value, depth)

    def row(self, node: list[Node], values: Iterable[Any], depth: int) -> list[Node]:
        """Append the elements to `node`."""
        kinds = set(map(type, values))
        if kinds <= PLAIN or (kinds == _INTS and min(values) >= -BIG and max(values) < BIG):
            node += values
            return node
        for value in values:
            node.append(self.pack(value, depth + 1))
        return node

    def pairs(self, node: list[Node], table: Any, depth: int) -> list[Node]:
        # A copy: an object's hash may be asked of the other side, which may change the table meanwhile.
        for key, value in list(table.items()):
            node.append(key if type(key) is str else self.key(key, depth + 1))
            node.append(self.pack(value, depth + 1))
        return node

    def key(self, value: Any, depth: int) -> Node:
        self.keys += 1
        node = self.pack(value, depth)
        self.keys -= 1
        return node

    def members(self, node: list[Node], values: Iterable[Any], depth: int) -> list[Node]:
        self.keys += 1
        self.row(node, values, depth)
        self.keys -= 1
        return node


class Unpacker:
    """Reads the values of one message; anything amiss is an exception of some kind, which its caller turns into a
    ProtocolError. `items`: its containers by number."""

    __slots__ = ("inside", "items", "keys")

    def __init__(self, inside: Callable[[list[Node], Unpacker, int], Any]) -> None:
        self.inside = inside
        self.items: list[Any] = []
        self.keys = 0

    def unpack(self, node: Node, depth: int = 0) -> Any:
        kind = type(node)
        if kind in PLAIN or kind is int:
            return node
        if kind is not list:
            raise ProtocolError(f"a {kind.__name__} where a value should be")
        if depth > LEVELS + 10:
            raise DeepError(f"a value nested more than {LEVELS} levels deep")
        tag = node[0]
        if tag == "l":
            row: list[Any] = []
            self.items.append(row)
            return self.row(row, node, depth)
        if tag == "t":
            place = self.reserve()
            value = self.items[place] = tuple(self.row([], node, depth))
            return value
        if tag == "d":
            table: dict[Any, Any] = {}
            self.items.append(table)
            return self.fill(table, node, depth)
        maker = UNPACK.get(tag)
        return self.inside(node, self, depth) if maker is None else maker(self, node, depth)

    def reserve(self) -> int:
        """The number of a container that cannot be made before its elements."""
        self.items.append(_UNFINISHED)
        return len(self.items) - 1

    def row(self, row: list[Any], node: list[Node], depth: int) -> list[Any]:
        """Add the elements of `node` after its tag to `row`."""
        row += node[1:]
        kinds = set(map(type, row))
        if list in kinds or dict in kinds:
            row.clear()
            for each in node[1:]:
                row.append(self.unpack(each, depth + 1))
        return row

    def key(self, node: Node, depth: int) -> Any:
        self.keys += 1
        value = self.unpack(node, depth)
        self.keys -= 1
        return value

    def fill(self, table: Any, node: list[Node], depth: int, start: int = 1) -> Any:
        """Add the pairs of `node` from `start` on to `table`."""
        if (len(node) - start) % 2:
            raise ProtocolError("a key without a value")
        keys, values = [], []
        for place in range(start, len(node), 2):
            key = node[place]
            keys.append(key if type(key) is str else self.key(key, depth + 1))
            values.append(self.unpack(node[place + 1], depth + 1))
        not_crowded(keys)
        for place, key in enumerate(keys):
            table[key] = values[place]
        return table

    def members(self, node: list[Node], depth: int, start: int = 1) -> list[Any]:
        """The elements of a set."""
        self.keys += 1
        values = self.row([], node[start - 1 :], depth)
        self.keys -= 1
        not_crowded(values)
        return values

    def refer(self, node: list[Node], depth: int) -> Any:
        value = self.items[_whole(node[1])]
        # The hash of tuples that share tuples takes exponential time: in a key each must be written out.
        if value is _UNFINISHED or (self.keys and isinstance(value, tuple)):
            raise ProtocolError("a reference to what cannot be referred to")
        return value


_UNFINISHED = object()


def not_crowded(keys: list[Any]) -> None:
    """ProtocolError if many keys have the same hash: nothing but an attack has."""
    if len(keys) > CROWD and collections.Counter(map(hash, keys)).most_common(1)[0][1] > CROWD:
        raise ProtocolError("too many keys with the same hash")


def _whole(node: Node) -> int:
    if type(node) is not int or node < 0:
        raise ProtocolError("no number of a container")
    return node


UNPACK["@"] = Unpacker.refer
