"""What a request of the other side does: one function that performs it, and one that says how it went.

On the judge's side every step passes the gate of allowed.py, and only what concerns objects that were handed over can
be asked at all. On the candidate's side everything may be asked; a call may exit, run out of memory or raise anything,
and all of it is an outcome. Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import io
import sys
import types
from typing import Any

import allowed
from channel import TooLargeError
from packing import PLAIN, DeepError, ExchangeError, ProtocolError

PRINTED = 1 << 16
"""Characters that one call may print for a test that listens."""
Outcome = tuple[str, Any, str]
"""(kind of the reply, its value, what was printed)"""


class Printed(io.StringIO):
    """What is printed, up to a limit."""

    def write(self, text: str) -> int:
        room = PRINTED - self.tell()
        super().write(text if len(text) <= room else text[: max(0, room)])
        return len(text)


def outcome_of(
    peer: Any, asked: tuple[str, int, str], args: tuple[Any, ...], kwargs: dict[str, Any], *, listening: bool
) -> Outcome:
    """Perform a request. ExchangeErrors and, on the judge's side, what ends the test go through."""
    printed, stdout = Printed() if listening and not peer.trusted else None, sys.stdout
    if printed is not None:
        sys.stdout = printed
    try:
        kind, value = "ok", _perform(peer, *asked, args, kwargs)
    except ExchangeError as error:
        if peer.trusted or not isinstance(error, (DeepError, TooLargeError)):
            raise
        kind, value = "deep" if isinstance(error, DeepError) else "large", None
    except MemoryError:
        kind, value = "memory", None
    except Exception as error:  # what was asked for may raise anything
        kind, value = "no", error if peer.trusted else error.with_traceback(None)
    except BaseException as error:
        if peer.trusted:
            raise
        code = getattr(error, "code", None)
        kind, value = "exit", (type(error).__name__, code if type(code) in (int, str) else None)
    finally:
        if printed is not None:
            sys.stdout = stdout
    return kind, value, "" if printed is None else printed.getvalue()


def _perform(peer: Any, kind: str, number: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if kind in ("fetch", "names", "put", "subclass"):
        if peer.trusted:
            raise ProtocolError(f"a judge has no {kind!r}")
        return _ASKED_OF_PROGRAM[kind](peer, number, name, args)
    value = peer.objects.mine(number)
    if kind == "call":
        return value(*args, **kwargs)
    if kind == "op":
        if name not in allowed.OPERATORS:
            raise ProtocolError(f"no operator {name!r}")
        found = allowed.OPERATORS[name](value, *args)
        return finish(peer, found) if name in allowed.AWAITED else found
    if kind == "get":
        if not peer.trusted:
            return getattr(value, name)
        allowed.check_get(value, name)
        found = getattr(value, name)
        allowed.check_shown(name, found)
        return found
    if kind == "run":
        return finish(peer, value)
    if kind not in ("set", "drop"):
        raise ProtocolError("an unknown request")
    if peer.trusted:
        allowed.check_set(value, name)
    return setattr(value, name, args[0]) if kind == "set" else delattr(value, name)


def finish(peer: Any, awaitable: Any) -> Any:
    """Run an awaitable to its end, even if an event loop is running here (the other side waits in it)."""
    import asyncio

    async def waiting() -> Any:
        return await awaitable

    # One loop for all calls, as locks, queues and generators of one call may be used in the next.
    if peer.loop is None:
        peer.loop = asyncio.new_event_loop()
    loop = asyncio.new_event_loop() if peer.loop.is_running() else peer.loop
    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        return loop.run_until_complete(waiting())
    finally:
        asyncio._set_running_loop(outer)
        if loop is not peer.loop:
            loop.close()


# --- of the program alone -----------------------------------------------------------------------------------------


def _fetch(peer: Any, number: int, name: str, args: tuple[Any, ...]) -> Any:
    """(value, where it has it from), or None if there is no such global."""
    if name not in peer.namespace:
        return None
    value = peer.namespace[name]
    if type(value) in PLAIN:
        return value, None
    if isinstance(value, types.ModuleType):
        return value, (value.__name__, "")
    for module in allowed.SHARED:
        if module in sys.modules and vars(sys.modules[module]).get(name) is value:
            return value, (module, name)
    return value, None


def _names(peer: Any, number: int, name: str, args: tuple[Any, ...]) -> list[str]:
    return [each for each in peer.namespace if type(each) is str]


def _put(peer: Any, number: int, name: str, args: tuple[Any, ...]) -> None:
    if args:
        peer.namespace[name] = args[0]
    else:
        del peer.namespace[name]


def _subclass(peer: Any, number: int, name: str, args: tuple[Any, ...]) -> type:
    bases, body = args
    return types.new_class(name, bases, {}, lambda space: space.update(body))


_ASKED_OF_PROGRAM = {"fetch": _fetch, "names": _names, "put": _put, "subclass": _subclass}
