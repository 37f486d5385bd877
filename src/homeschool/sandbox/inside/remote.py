"""Objects of the other side, as they look on this one.

Every class over there gets one local class here, with its name, its bases and just the operators that it has; its
metaclass sends what is asked of the class itself. Three kinds: plain objects (instances are Remote), exceptions (real
ones, so that `except Name` works), and subclasses of values such as `class Stack(list)` or an IntEnum (real lists and
ints of their own local class, whose `==`, order, length and hash are those of the base type).

On the judge's side (`trusted`) the other side is hostile, and so it has no say in what decides a test:
- A Remote never equals a plain value, and has no order with one. Between two Remotes the answer must be consistent.
- `plain in remote` counts only if a decoy is denied.
- What arithmetic with a plain value gives is `mixed`: it stays an object, which cannot be turned into a number, a
  truth or a sequence. Else `abs(f(x) - 0.5) < 1e-6` would be true of an object with a clever `__sub__`.
- `startswith`, `issubset` and other questions that one asks of plain values are not put to a Remote.

Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import os
from collections.abc import Callable
from types import MethodType
from typing import Any

import allowed

_SPECIAL = (
    "name qualname doc module dict annotations wrapped version author all defaults kwdefaults members self func "
    "dataclass_fields match_args slots file code closure abstractmethods orig_class origin args parameters"
)
SPECIAL = frozenset(f"__{name}__" for name in _SPECIAL.split())
"""Special attributes that are asked for over there. Others (`__array_interface__`) would let it talk to C code here."""
_BUILT_IN = (int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
_LIBRARY = (decimal.Decimal, fractions.Fraction, datetime.datetime, datetime.timedelta)
OF_VALUES = frozenset(n for kind in (*_BUILT_IN, *_LIBRARY) for n in dir(kind))
QUESTIONS = frozenset(n for kind in (str, set, float) for n in dir(kind) if n.startswith(("is", "starts", "ends")))
GENERATOR = ("send", "throw")
"""Methods of generators that are operators, as they may raise StopIteration."""
_new_class = type.__new__


class Handle:
    """Holds an object over there until it is collected here. `count`: how often it was sent."""

    __slots__ = ("__weakref__", "count", "mixed", "number", "peer")

    def __init__(self, peer: Any, number: int) -> None:
        self.peer, self.number, self.count, self.mixed = peer, number, 1, False

    def __del__(self) -> None:
        self.peer.forgotten.append([self.number, self.count])


def handle_of(value: Any) -> Handle:
    return object.__getattribute__(value, "_far_")


def is_far(value: Any) -> bool:
    """Whether this object, or this class, is the other side's."""
    return type(type(value)) is RemoteType or type(value) is RemoteType


class RemoteType(type):
    """The type of local classes. `_home_`: (peer, number) of the class over there."""

    _home_: tuple[Any, int] | None

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any) -> Any:
        far = [base for base in bases if type(base) is RemoteType and base._home_ is not None]
        if not far:
            return _new_class(cls, name, bases, space)
        # A test derives a class of its own from the program's: it is made over there.
        space.pop("__classcell__", None)
        peer, number = far[0]._home_  # type: ignore[misc]
        return peer.subclass(number, name, bases, space)

    def __init__(cls, *_: Any, **options: Any) -> None:
        """Everything is done in __new__."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        peer, number = _home(cls)
        return peer.call(number, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if (name.startswith("__") and name not in SPECIAL) or cls._home_ is None:
            raise AttributeError(name)
        return cls._home_[0].get(cls._home_[1], name)

    def __setattr__(cls, name: str, value: Any) -> None:
        peer, number = _home(cls)
        peer.set(number, name, value)

    def __delattr__(cls, name: str) -> None:
        peer, number = _home(cls)
        peer.drop(number, name)

    def __instancecheck__(cls, value: Any) -> bool:
        if type.__instancecheck__(cls, value):
            return True
        if cls._home_ is None or not is_far(value):
            return False
        peer, number = cls._home_
        return _exactly(bool, peer.operate(number, "__instancecheck__", (value,)))

    def __bool__(cls) -> bool:
        return True

    def __iter__(cls) -> Any:
        peer, number = _home(cls)
        return peer.operate(number, "__iter__", ())

    def __len__(cls) -> int:
        peer, number = _home(cls)
        return _exactly(int, peer.operate(number, "__len__", ()))

    def __getitem__(cls, key: Any) -> Any:
        peer, number = _home(cls)
        return peer.operate(number, "__getitem__", (key,))

    def __contains__(cls, value: Any) -> bool:
        peer, number = _home(cls)
        return _contains(peer, number, value)


def _home(cls: RemoteType) -> tuple[Any, int]:
    if cls._home_ is None:
        raise TypeError(f"{cls.__name__} has no instances of its own")
    return cls._home_


def _exactly(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"the program gave a {type(value).__name__} where a {kind.__name__} must be")
    return value


# --- instances ----------------------------------------------------------------------------------------------------


def get_attribute(self: Any, name: str) -> Any:
    far = handle_of(self)
    if (name.startswith("__") and name not in SPECIAL) or name == "_as_parameter_":
        raise AttributeError(name)
    if far.peer.trusted and isinstance(self, Remote):
        if name in QUESTIONS:
            return _Question(self, name)
        if far.mixed and name in OF_VALUES:
            raise TypeError(f"{name!r} of what came of an object of the program's and a plain value")
    return far.peer.get(far.number, name)


def set_attribute(self: Any, name: str, value: Any) -> None:
    far = handle_of(self)
    far.peer.set(far.number, name, value)


def delete_attribute(self: Any, name: str) -> None:
    far = handle_of(self)
    far.peer.drop(far.number, name)


def no_pickle(self: Any, *_: Any) -> Any:
    raise TypeError(f"a {type(self).__name__} of the program's cannot be pickled")


class _Question:
    """A method that one asks of plain values, such as `startswith`: only other Remotes are compared with."""

    __slots__ = ("name", "value")

    def __init__(self, value: Any, name: str) -> None:
        self.value, self.name = value, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args or kwargs or not all(isinstance(each, Remote) for each in args):
            raise TypeError(f"{self.name!r} was asked of a {type(self.value).__name__}, which is no plain value")
        far = handle_of(self.value)
        return far.peer.get(far.number, self.name)(*args)


class Attribute:
    """`__dict__` and `__doc__` of an instance are over there; of the class, `doc` is here."""

    def __init__(self, name: str, of_class: Any) -> None:
        self.name, self.of_class = name, of_class

    def __get__(self, value: Any, owner: Any) -> Any:
        return self.of_class if value is None else get_attribute(value, self.name)


class Remote(metaclass=RemoteType):
    """An object of the other side."""

    __slots__ = ("__weakref__", "_far_")
    _home_ = None
    __getattr__, __setattr__, __delattr__ = get_attribute, set_attribute, delete_attribute
    __reduce_ex__ = no_pickle
    __dict__ = Attribute("__dict__", None)  # type: ignore[assignment]


# --- operators ----------------------------------------------------------------------------------------------------


def _operate(self: Any, name: str, args: tuple[Any, ...]) -> Any:
    far = handle_of(self)
    return far.peer.operate(far.number, name, args)


def _unmixed(self: Any, name: str) -> None:
    if handle_of(self).mixed:
        raise TypeError(f"{name} of what came of an object of the program's and a plain value")


def _conversion(name: str, kind: type) -> Callable[..., Any]:
    def convert(self: Any, *args: Any) -> Any:
        if name not in ("__str__", "__repr__", "__hash__"):
            _unmixed(self, name)
        return _exactly(kind, _operate(self, name, args))

    return convert


def _iteration(name: str) -> Callable[..., Any]:
    def iterate(self: Any) -> Any:
        _unmixed(self, name)
        return _operate(self, name, ())

    return iterate


def _unary(name: str) -> Callable[..., Any]:
    def unary(self: Any, *args: Any) -> Any:
        found = _operate(self, name, args)
        return _mixed(found, name) if handle_of(self).mixed else found

    return unary


def arithmetic(name: str, own: Any) -> Callable[..., Any]:
    """`own`: the base type's, which does it if the other operand is plain."""

    def compute(self: Any, other: Any, *modulus: Any) -> Any:
        far = handle_of(self)
        known = not far.peer.trusted or is_far(other)
        if not known and own is not None:
            return own(self, other, *modulus)
        found = _operate(self, name, (other, *modulus))
        pure = known and not far.mixed and not (isinstance(other, Remote) and handle_of(other).mixed)
        joined = isinstance(self, (list, tuple)) and name in ("__add__", "__radd__", "__mul__", "__rmul__")
        return found if pure or (joined and type(found) is type(self)) else _mixed(found, name)

    return compute


def _mixed(value: Any, name: str) -> Any:
    if value is NotImplemented:
        return value
    if not isinstance(value, Remote):
        raise TypeError(f"{name} of an object of the program's and a plain value gave a {type(value).__name__}")
    handle_of(value).mixed = True
    return value


def _equality(want: int) -> Callable[[Any, Any], Any]:
    """`==` (0) and `!=` (1), asked in one question, so that the other side cannot know which is meant."""

    def compare(self: Any, other: Any) -> Any:
        far = handle_of(self)
        if far.peer.trusted and not isinstance(other, Remote):
            return NotImplemented
        answer = _operate(self, "__eq__", (other,))
        if type(answer) is not list or len(answer) != 2:
            raise TypeError("the program gave no answer to ==")
        equal, unequal = (_exactly(bool, each) for each in answer)
        return (unequal and not equal) if want else (equal and not unequal)

    return compare


def _order(name: str) -> Callable[[Any, Any], Any]:
    def compare(self: Any, other: Any) -> Any:
        if handle_of(self).peer.trusted and not isinstance(other, Remote):
            return NotImplemented
        return _exactly(bool, _operate(self, name, (other,)))

    return compare


def _in(self: Any, value: Any) -> bool:
    _unmixed(self, "in")
    far = handle_of(self)
    return _contains(far.peer, far.number, value)


def _contains(peer: Any, number: int, value: Any) -> bool:
    """Whether it says that `value` is in it, and that a decoy is not."""
    if not peer.trusted or is_far(value):
        return peer.operate(number, "__contains__", (value,)) == [True]
    asked = [value, decoy(value)]
    place = os.urandom(1)[0] & 1
    answer = peer.operate(number, "__contains__", (asked[place], asked[1 - place]))
    return answer == ([False, True] if place else [True, False])


def decoy(value: Any) -> Any:
    """Another value of the type of `value`, which hardly any container has that has `value`."""
    noise = int.from_bytes(os.urandom(5), "big")
    kind = type(value)
    if kind in (int, bool):
        # Of another remainder by every small number, and of the other sign: not in the same class of numbers.
        return (-1 if value > 0 else 1) * 30030 * (noise + 1) + value + 1
    if kind is float:
        return -value - 1e9 - noise + 0.37
    if kind in (str, bytes):
        text = "".join(chr(97 + byte % 26) for byte in os.urandom(8 + len(value)))
        return text if kind is str else text.encode()
    if kind in (tuple, list, frozenset, set):
        return kind([decoy(each) for each in value] or [noise])
    return noise


def passed(name: str) -> Callable[..., Any]:
    """An operator whose result is whatever it is."""

    def operate(self: Any, *args: Any) -> Any:
        if name == "__exit__":
            args = (*args[:2], None)  # a traceback stays where it is
        return _operate(self, name, args[:1] if name == "__deepcopy__" else args)

    return operate


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    far = handle_of(self)
    return far.peer.call(far.number, args, kwargs)


def _bind(self: Any, value: Any, owner: Any = None) -> Any:
    return self if value is None else MethodType(self, value)


def _awaited(name: str) -> Callable[..., Any]:
    async def operate(self: Any, *args: Any) -> Any:
        return _operate(self, name, (*args[:2], None) if args else ())

    return operate


def _await(self: Any) -> Any:
    far = handle_of(self)
    return far.peer.run(far.number)
    yield


FORWARD: dict[str, Callable[..., Any]] = {
    **{name: _conversion(name, kind) for name, (_, kind) in allowed.CONVERSIONS.items()},
    **{name: _iteration(name) for name in allowed.ITERATION},
    **{name: _unary(name) for name in allowed.UNARY},
    **{name: arithmetic(name, None) for name in allowed.ARITHMETIC},
    **{name: _order(name) for name in allowed.ORDER},
    **{name: passed(name) for name in allowed.PLACES},
    **{name: _awaited(name) for name in allowed.AWAITED},
    **{"__eq__": _equality(0), "__ne__": _equality(1), "__contains__": _in, "__call__": _call},
    **{"__get__": _bind, "__await__": _await},
}
"""The operators that a local class may have, by name."""
