"""Containers that both sides hold a copy of, kept equal: a list that the other side sorts in place is sorted here too.

What is lent is numbered by the side that sends it, in pre-order, so that both count alike. Only one side runs at a
time; with each message it tells what it has changed since the last one, found by comparing the elements with those of
a shallow copy, by identity. Arguments are shared while the call lasts; what was reached through an attribute, an index
or a name is shared until LENT others have been; subclasses of containers as long as they are held.

Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable
from typing import Any

from packing import Node, Packer, ProtocolError, Unpacker
from values import MUTABLE

LENT = 32
LARGE = 10_000
"""Containers of more elements are compared only for the time of a call."""
Key = tuple[bool, int]
"""Whether it is numbered by us, and the number: of the container, or minus that of a handle."""


class Share:
    """One container. `held` gives it, or None if it is gone; `seen` is what was in it when both were equal."""

    __slots__ = ("base", "held", "place", "seen", "value")

    def __init__(self, value: Any, base: Any, held: Callable[[], Any] | None, place: int) -> None:
        """`held` for one that is not to be kept alive here."""
        self.value, self.base, self.held, self.place = value if held is None else None, base, held, place
        self.seen = tuple(value) if base is list else snapshot(value, base)

    def get(self) -> Any:
        return self.value if self.held is None else self.held()


class Shares:
    """The containers that are shared at present. `places`: by identity, as the sender would name them."""

    def __init__(self) -> None:
        self.table: dict[Key, Share] = {}
        self.places: dict[int, Node] = {}
        self.count = {True: 0, False: 0}
        self.rings: dict[bool, collections.deque[Key]] = {True: collections.deque(), False: collections.deque()}

    def lend(self, items: list[Any], *, mine: bool) -> list[Key]:
        """Share the mutable ones among the containers of a message that was sent (`mine`) or read."""
        keys: list[Key] = []
        for value in items:
            if type(value) in MUTABLE:
                self.count[mine] += 1
                key = (mine, self.count[mine])
                keys.append(key)
                self._add(key, value)
        return keys

    def keep(self, keys: list[Key], *, mine: bool) -> None:
        """Share these until many others have been shared, but not the large ones."""
        line = self.rings[mine]
        for key in keys:
            if len(self.table[key].seen) > LARGE:
                self.end([key])
            else:
                line.append(key)
        while len(line) > LENT:
            self.end([line.popleft()])

    def _add(self, key: Key, value: Any) -> None:
        self.places[id(value)] = ["$", int(key[0]), key[1]]
        self.table[key] = Share(value, type(value), None, id(value))

    def follow(self, key: Key, value: Any, base: type, held: Callable[[], Any] | None) -> None:
        """Share an instance of a subclass of a container; it is known by its handle, and so has no place."""
        if key not in self.table:
            self.table[key] = Share(value, base, held, 0)

    def end(self, keys: list[Key]) -> None:
        for key in keys:
            share = self.table.pop(key, None)
            if share is not None:
                self.places.pop(share.place, None)

    def find(self, mine: Node, number: Node) -> Share:
        """By the name that the other side gives it. KeyError if there is none."""
        if type(mine) is not int or type(number) is not int:
            raise ProtocolError("no number of a container")
        return self.table[(not mine, number)]

    def changes(self, packer: Packer) -> list[Node]:
        """What has changed since the last message."""
        changed: list[Node] = []
        for key, share in list(self.table.items()):
            value = share.get()
            if value is None:
                del self.table[key]
                continue
            now = tuple(value) if share.base is list else snapshot(value, share.base)
            if not unchanged(now, share.seen):
                share.seen = now
                changed.append([int(key[0]), key[1], packer.pack(content(value, share.base))])
        return changed

    def apply(self, changed: list[Node], unpacker: Unpacker) -> None:
        for mine, number, node in changed:
            share = self.find(mine, number)
            new = unpacker.unpack(node)
            value = share.get()
            if value is not None:
                refill(value, share.base, new)
                share.seen = snapshot(value, share.base)


def snapshot(value: Any, base: Any) -> Any:
    if base is bytearray:
        return bytes(value)
    if issubclass(base, dict):
        return (*base.__iter__(value), *base.values(value))
    return tuple(base.__iter__(value))


def unchanged(now: Any, seen: Any) -> bool:
    if type(now) is bytes:
        return now == seen
    return len(now) == len(seen) and all(map(operator.is_, now, seen))


def content(value: Any, base: Any) -> Any:
    """What is in it, as a value of its own: bytes, a list, a set or a dict."""
    if base is bytearray:
        return bytes(value)
    if issubclass(base, dict):
        return {key: base.__getitem__(value, key) for key in base.__iter__(value)}
    return set(set.__iter__(value)) if base is set else list(base.__iter__(value))


def refill(value: Any, base: Any, new: Any) -> None:
    """Replace what is in a container. ProtocolError if `new` is not of the kind that `content` gives."""
    wanted: type = bytes if base is bytearray else dict if issubclass(base, dict) else set if base is set else list
    if type(new) is not wanted:
        raise ProtocolError(f"a {type(new).__name__} as what is in a {base.__name__}")
    fill: Any = base
    if base in (list, bytearray):
        fill.__setitem__(value, slice(None), new)
        return
    base.clear(value)
    if isinstance(new, dict):
        for key, each in new.items():
            fill.__setitem__(value, key, each)
    elif isinstance(new, set):
        fill.update(value, new)
    else:
        fill.extend(value, new)
