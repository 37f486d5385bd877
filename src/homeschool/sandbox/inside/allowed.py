"""What the other side may do with our objects, and under which form we hand them over.

The judge's side is strict, as the candidate is hostile. It may call what it was handed, use operators from a fixed
table, and reach attributes whose names are public and no internals of frames or generators. Whatever belongs to the
standard library (`getattr`, `eval`, `str.lower`, a module) is handed over as a name: the candidate uses its own.
A module of ours, a frame, code, and the test's globals are never handed over: TypeError in the test.

Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import functools
import math
import operator
import sys
import types
from collections.abc import Callable
from typing import Any

STDLIB: frozenset[str] = frozenset(getattr(sys, "stdlib_module_names", sys.builtin_module_names)) - {"__main__"}
_SHARED = (
    "math cmath statistics re json itertools functools collections collections.abc datetime decimal fractions numbers "
    "operator string heapq bisect copy random typing enum dataclasses abc time calendar textwrap unicodedata"
)
SHARED = frozenset(_SHARED.split())
"""Modules in which no function runs code or opens anything: what a program has imported of them, a test may use as its
own. The comparison of a test (`isclose(f(2), 0.5)`) must not be made over there."""
SHOWN = frozenset({"__name__", "__qualname__", "__doc__", "__module__"})
"""What a decorator copies of a function (functools.wraps): readable where it is text."""
WITHHELD: list[type] = [types.FrameType, types.CodeType, types.TracebackType, types.ModuleType, types.CellType]
"""Types of which the judge hands nothing over. Those who keep secrets add their own."""
INTERNAL = frozenset(
    name
    for kind in (types.FrameType, types.CodeType, types.TracebackType, types.GeneratorType, types.CoroutineType)
    for name in dir(kind)
    if name.partition("_")[0] in ("f", "co", "tb", "gi", "cr") and "_" in name
) | {"ag_frame", "ag_code", "ag_await", "ag_running", "ag_suspended", "gi_suspended", "cr_suspended", "f_generator"}
_BOUND = (types.BuiltinMethodType, types.MethodWrapperType)
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
GETTERS = (operator.attrgetter, operator.itemgetter, operator.methodcaller)


# --- operators ----------------------------------------------------------------------------------------------------


def _method(name: str) -> Callable[..., Any]:
    """The special method of this name, found on the type as the interpreter does."""
    return lambda value, *args: getattr(type(value), name)(value, *args)


def _equal(value: Any, other: Any) -> list[bool]:
    return [bool(value == other), bool(value != other)]


def _compared(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    return lambda value, other: bool(function(value, other))


def _contains(value: Any, *asked: Any) -> list[bool]:
    return [bool(each in value) for each in asked]


def _copied(name: str) -> Callable[..., Any]:
    def copied(value: Any, *_: Any) -> Any:
        import copy

        return getattr(copy, name)(value)

    return copied


CONVERSIONS: dict[str, tuple[Callable[..., Any], type]] = {
    "__len__": (len, int),
    "__bool__": (bool, bool),
    "__hash__": (hash, int),
    "__str__": (str, str),
    "__repr__": (repr, str),
    "__format__": (format, str),
    "__bytes__": (bytes, bytes),
    "__int__": (int, int),
    "__index__": (operator.index, int),
    "__float__": (float, float),
    "__complex__": (complex, complex),
}
"""Operators with the exact type of their result."""
ITERATION: dict[str, Callable[..., Any]] = {"__iter__": iter, "__next__": next, "__reversed__": reversed}
STOPPING: dict[str, Callable[..., Any]] = {"__next__": next, "send": _method("send"), "throw": _method("throw")}
"""What may raise StopIteration: from anything else it would end a `map` or an `all` of the test unnoticed."""
UNARY: dict[str, Callable[..., Any]] = {
    **{"__neg__": operator.neg, "__pos__": operator.pos, "__invert__": operator.invert, "__abs__": abs},
    **{"__round__": round, "__trunc__": math.trunc, "__floor__": math.floor, "__ceil__": math.ceil},
}
_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor"
# The method and not the operator, whose other half the asking side tries: else both would ask each other in turn.
ARITHMETIC = {f"__{side}{name}__": _method(f"__{side}{name}__") for name in _BINARY.split() for side in ("", "r", "i")}
ORDER = {f"__{name}__": _compared(getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}
PLACES: dict[str, Callable[..., Any]] = {
    **{"__getitem__": operator.getitem, "__setitem__": operator.setitem, "__delitem__": operator.delitem},
    **{name: _method(name) for name in ("__missing__", "__enter__", "__exit__", "__aiter__")},
    **{"__copy__": _copied("copy"), "__deepcopy__": _copied("deepcopy")},
}
EQUALITY: dict[str, Callable[..., Any]] = {"__eq__": _equal, "__contains__": _contains}
CLASSES: dict[str, Callable[..., Any]] = {"__instancecheck__": lambda kind, value: isinstance(value, kind)}
AWAITED = {name: _method(name) for name in ("__anext__", "__aenter__", "__aexit__")}
"""Operators whose result is awaited by the owner."""
OPERATORS: dict[str, Callable[..., Any]] = {
    **{name: function for name, (function, _) in CONVERSIONS.items()},
    **ITERATION, **STOPPING, **UNARY, **ARITHMETIC, **ORDER, **PLACES, **EQUALITY, **CLASSES, **AWAITED,
}  # fmt: skip


# --- the judge's gate ---------------------------------------------------------------------------------------------


def check_get(value: Any, name: str) -> None:
    """AttributeError unless the candidate may read this attribute of ours."""
    if (name.startswith("_") or name in INTERNAL) and name not in SHOWN:
        raise AttributeError(f"a test's object does not show its {name!r}")


def check_shown(name: str, found: Any) -> None:
    if name in SHOWN and type(found) not in (str, type(None)):
        raise AttributeError(f"a test's object does not show its {name!r}")


def check_set(value: Any, name: str) -> None:
    """AttributeError unless it may set or delete it: data of an instance, no method and nothing of a class."""
    on_class = getattr(type(value), name, None)
    if name.startswith("_") or isinstance(value, (type, types.FunctionType)) or callable(on_class):
        raise AttributeError(f"a test's object does not let its {name!r} be changed")


def check_handed(value: Any) -> None:
    """TypeError for an object of which the judge hands over no handle."""
    if isinstance(value, (*WITHHELD, functools.partial)):
        raise TypeError(f"a {type(value).__name__} cannot be handed to the program")
    if isinstance(value, _BOUND):
        check_handed(value.__self__)
    name = getattr(value, "__name__", "")
    if isinstance(value, _BOUND) and name.startswith("_") and name not in OPERATORS:
        raise TypeError(f"the method {name} cannot be handed to the program")
    if isinstance(value, types.MethodType) and not isinstance(value.__func__, types.FunctionType):
        raise TypeError(f"a method made of a {type(value.__func__).__name__} cannot be handed to the program")


def recipe(value: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
    """How the candidate makes its own: (function, args, kwargs) of a partial or a getter. None for other objects."""
    if type(value) is functools.partial:
        return value.func, value.args, dict(value.keywords)
    if type(value) in GETTERS:
        function, args = value.__reduce__()[:2]
        return function, tuple(args), {}
    return None


# --- things of the standard library -------------------------------------------------------------------------------


def in_library(module: str) -> bool:
    """Whether a module of this name is the standard library's."""
    return module.partition(".")[0] in STDLIB


def library_name(value: Any) -> str | None:
    """`module:name` of a function, class or module of the standard library, by which it can be found; else None."""
    if isinstance(value, types.ModuleType):
        return f"{value.__name__}:" if in_library(value.__name__) else None
    if not isinstance(value, _NAMED) or isinstance(value, types.MethodWrapperType):
        return None
    owner = getattr(value, "__objclass__", value)
    module, path = getattr(owner, "__module__", None), getattr(value, "__qualname__", None)
    if type(module) is not str or type(path) is not str or not in_library(module):
        return None
    found = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return f"{module}:{path}" if found is value else None


def library_value(name: str) -> Any:
    """The candidate's own thing of that name (only names that the judge sent are looked up)."""
    import importlib

    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split(".") if path else ():
        found = getattr(found, part)
    return found
