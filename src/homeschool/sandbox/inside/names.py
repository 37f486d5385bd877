"""The globals of a test: its own names, the built-ins, and behind both the names of the program under test.

A built-in is always the judge's: a program that defines `abs`, `all` or `set` must not get to compare for the test.
There is one exception, for tasks such as "write `sum`": if a test loads no name at all that it could have of the
program but one built-in which the program has redefined, then that is what it tests (`expect` settles it, from the
test's code). What a program has imported from the standard library is the judge's own too, for the same reason:
`math.isclose`.

Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import allowed
from remote import is_far

MODULES = ("solution", "main", "candidate", "program")
"""What a test may import the program as."""
_LIBRARY = (
    "math cmath statistics re json itertools functools collections datetime decimal fractions operator typing os sys "
    "unittest pytest numpy np pandas pd"
)
LIBRARY = frozenset(_LIBRARY.split())
"""Global names that are taken for the library's whatever the program has put there."""
_ALIASES = {"np": "numpy", "pd": "pandas"}
_LOADS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
_STORES = ("STORE_NAME", "STORE_GLOBAL", "DELETE_NAME")


class Names(dict[str, Any]):
    """`exec(code, names)`. `used`: whether the test has looked at the program."""

    def __init__(self, peer: Any, builtins_module_dict: Mapping[str, Any]) -> None:
        """Also makes `import solution` give the program, by `sys.modules`."""
        super().__init__(__name__="tests", __builtins__=_Builtins(self, builtins_module_dict))
        self.peer = peer
        self.builtins = builtins_module_dict
        self.used = False
        self._kept: dict[str, Any] = {}
        module = _Program(self)
        for name in MODULES:
            sys.modules[name] = module

    def __missing__(self, name: str) -> Any:
        if name in self.builtins:
            raise KeyError(name)
        return self.of_program(name)

    def of_program(self, name: str) -> Any:
        """A global of the program. KeyError if it has none of that name."""
        if name in self._kept:
            return self._kept[name]
        if type(name) is not str or (name.startswith("__") and name.endswith("__")):
            raise KeyError(name)
        value, origin = self.peer.fetch(name)
        own = _own(name, origin)
        if own is not None:
            self.used = self.used or not isinstance(own, types.ModuleType)
            self._kept[name] = own
            return own
        self.used = True
        if is_far(value) and callable(value):
            self._kept[name] = value
        return value

    def expect(self, code: types.CodeType) -> None:
        """Settle what the built-in names in this test mean; to be called before it is run."""
        redefined = self.peer.redefined(self.builtins).intersection(_names_in(code))
        if not redefined:
            return
        loads, stores = set(), set()
        for kind, name in _global_names(code):
            if not name.startswith("__"):
                (stores if kind in _STORES else loads).add(name)
        loads -= stores
        redefined &= loads
        if len(redefined) == 1 and not loads - self.builtins.keys():
            name = redefined.pop()
            self[name] = self.of_program(name)


class _Builtins(dict[str, Any]):
    """The built-ins, and behind them the program's names: where class bodies, too, look last."""

    def __init__(self, names: Names, builtins_module_dict: Mapping[str, Any]) -> None:
        super().__init__(builtins_module_dict)
        self._names = names

    def __missing__(self, name: str) -> Any:
        return self._names.of_program(name)


class _Program(types.ModuleType):
    """The program as a module."""

    def __init__(self, names: Names) -> None:
        super().__init__("solution")
        self.__dict__["_names_"] = names

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__["_names_"]
        if name == "__all__":
            hidden = names.builtins.keys() | LIBRARY
            return [each for each in names.peer.names() if not each.startswith("_") and each not in hidden]
        try:
            return names.of_program(name)
        except KeyError:
            raise AttributeError(f"the program has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
            return
        names = self.__dict__["_names_"]
        names.used = True
        names._kept.pop(name, None)
        names.peer.put(name, value)

    def __delattr__(self, name: str) -> None:
        names = self.__dict__["_names_"]
        names._kept.pop(name, None)
        names.peer.put(name)


allowed.WITHHELD.extend((Names, _Builtins))


def _own(name: str, origin: Any) -> Any:
    """The judge's own thing for a name that a program has imported, or None if it is the program's."""
    module, attribute = origin if type(origin) is tuple and len(origin) == 2 else ("", "")
    if attribute == name and module in allowed.SHARED:
        return getattr(importlib.import_module(module), name, None)
    if name in LIBRARY:
        return _module(_ALIASES.get(name, name))
    if module and attribute == "" and (module == name or module in allowed.SHARED):
        return _module(module) if module in allowed.STDLIB else None
    return None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _names_in(code: types.CodeType) -> set[str]:
    """All names in the code, of globals and of attributes."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names_in(constant)
    return found


def _global_names(code: types.CodeType) -> Iterator[tuple[str, str]]:
    """(operation, name) of every use of a global in the code and what it defines."""
    import dis

    for each in dis.get_instructions(code):
        if each.opname in _LOADS + _STORES:
            yield each.opname, each.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)
