"""Two processes that use each other's objects, and one of them is hostile: a test's side and the program's.

    judge      peer = Peer(read_fd, write_fd, trusted=True, largest=1 << 20); peer.deadline = time.monotonic() + 5
               names = Names(peer, vars(builtins)); names.expect(subject); exec(code, names)
    candidate  serve(Peer(read_fd, write_fd, trusted=False, largest=1 << 28), namespace)

Requests and replies go over two pipes, one at a time; while a side waits for its reply it answers the other's requests,
so that a lambda of the test can be the `key=` of a sort over there. Values are copied (values.py), containers that were
passed are kept equal (shares.py), all else stays where it is and is used from afar (remote.py, objects.py). What the
candidate may do here is in allowed.py; what a test sees of the candidate's names is in names.py.

Whatever the other side sends, the judge ends in one of the ExchangeErrors below, in time. None of them is an Exception,
so no test can swallow one by accident; the first is kept in `peer.failure`.
Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any

import allowed
from channel import Channel, GoneError, SlowError, TooLargeError
from names import Names
from objects import Objects
from packing import PLAIN, DeepError, ExchangeError, Node, Packer, ProtocolError, Unpacker
from remote import Remote
from serving import Outcome, outcome_of
from values import decode, encode

__all__ = [
    "DeepError",
    "ExchangeError",
    "ExitedError",
    "GoneError",
    "Names",
    "Peer",
    "ProtocolError",
    "Remote",
    "SlowError",
    "TooLargeError",
    "is_remote_error",
    "serve",
]

NESTED = 60
"""How often a call may lead to a call back and so on."""
GONE = 1000
"""How many objects are let go of in one message."""
REPLIES = frozenset({"ok", "no", "exit", "deep", "large"})
REQUEST, REPLY = 9, 6
"""How many parts a message has."""
_FIXED = {
    "memory": b'["no",%d,["x","MemoryError",0,[],"",null],[],[],""]',
    "deep": b'["deep",%d,null,[],[],""]',
    "large": b'["large",%d,null,[],[],""]',
}
"""Replies that are written without taking memory."""


class ExitedError(SystemExit):
    """The program raised SystemExit, KeyboardInterrupt or the like (`name`) when it was called; `code` is its code."""

    def __init__(self, name: str, code: Any) -> None:
        super().__init__(code)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name}({self.code!r:.100})"


class Peer:
    """The other side. Of a judge's peer nothing that comes is believed (`trusted`: this side is the one to be trusted).

    `deadline`: until when (time.monotonic) any request must be answered, SlowError after it. `largest`: bytes of a
    message either way. `failure`: the first ExchangeError, if there was one.
    """

    def __init__(self, read_fd: int, write_fd: int, *, trusted: bool, largest: int) -> None:
        self.trusted = trusted
        self.failure: ExchangeError | None = None
        self.namespace: MutableMapping[str, Any] = {}
        self.forgotten: list[list[int]] = []
        self.objects = Objects(self)
        self.shares = self.objects.shares
        self._channel = Channel(read_fd, write_fd, largest=largest, blocking=not trusted)
        self._lock = threading.RLock()
        self._stdout = sys.stdout
        self._broken = False
        self._asked = self._nested = 0
        self._waiting: set[int] = set()
        self._given_up: set[int] = set()
        self._early: dict[int, Node] = {}
        self._redefined: frozenset[str] | None = None
        self.loop: Any = None

    @property
    def deadline(self) -> float | None:
        return self._channel.deadline

    @deadline.setter
    def deadline(self, value: float | None) -> None:
        self._channel.deadline = value

    # --- what can be asked ---

    def fetch(self, name: str) -> tuple[Any, tuple[str, str] | None]:
        """A global of the program, and the (module, name) of the library it says it has it from. KeyError."""
        found = self._ask("fetch", 0, name, ring=True)
        if found is None:
            raise KeyError(name)
        value, origin = found
        return value, origin

    def names(self) -> list[str]:
        """The program's globals."""
        return [name for name in self._ask("names", 0, "") if type(name) is str]

    def redefined(self, builtins: Mapping[str, Any]) -> frozenset[str]:
        """The names of built-ins that the program had given a meaning of its own when this was first asked."""
        if self._redefined is None:
            self._redefined = frozenset(self.names()) & builtins.keys()
        return self._redefined

    def put(self, name: str, *value: Any) -> None:
        """Set a global of the program, or delete it if there is no value."""
        self._ask("put", 0, name, value)

    def call(self, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._ask("call", number, "", args, kwargs, lend=True)

    def get(self, number: int, name: str) -> Any:
        return self._ask("get", number, name, ring=True)

    def set(self, number: int, name: str, value: Any) -> None:
        self._ask("set", number, name, (value,))

    def drop(self, number: int, name: str) -> None:
        self._ask("drop", number, name)

    def operate(self, number: int, name: str, args: tuple[Any, ...]) -> Any:
        return self._ask("op", number, name, args, lend=bool(args), ring=name == "__getitem__")

    def run(self, number: int) -> Any:
        """Await an awaitable over there."""
        return self._ask("run", number, "")

    def subclass(self, number: int, name: str, bases: tuple[Any, ...], space: dict[str, Any]) -> Any:
        """A class that a test derives from one of the program's."""
        body = {each: value for each, value in space.items() if not each.startswith("__") or each in allowed.OPERATORS}
        if "__init__" in space:
            body["__init__"] = space["__init__"]
        return self._ask("subclass", number, name, (bases, body))

    # --- asking ---

    def _ask(
        self,
        kind: str,
        number: int,
        name: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        lend: bool = False,
        ring: bool = False,
    ) -> Any:
        """Send a request and wait for its reply. `lend`: the arguments are shared meanwhile, `ring`: the result is."""
        if not self._lock.acquire(timeout=self._patience()):
            raise self._failed(SlowError("another thread is still waiting for its answer"))
        keys: list[Any] = []
        try:
            if self._broken:
                raise GoneError("the other side has failed before") from self.failure
            self._asked = asked = self._asked + 1
            packer = self._packer()
            packed = [packer.pack(each) for each in args]
            named = {each: packer.pack(value) for each, value in kwargs.items()} if kwargs else {}
            listening = self.trusted and sys.stdout is not self._stdout
            keys = self._send(packer, [kind, asked, number, name, packed, named], listening, lend=lend)
            return self._read_reply(self._reply_to(asked), ring)
        except StopIteration as error:
            if kind == "op" and name in allowed.STOPPING:
                raise
            raise RuntimeError("the program raised StopIteration") from error
        except ExchangeError as error:
            self._broken = self._broken or isinstance(error, ProtocolError)
            raise self._failed(error) from None
        finally:
            self.shares.end(keys)
            self._lock.release()

    def _patience(self) -> float:
        """Seconds that a thread waits for its turn; -1 is for ever."""
        try:
            left = self._channel.left()
        except SlowError:
            return 0.0
        return -1 if left is None else left

    def _packer(self) -> Packer:
        self.objects.fresh.clear()
        return Packer(self.objects.outside, self.shares.places)

    def _send(self, packer: Packer, head: list[Node], last: Node, *, lend: bool = False) -> list[Any]:
        """Send a message: `head`, what has changed here, what is no longer held here, and `last`.

        With `lend`, the containers of `head` are shared from now on: their keys.
        """
        items = packer.items[:] if lend else ()
        gone = self.forgotten[:GONE]
        del self.forgotten[:GONE]
        try:
            changes = self.shares.changes(packer) if self.shares.table else []
            self._channel.send(encode([*head, changes, gone, last]))
        except (TooLargeError, DeepError):
            self.forgotten += gone
            self.objects.undescribe()
            raise
        return self.shares.lend(items, mine=True) if items else []

    def _reply_to(self, asked: int) -> list[Node]:
        """The reply to a request; until it comes, what the other side asks for is done."""
        self._waiting.add(asked)
        try:
            while asked not in self._early:
                message = self._receive()
                number = message[1]
                if message[0] not in REPLIES:
                    self._answer(message)
                elif number == asked:
                    return message
                elif number in self._waiting:
                    self._early[number] = message
                elif number in self._given_up:
                    self._given_up.discard(number)
                else:
                    raise ProtocolError("an answer to no question")
            return self._early.pop(asked)
        except BaseException:
            self._given_up.add(asked)
            raise
        finally:
            self._waiting.discard(asked)

    def _receive(self) -> list[Node]:
        try:
            message = decode(self._channel.receive())
        except ExchangeError:
            self._broken = True
            raise
        if type(message) is not list or len(message) not in (REPLY, REQUEST) or type(message[1]) is not int:
            raise ProtocolError("no message")
        if type(message[0]) is not str or (message[0] in REPLIES) != (len(message) == REPLY):
            raise ProtocolError("no message")
        return message

    def _read_reply(self, message: list[Node], ring: bool) -> Any:
        kind, _, node, changes, forgotten, printed = message
        if kind in ("deep", "large"):
            raise (DeepError if kind == "deep" else TooLargeError)("what the program gave cannot be sent")
        if changes or forgotten or (type(node) not in PLAIN and type(node) is not int):
            (node,), keys = self._read([node], changes, forgotten, lent=ring)
            self.shares.keep(keys, mine=False)
        if printed and type(printed) is str and sys.stdout is not self._stdout:
            sys.stdout.write(printed)
        if kind == "ok":
            return node
        if kind == "no" and isinstance(node, Exception):
            raise node
        name, code = node if type(node) is tuple and len(node) == 2 else ("BaseException", None)
        raise ExitedError(str(name)[:100], code)

    def _read(self, nodes: list[Node], changes: Node, forgotten: Node, *, lent: bool) -> tuple[list[Any], list[Any]]:
        """The values of a message and the keys of what it lends; what has changed over there is changed here."""
        unpacker = Unpacker(self.objects.inside)
        try:
            values = [unpacker.unpack(node) for node in nodes]
            keys = self.shares.lend(unpacker.items, mine=False) if lent and unpacker.items else []
            if changes:
                self.shares.apply(changes, unpacker)
            if forgotten:
                self.objects.forget(forgotten)
            return values, keys
        except RecursionError:
            if not self.trusted:
                raise  # the program's own, which it may handle
            self._broken = True
            raise DeepError("a value nested too deep") from None
        except Exception as error:  # the one place where bytes that make no sense become a failure
            raise ProtocolError(f"{type(error).__name__} in what came: {error}") from None

    def _failed(self, error: ExchangeError) -> ExchangeError:
        if self.failure is None:
            self.failure = error
        return error

    # --- answering ---

    def serve_one(self) -> None:
        """Wait for one request and answer it."""
        with self._lock:
            message = self._receive()
        if message[0] in REPLIES:
            raise ProtocolError("an answer to no question")
        self._answer(message)

    def _answer(self, message: list[Node]) -> None:
        kind, asked, number, name, packed, named, changes, forgotten, listening = message
        if type(name) is not str or type(packed) is not list or type(named) is not dict:
            raise ProtocolError("no request")
        lent = kind in ("call", "op")
        values, keys = self._read([*packed, *named.values()], changes, forgotten, lent=lent)
        args, kwargs = tuple(values[: len(packed)]), dict(zip(named, values[len(packed) :]))  # noqa: B905
        self._nested += 1
        try:
            if self._nested > NESTED:
                outcome: Outcome = "no", RecursionError("calls back and forth are nested too deep"), ""
            else:
                outcome = outcome_of(self, (kind, number, name), args, kwargs, listening=bool(listening))
            self._reply(asked, outcome, ring=kind in ("get", "fetch") or (kind == "op" and name == "__getitem__"))
        finally:
            self._nested -= 1
            self.shares.end(keys)

    def _reply(self, asked: int, outcome: Outcome, *, ring: bool) -> None:
        kind, value, printed = outcome
        if kind in _FIXED:
            self._channel.send(_FIXED[kind] % asked)
            return
        with self._lock:
            packer = self._packer()
            try:
                try:
                    node = packer.pack(value)
                except Exception as error:  # what cannot be handed over is an answer too
                    packer = self._packer()
                    kind, node = "no", packer.pack(error)
                keys = self._send(packer, [kind, asked, node], printed, lend=ring)
                self.shares.keep(keys, mine=True)
            except (DeepError, TooLargeError) as error:
                self._channel.send(_FIXED["deep" if isinstance(error, DeepError) else "large"] % asked)


def is_remote_error(error: BaseException) -> bool:
    """Whether the program raised it, not the test."""
    return "_far_" in vars(error)


def serve(peer: Peer, namespace: MutableMapping[str, Any]) -> None:
    """Answer the judge's requests with these globals, until it hangs up."""
    peer.namespace = namespace
    try:
        while True:
            peer.serve_one()
    except GoneError:
        return
