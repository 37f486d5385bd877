"""From a class over there to a class here: how one is described, and how its local class and instances are made.

A description is data: a name, the root (`object`, `exception`, `coroutine`, or the value type that it derives from),
the bases that matter, and which operators it has. Names of operators are looked up in fixed tables: a description can
only choose among what this file would build for an honest class.

Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import collections
import sys
from types import CoroutineType, FunctionType, GeneratorType
from typing import Any

import allowed
import remote
from packing import Node, ProtocolError
from remote import FORWARD, Attribute, Handle, Remote, RemoteType
from values import MUTABLE, NAMES

ROOTS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, collections.deque),
        *(collections.OrderedDict, collections.Counter, collections.defaultdict),
    )
}
"""Values that can be subclassed, by name."""
_ROOT_NAMES = {kind: name for name, kind in ROOTS.items()}
CLOSED = (int, float, complex, str, bytes, bytearray, set, frozenset)
"""Roots whose operators with plain values stay those of the base type."""
_MUTATORS = (
    "append extend insert remove pop clear sort reverse add discard update popitem setdefault get appendleft popleft "
    "extendleft rotate move_to_end difference_update intersection_update symmetric_difference_update subtract"
)
MUTATORS = frozenset(_MUTATORS.split())
"""Methods that a subclass of a container may override. Of its questions (`count`, `index`, `issubset`) it may not."""
_TEST_RUNNERS = ("unittest", "doctest", "bdb", "pdb")
_ASYNC = 0x80
MOST_ABOVE = 64
"""Classes above a class: to put many in order takes long."""
_TEXTS = ("__str__", "__repr__", "__format__")


class AsyncFunction:
    """The class that the functions of `async def` are said to be of."""

    def __call__(self) -> None:
        """Only its presence matters."""

    def __get__(self, value: Any, owner: Any = None) -> None:
        """Only its presence matters."""


def class_of(value: Any) -> type:
    """The class under which an object of ours is known over there."""
    kind = type(value)
    return AsyncFunction if kind is FunctionType and value.__code__.co_flags & _ASYNC else kind


def root_of(kind: type) -> str:
    if issubclass(kind, BaseException):
        return "exception"
    if issubclass(kind, CoroutineType):
        return "coroutine"
    return next((_ROOT_NAMES[base] for base in kind.__mro__ if base in _ROOT_NAMES), "object")


def describe(kind: type) -> tuple[list[Node], list[type]]:
    """A description of a class of ours without its bases, and the bases."""
    if kind in _DESCRIBED:
        return _DESCRIBED[kind][:], []
    root = root_of(kind)
    above = kind.__mro__[: kind.__mro__.index(ROOTS[root])] if root in ROOTS else kind.__mro__
    defined: set[str] = set()
    for base in above:
        if base is not object and base is not BaseException:
            defined.update(vars(base))
    hashes = [vars(base)["__hash__"] for base in above if "__hash__" in vars(base)]
    if hashes and (hashes[0] is None or hashes[0] is object.__hash__):
        defined.discard("__hash__")
    name, module, doc = kind.__name__, kind.__module__, kind.__doc__
    texts = [text[:2000] if type(text) is str else "" for text in (name, module, doc)]
    bases = [base for base in kind.__bases__ if base is not object]
    if root != "exception":
        bases = [base for base in bases if base not in NAMES and not allowed.in_library(base.__module__)]
    operators = sorted(defined & FORWARD.keys())
    if kind is GeneratorType:
        operators += remote.GENERATOR
    return [*texts, root, operators, sorted(defined & MUTATORS) if root in ROOTS else []], bases


_DESCRIBED: dict[type, list[Node]] = {}
_DESCRIBED[FunctionType] = describe(FunctionType)[0]
_DESCRIBED[FunctionType][2] = ""
"""What every test asks for is described once, in the process that all candidates come from."""


def build(peer: Any, number: int, node: list[Node], bases: list[Any]) -> type:
    """The local class of a description. Any exception if it is not one."""
    name, module, doc, root, operators, methods = node
    for text in (name, module, doc, root, *operators, *methods):
        if type(text) is not str:
            raise ProtocolError("a description of a class that is none")
    name = name if name.isidentifier() and len(name) < 200 else "Remote"
    space: dict[str, Any] = {"_home_": (peer, number), "__module__": module, "__qualname__": name}
    space["__doc__"] = Attribute("__doc__", doc or None)
    operators = [each for each in operators if each in FORWARD or each in remote.GENERATOR]
    if root == "exception":
        own = _own_error(module, name)
        if own is not None:
            return own
        space.update(_of_error())
        base: type = Exception
    elif root in ROOTS:
        base = ROOTS[root]
        space.update(_of_value(base, operators, methods))
    else:
        base = Remote
        space.update(_of_object(root, name, operators))
    if len(bases) > MOST_ABOVE or any(len(each.__mro__) > MOST_ABOVE for each in bases):
        raise ProtocolError("a class with too many above it")
    kinds = (BaseException,) if root == "exception" else (base,)
    ancestors = [each for each in dict.fromkeys(bases) if isinstance(each, type) and issubclass(each, kinds)]
    try:
        return type.__new__(RemoteType, name, tuple(ancestors) or (base,), space)
    except TypeError:  # bases that do not go together here, where their common ancestors are missing
        return type.__new__(RemoteType, name, (ancestors[0] if ancestors else base,), space)


def _own_error(module: str, name: str) -> type | None:
    """Our own exception of the standard library, if the test can know it: one of a module that was imported."""
    if not allowed.in_library(module) or module not in sys.modules:
        return None
    if module.partition(".")[0] in _TEST_RUNNERS:
        return None  # unittest takes a SkipTest for no failure
    found = vars(sys.modules[module]).get(name)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _of_object(root: str, name: str, operators: list[str]) -> dict[str, Any]:
    space: dict[str, Any] = {each: FORWARD[each] if each in FORWARD else remote.passed(each) for each in operators}
    space.update(__slots__=(), __copy__=FORWARD["__copy__"], __deepcopy__=FORWARD["__deepcopy__"])
    if "__eq__" in space:
        space["__ne__"] = FORWARD["__ne__"]
    if "__call__" not in space:
        space.pop("__get__", None)
    if root == "coroutine":
        space["_finish_"] = True
    if name == AsyncFunction.__name__:
        space["_is_coroutine"] = _Mark("asyncio.coroutines", "_is_coroutine")
        space["_is_coroutine_mark"] = _Mark("inspect", "_is_coroutine_mark")
    return space


class _Mark:
    """What makes `asyncio.iscoroutinefunction` say yes. Only there once the module is."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, value: Any, owner: Any) -> Any:
        return getattr(sys.modules.get(self.module), self.name)


def _of_value(base: type, operators: list[str], methods: list[str]) -> dict[str, Any]:
    """The base type decides what is equal, in order, in it, how long it is and what its elements are."""
    space: dict[str, Any] = {
        "__getattr__": remote.get_attribute,
        "__setattr__": remote.set_attribute,
        "__delattr__": remote.delete_attribute,
        "__reduce_ex__": remote.no_pickle,
        "__copy__": FORWARD["__copy__"],
        "__deepcopy__": FORWARD["__deepcopy__"],
    }
    closed = base in CLOSED
    for name in operators:
        if name in allowed.ARITHMETIC:
            space[name] = remote.arithmetic(name, getattr(base, name, None) if closed else None)
            continue
        lacking = not hasattr(base, name) and name not in ("__bool__", "__len__")
        opened = not closed and (name in allowed.PLACES or name in allowed.UNARY)
        if lacking or opened or name in _TEXTS:
            space[name] = FORWARD[name]
    for name in methods:
        if name in MUTATORS and hasattr(base, name):
            space[name] = _method(name)
    return space


def _method(name: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        far = remote.handle_of(self)
        return far.peer.get(far.number, name)(*args, **kwargs)

    return method


def _of_error() -> dict[str, Any]:
    def __str__(self: Any) -> str:
        return object.__getattribute__(self, "_text_")

    def __setattr__(self: Any, name: str, value: Any) -> None:
        # `__traceback__` and `__notes__` belong to the error as it was raised here.
        (BaseException.__setattr__ if name.startswith("__") else remote.set_attribute)(self, name, value)

    return {"__str__": __str__, "__setattr__": __setattr__, "__getattr__": remote.get_attribute}


# --- instances ----------------------------------------------------------------------------------------------------


def error_of(kind: type, args: tuple[Any, ...], text: str, handle: Handle | None) -> BaseException:
    """An exception as it was raised over there. TypeError if the class is no exception's."""
    if not issubclass(kind, BaseException):
        raise TypeError("what was raised is no exception")
    error: BaseException
    if kind in NAMES:
        try:
            error = kind(*args)
        except (TypeError, ValueError):
            error = kind.__new__(kind, *args)
    else:
        error = kind.__new__(kind, *args)
        BaseException.args.__set__(error, args)  # type: ignore[attr-defined]
    error.__dict__.update(_far_=handle, _text_=text)
    return error


def empty_value(kind: type, handle: Handle) -> Any:
    """An instance of a local class of a mutable root, to be filled later."""
    base: Any = next(each for each in kind.__mro__ if each in MUTABLE)
    value = base.__new__(kind)
    vars(value)["_far_"] = handle
    return value


def value_of(kind: type, plain: Any, handle: Handle) -> Any:
    """An instance of a local class of an immutable root. TypeError if `plain` is no value of that root."""
    base: Any = next(each for each in kind.__mro__ if each in _ROOT_NAMES)
    if type(plain) is not base:
        raise TypeError(f"a {type(plain).__name__} as a {base.__name__}")
    value = base.__new__(kind, plain)
    vars(value)["_far_"] = handle
    return value


def plain_of(value: Any, base: Any) -> Any:
    """The exact value of an instance of a subclass of `base`, whatever the subclass overrides."""
    if base is str:
        return str.__str__(value)
    if base in (int, float):
        return getattr(base, f"__{base.__name__}__")(value)
    if base is complex:
        return complex.__pos__(value)
    if base in (tuple, bytes):
        return base.__getitem__(value, slice(None))
    if issubclass(base, dict):
        copy = {key: base.__getitem__(value, key) for key in base.__iter__(value)}
        if base is collections.defaultdict:
            factory = collections.defaultdict.default_factory.__get__(value)  # type: ignore[attr-defined]
            return collections.defaultdict(factory, copy)
        return copy if base is dict else base(copy)
    if base is collections.deque:
        return collections.deque(collections.deque.__iter__(value), collections.deque.maxlen.__get__(value))
    return base(base.__iter__(value))
