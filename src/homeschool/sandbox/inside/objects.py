"""The objects that stay where they are: ours that the other side holds, theirs that we hold, and how both are named.

An object crosses as a number. Coming back it is the very same object. A handle counts how often it was sent, so that
letting go here while it is sent anew over there cannot free it too early.

Tags, beside those of values.py: `y` yours, `h` an object of mine, `v` a value of a subclass, `x` an exception, `c` a
class, `$` a shared container, and from the judge alone `n` a thing of the standard library and `u` how to make one.
Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import collections
import functools
import weakref
from typing import Any

import allowed
import classes
from packing import Node, Packer, ProtocolError, Unpacker
from remote import Handle, Remote, RemoteType, handle_of
from shares import Shares, content, refill
from values import MUTABLE, NAMES, TYPES, pack_foreign

MOST_CLASSES = 5_000
MOST_OBJECTS = 200_000
MOST_KEPT = 4_096
FOREVER = 1 << 60


class Objects:
    """Both tables of one peer."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.trusted: bool = peer.trusted
        self.shares = Shares()
        self.fresh: list[int] = []
        """Classes described in the message that is being written."""
        self._mine: dict[int, list[Any]] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0
        self._described: set[int] = set()
        self._theirs: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._kept: dict[int, Any] = {}
        """Members of enumerations that are ints or tuples: they can only be kept for good."""
        self._classes: dict[int, Any] = {}

    # --- ours ---

    def mine(self, number: Node) -> Any:
        """Our object of that number. ProtocolError if the other side holds none."""
        entry = self._mine.get(number) if type(number) is int else None
        if entry is None:
            raise ProtocolError("an object that was never handed over")
        return entry[0]

    def hold(self, value: Any, times: int = 1) -> int:
        """The number of an object of ours that is sent."""
        number = self._numbers.get(id(value))
        if number is None:
            if self.trusted and len(self._mine) > MOST_OBJECTS:
                raise ProtocolError("too many objects are held")
            self._last = number = self._last + 1
            self._numbers[id(value)] = number
            self._mine[number] = [value, 0]
        self._mine[number][1] += times
        return number

    def forget(self, forgotten: list[Node]) -> None:
        """The other side has let go of some."""
        for number, count in forgotten:
            entry = self._mine.get(number)
            if entry is None or type(count) is not int or count < 0:
                raise ProtocolError("an object that was never handed over")
            entry[1] -= count
            if entry[1] <= 0:
                del self._mine[number], self._numbers[id(entry[0])]
                self.shares.end([(True, -number)])

    def undescribe(self) -> None:
        """The message was not sent after all."""
        self._described.difference_update(self.fresh)

    # --- writing ---

    def outside(self, value: Any, packer: Packer, depth: int) -> Node:
        """What is no plain value."""
        kind: Any = type(value)
        if kind is RemoteType and value._home_ is not None and value._home_[0] is self.peer:
            return ["y", value._home_[1]]
        if type(kind) is RemoteType:
            far = vars(value).get("_far_") if not issubclass(kind, Remote) else handle_of(value)
            if isinstance(far, Handle) and far.peer is self.peer:
                return ["y", far.number]
        if self.trusted:
            node = self._own_way(value, packer, depth)
            if node is not None:
                return node
        if isinstance(value, BaseException):
            return self._write_error(value, packer, depth)
        if isinstance(value, type):
            return ["c", self._write_class(value)]
        foreign = pack_foreign(packer, value, depth)
        if foreign is not None:
            return foreign
        kind = classes.class_of(value)
        base = classes.ROOTS.get(classes.root_of(kind))
        if base is not None:
            return self._write_value(value, kind, base, packer, depth)
        return ["h", self.hold(value), self._write_class(kind)]

    def _own_way(self, value: Any, packer: Packer, depth: int) -> Node | None:
        """What the judge hands over under another form, or not at all (TypeError)."""
        name = allowed.library_name(value)
        if name is not None:
            return ["n", name]
        recipe = allowed.recipe(value)
        if recipe is not None:
            return ["u", *(packer.pack(part, depth + 2) for part in recipe)]
        allowed.check_handed(value)
        return None

    def _write_class(self, kind: type) -> Node:
        name = NAMES.get(kind)
        if name is not None:
            return name
        number = self.hold(kind, FOREVER)
        if number in self._described:
            return number
        self._described.add(number)
        self.fresh.append(number)
        node, bases = classes.describe(kind)
        if self.trusted:
            node[2] = ""  # a test's words are not for the program
        return [number, [self._write_class(base) for base in bases], node]

    def _write_error(self, error: BaseException, packer: Packer, depth: int) -> Node:
        kind = type(error)
        args = error.__reduce__()[1] if kind in NAMES and isinstance(error, OSError) else error.args
        number, text = 0, ""
        if kind not in NAMES:
            number = self.hold(error)
            try:
                text = str.__str__(str(error))
            except Exception:  # a program's own __str__ may do anything
                text = kind.__name__
        ref = self._write_class(kind)
        cause = error.__cause__
        packed = [packer.pack(each, depth + 2) for each in args]
        return ["x", ref, number, packed, text, None if cause is None else packer.pack(cause, depth + 2)]

    def _write_value(self, value: Any, kind: type, base: Any, packer: Packer, depth: int) -> Node:
        place = packer.add(value)
        number = self.hold(value)
        changing = base in MUTABLE
        if changing:
            self.shares.follow((True, -number), value, base, None)
        else:
            packer.open.add(place)
        ref = self._write_class(kind)
        node = packer.pack(classes.plain_of(value, base), depth + 1)
        packer.open.discard(place)
        return ["v", number, ref, hasattr(kind, "__members__"), node]

    # --- reading ---

    def inside(self, node: list[Node], unpacker: Unpacker, depth: int) -> Any:
        tag = node[0]
        if tag == "y":
            return self.mine(node[1])
        if tag == "h":
            return self._proxy(node[1], self._read_class(node[2]))
        if tag == "$":
            return self.shares.find(node[1], node[2]).get()
        if tag == "c":
            return self._read_class(node[1])
        if tag == "v":
            return self._read_value(node, unpacker, depth)
        if tag == "x":
            return self._read_error(node, unpacker, depth)
        if not self.trusted and tag == "n":
            return allowed.library_value(node[1])
        if not self.trusted and tag == "u":
            function, args, kwargs = (unpacker.unpack(each, depth + 2) for each in node[1:])
            if isinstance(function, type) and function in allowed.GETTERS:
                return function(*args)
            return functools.partial(function, *args, **kwargs)
        raise ProtocolError("an unknown tag")

    def _read_class(self, ref: Node) -> Any:
        if type(ref) is str:
            return TYPES[ref]
        if type(ref) is int:
            return self._classes[ref]
        number, bases, description = ref
        if type(number) is not int or len(self._classes) >= MOST_CLASSES:
            raise ProtocolError("a class too many")
        above = [self._read_class(base) for base in bases]
        kind = self._classes[number] = classes.build(self.peer, number, description, above)
        return kind

    def _known(self, number: Node, kind: Any) -> Any:
        """The object here that stands for theirs of that number, if there is one."""
        if type(number) is not int or type(kind) is not RemoteType:
            raise ProtocolError("no object of a class")
        known = self._theirs.get(number)
        if known is None:
            known = self._kept.get(number)
        if known is not None:
            handle_of(known).count += 1
        return known

    def _proxy(self, number: Node, kind: Any) -> Any:
        known = self._known(number, kind)
        if known is not None:
            return known
        if "_finish_" in vars(kind):
            return _finished(Handle(self.peer, number))
        proxy = object.__new__(kind)
        object.__setattr__(proxy, "_far_", Handle(self.peer, number))
        self._theirs[number] = proxy
        return proxy

    def _read_value(self, node: list[Node], unpacker: Unpacker, depth: int) -> Any:
        _, number, ref, keep, plain = node
        kind = self._read_class(ref)
        value = self._known(number, kind)
        base: Any = next((each for each in kind.__mro__ if each in MUTABLE), None)
        if base is None:
            place = unpacker.reserve()
            plain = unpacker.unpack(plain, depth + 1)
            if value is None:
                value = classes.value_of(kind, plain, Handle(self.peer, number))
            unpacker.items[place] = value
        else:
            if value is None:
                value = classes.empty_value(kind, Handle(self.peer, number))
            unpacker.items.append(value)
            plain = unpacker.unpack(plain, depth + 1)
            if type(plain) is not base:
                raise ProtocolError(f"a {type(plain).__name__} as a {base.__name__}")
            if base is collections.deque:
                collections.deque.__init__(value, (), plain.maxlen)
            if base is collections.defaultdict:
                collections.defaultdict.default_factory.__set__(value, plain.default_factory)  # type: ignore[attr-defined]
            refill(value, base, content(plain, base))
            self.shares.follow((False, -number), value, base, weakref.ref(value))
        if type(value).__weakrefoffset__:
            self._theirs[number] = value
        elif keep is True and len(self._kept) < MOST_KEPT:
            self._kept[number] = value
        return value

    def _read_error(self, node: list[Node], unpacker: Unpacker, depth: int) -> BaseException:
        _, ref, number, packed, text, cause = node
        kind = self._read_class(ref)
        args = tuple([unpacker.unpack(each, depth + 2) for each in packed])
        if type(text) is not str or type(number) is not int:
            raise ProtocolError("no exception")
        known = self._known(number, kind) if number and type(kind) is RemoteType else None
        if known is not None:
            return known
        handle = Handle(self.peer, number) if number else None
        error = classes.error_of(kind, args, text, handle)
        if number and type(kind) is RemoteType:
            self._theirs[number] = error
        if cause is not None:
            above = unpacker.unpack(cause, depth + 2)
            error.__cause__ = above if isinstance(above, BaseException) else None
        return error


async def _finished(handle: Handle) -> Any:
    """A coroutine of theirs: awaited, it runs to its end over there."""
    return handle.peer.run(handle.number)
