"""The globals of a test: its own names, the built-ins, and behind both the names of the program under test.

A built-in is always the judge's: a program that defines `abs`, `all` or `set` must not get to compare for the test.
There is one exception, for tasks such as "write `sum`": if a test names nothing at all but one built-in, and the
program has redefined that, then it is what the test is about (asserts.py finds it, `expect` settles it). What a program
has imported from the standard library is the judge's own too, for the same reason: `math.isclose`.

Standard library only: it runs inside the sandbox.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Mapping
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

    def expect(self, subject: str) -> None:
        """The built-in `subject` is the program's in this test, if it has one of that name; called before the test."""
        if subject and subject in self.peer.redefined(self.builtins):
            self[subject] = self.of_program(subject)


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
        # Not to be had is not the program's to supply: the test is told, and so its author.
        return importlib.import_module(_ALIASES.get(name, name))
    if module and attribute == "" and (module == name or module in allowed.SHARED):
        return _module(module) if module in allowed.STDLIB else None
    return None


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
