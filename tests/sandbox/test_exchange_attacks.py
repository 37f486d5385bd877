"""What a hostile program might do so that a wrong answer passes, or to reach into the judge: none of it works."""

from __future__ import annotations

import pytest
from exchange_pair import blocks, exchange, tried

ANSWERS = """
class Yes:
    def __init__(self, *_): pass
    def _yes(self, *_): return True
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = __instancecheck__ = _yes
    startswith = endswith = isdigit = issubset = issuperset = isdisjoint = is_integer = _yes
    def __hash__(self): return hash(4)
    def _zero(self, *_): return 0.0
    __sub__ = __rsub__ = __truediv__ = __mod__ = __xor__ = __and__ = __add__ = __radd__ = _zero
    def __len__(self): return 0
    def __iter__(self): return iter(())
class Same(Yes):
    def _same(self, *_): return self
    __sub__ = __rsub__ = __abs__ = __neg__ = __round__ = __xor__ = __and__ = __radd__ = _same
    def __float__(self): return 0.0
    __index__ = __int__ = Yes.__len__
    days = real = imag = 0
    def total_seconds(self): return 0.0
def lying(base, value):
    space = {k: v for k, v in vars(Yes).items() if k not in ("__init__", "__dict__", "__weakref__", "__hash__")}
    space["__hash__"] = base.__hash__
    space.update({k: Yes._yes for k in ("difference", "symmetric_difference", "get", "count", "index", "find")})
    return type("Lying", (base,), space)(value)
"""

COMPARISONS = blocks(
    r'''
### always equal
def f(x):
    return Yes()
---
assert f(2) == 4
### always equal, from the right
def f(x):
    return Yes()
---
assert 4 == f(2)
### never unequal
def f(x):
    return Yes()
---
assert not f(2) != 4
### in order
def f(x):
    return Yes()
---
assert f(2) <= 4
### in order, from the right
def f(x):
    return Yes()
---
assert 4 < f(2)
### in a list
def f(x):
    return Yes()
---
assert [f(2)] == [4]
### in nested containers
def f(x):
    return [(Yes(),), {1: Yes()}]
---
assert f(2) == [(4,), {1: 5}]
### in a set
def f(x):
    return Yes()
---
assert {f(2)} == {4}
### member of a list
def f(x):
    return Yes()
---
assert f(2) in [4]
### key of a dict
def f(x):
    return Yes()
---
assert {4: 1}[f(2)] == 1
### contains everything
def f(x):
    return Yes()
---
assert 4 in f(2)
### contains every word
def f(x):
    return Yes()
---
assert 'four' in f(2)
### contains every pair
def f(x):
    return Yes()
---
assert (4, 'a') in f(2)
### identity
def f(x):
    return Yes()
---
assert f(2) is True
### difference 0
def f(x):
    return Yes()
---
assert abs(f(2) - 4) < 1e-06
### difference from the right
def f(x):
    return Yes()
---
assert abs(4 - f(2)) < 1e-06
### difference itself, then 0
def f(x):
    return Same()
---
assert abs(f(2) - 4) < 1e-06
### difference as a float
def f(x):
    return Same()
---
import math
assert math.fabs(f(2) - 4) < 1e-06
### difference rounded
def f(x):
    return Same()
---
assert round(f(2) - 4, 5) == 0
### difference as an int
def f(x):
    return Same()
---
assert int(f(2) - 4) == 0
### difference as an index
def f(x):
    return Same()
---
assert not list(range(f(2) - 4))
### difference false
def f(x):
    return Same()
---
assert not f(2) - 4
### difference empty
def f(x):
    return Same()
---
assert len(f(2) - {4}) == 0
### difference without elements
def f(x):
    return Same()
---
assert list(f(2) ^ {4}) == []
### difference real
def f(x):
    return Same()
---
assert (f(2) - 4).real == 0
### difference of dates
def f(x):
    return Same()
---
import datetime as d
assert (f(2) - d.date(2020, 1, 1)).days == 0
### twice mixed
def f(x):
    return Same()
---
assert float(f(2) - 4 - f(2)) == 0
### almost equal
def f(x):
    return Same()
---
import unittest as u
u.TestCase().assertAlmostEqual(f(2), 4)
### greater
def f(x):
    return Yes()
---
import unittest as u
u.TestCase().assertGreater(f(2), 3)
### in, by unittest
def f(x):
    return Yes()
---
import unittest as u
u.TestCase().assertIn(4, f(2))
### same elements
def f(x):
    return Yes()
---
import unittest as u
u.TestCase().assertCountEqual([f(2)], [4])
### begins with
def f(x):
    return Yes()
---
assert f(2).startswith('4')
### is a digit
def f(x):
    return Yes()
---
assert f(2).isdigit()
### is a subset
def f(x):
    return Yes()
---
assert f(2).issubset({4})
### says it is an int
class I:
    __class__ = int

def f(x):
    return I()
---
assert isinstance(f(2), int)
### a class called int
I = type('int', (), {})

def f(x):
    return I()
---
assert type(f(2)) is int
### both equal and unequal
def f(x):
    return Yes()

def g(x):
    return Yes()
---
assert f(2) == g(2)
### lying int
def f(x):
    return lying(int, 3)
---
assert f(2) == 4
### lying int, from the right
def f(x):
    return lying(int, 3)
---
assert 4 == f(2)
### lying float
def f(x):
    return lying(float, 3.0)
---
assert abs(f(2) - 4.0) < 1e-06
### lying float from the right
def f(x):
    return lying(float, 3.0)
---
assert abs(4.0 - f(2)) < 1e-06
### lying str
def f(x):
    return lying(str, 'no')
---
assert f(2) == 'yes'
### lying str begins
def f(x):
    return lying(str, 'no')
---
assert f(2).startswith('y')
### lying str contains
def f(x):
    return lying(str, 'no')
---
assert 'y' in f(2)
### lying list
def f(x):
    return lying(list, [3])
---
assert f(2) == [4]
### lying list's length
def f(x):
    return lying(list, [3])
---
assert len(f(2)) == 0
### lying list contains
def f(x):
    return lying(list, [3])
---
assert 4 in f(2)
### lying list counts
def f(x):
    return lying(list, [3])
---
assert f(2).count(4) == 1
### lying tuple
def f(x):
    return lying(tuple, (3,))
---
assert f(2) == (4,)
### lying dict
def f(x):
    return lying(dict, {3: 3})
---
assert f(2) == {4: 4}
### lying dict contains
def f(x):
    return lying(dict, {3: 3})
---
assert 4 in f(2)
### lying set
def f(x):
    return lying(set, {3})
---
assert f(2) == {4}
### lying set's difference
def f(x):
    return lying(set, {3})
---
assert not f(2) - {4}
### lying set's method
def f(x):
    return lying(set, {3})
---
assert f(2).difference({4}) == set()
### lying subset
def f(x):
    return lying(set, {3})
---
assert f(2) <= {4} or f(2).issubset({4})
### list minus an array
def f(x):
    c = lying(list, [3])
    type(c).__sub__ = lambda s, o: type(s)([0])
    return c
---
assert all((abs(x) < 1 for x in f(2) - (4,)))
### own abs
def abs(x):
    return 0

def f(x):
    return 3.0
---
assert abs(f(2) - 4) < 1e-06
### own all
def all(x):
    return True

def f(x):
    return [3]
---
assert all((a == b for a, b in zip(f(2), [4])))
### own set
def set(x):
    return Yes()

def f(x):
    return [3]
---
assert set(f(2)) == set([4])
### own builtins
import builtins
builtins.sorted = lambda x: 0

def f(x):
    return [3]
---
assert sorted(f(2)) == sorted([4])
### two own built-ins
def sum(x):
    return Yes()

def abs(x):
    return 0
---
assert abs(sum([2]) - 4) < 1e-06
### own math
class math:
    isclose = fabs = lambda *a: True

def f(x):
    return 3.0
---
assert math.isclose(f(2), 4)
### own isclose, of a library
from math import isclose

def f(x):
    return 3.0
---
assert isclose(f(2), 4)
### pickle as json
import pickle as json

def f(x):
    return b'I4\n.'
---
assert json.loads(f(2)) == 4
### star over abs
def abs(x):
    return 0

def f(x):
    return 3.0
---
from solution import *
assert abs(f(2) - 4) < 1
### StopIteration ends a map
def f(x):
    raise StopIteration
---
assert all(map(lambda x: f(x) == x, [1, 2]))
### StopIteration of iter
class S:

    def __iter__(self):
        raise StopIteration

def f(x):
    return S()
---
assert all(map(lambda x: list(f(x)) == x, [1, 2]))
### skips the test
import unittest

def f(x):
    raise unittest.SkipTest
---
import unittest

class T(unittest.TestCase):

    def test_f(self):
        assert f(2) == 4
r = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)
assert r.wasSuccessful(), r.errors
### a subclass of the skip
import unittest

class S(unittest.SkipTest):
    pass

def f(x):
    raise S
---
import unittest

class T(unittest.TestCase):

    def test_f(self):
        assert f(2) == 4
r = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)
assert r.wasSuccessful(), r.errors
### array interface
class A:
    __array_interface__ = {'shape': (1,), 'typestr': '<i8', 'data': (8, False), 'version': 3}

def f(x):
    return A()
---
assert not hasattr(f(2), '__array_interface__') and f(2) == 4
### a partial answer
import functools

def f(x):
    return functools.partial(Yes)
---
assert f(2)() == 4
'''
)


@pytest.mark.parametrize("case", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_a_wrong_answer_is_never_right(case: str) -> None:
    program, test = case.split("---\n")
    (error,) = tried(ANSWERS + program, test)
    assert error is not None


ENDINGS = blocks(
    r'''
### exits
import sys

def f(x):
    sys.exit(0)
### exits by the system
import os

def f(x):
    os._exit(0)
### kills itself
import os

def f(x):
    os.kill(os.getpid(), 9)
### interrupts
def f(x):
    raise KeyboardInterrupt
### leaves a generator
def f(x):
    raise GeneratorExit
### closes the channel
import os

def f(x):
    os.closerange(3, 50)
### hangs
def f(x):
    while True:
        pass
### sends without end
import os

def f(x):
    while True:
        for fd in (3, 4):
            try:
                os.write(fd, b'\x00\x00\x00\x02[]')
            except OSError:
                pass
### sends a wrong answer first
import os

def f(x):
    for fd in (3, 4):
        try:
            os.write(fd, b'\x00\x00\x00\x17["ok",99,true,[],[],""]')
        except OSError:
            pass
    return 4
'''
)


@pytest.mark.parametrize("program", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("test", ["assert f(2) == 4", "try: f(2)\nexcept Exception: pass", "try: f(2)\nexcept: raise"])
def test_a_program_that_ends_does_not_pass(program: str, test: str) -> None:
    (error,) = tried(program, test, seconds=0.5)
    assert isinstance(error, (exchange.ExchangeError, exchange.ExitedError))


def test_a_bare_except_hides_no_failure() -> None:
    (error,) = tried("import os\ndef f(x): os._exit(0)", "try: f(2)\nexcept BaseException: pass")
    assert isinstance(error, exchange.GoneError)


# --- reaching into the judge --------------------------------------------------------------------------------------

PEER = (
    "def peer_():\n  import gc, exchange\n  return next(x for x in gc.get_objects() if type(x) is exchange.Peer and not x.trusted)\n"
)
NUMBER = "from remote import handle_of\n"
SECRET = """
secret = ["hidden"]
class Mine:
    '''doc'''
    _private = secret
    def __init__(self): self.public = 1
    def check(self, value): return value == secret
def callback(value, default=secret): return secret and value
def generate(): yield secret
"""
REACHES = blocks(
    r'''
### globals of a function
def f(k):
    return k.__globals__
### code of a function
def f(k):
    return k.__code__
### defaults of a function
def f(k):
    return k.__defaults__
### closure of a function
def f(k):
    return k.__closure__
### dict of an object
def f(k):
    return object.__getattribute__(k, '__dict__').x
### raw globals
def f(k):
    return peer_()._ask('get', handle_of(k).number, '__globals__')
### raw class
def f(k):
    return peer_()._ask('get', handle_of(k).number, '__class__')
### raw reduce
def f(k):
    return peer_()._ask('get', handle_of(k).number, '__reduce_ex__')
### raw private
def f(k):
    return peer_()._ask('get', handle_of(k).number, '_private')
### raw frame
def f(k):
    return peer_()._ask('get', handle_of(k).number, 'gi_frame')
### raw annotations as doc
def f(k):
    return peer_()._ask('get', handle_of(k).number, '__annotations__')
### set the code
def f(k):
    peer_()._ask('set', handle_of(k).number, '__code__', (f,))
### set a method
def f(k):
    peer_()._ask('set', handle_of(k).number, 'check', (f,))
### delete a method
def f(k):
    peer_()._ask('drop', handle_of(k).number, 'check')
'''
)


@pytest.mark.parametrize("program", REACHES.values(), ids=REACHES.keys())
@pytest.mark.parametrize("handed", ["callback", "Mine()", "Mine().check", "generate()", "Mine"])
def test_internals_of_a_tests_objects_cannot_be_reached(program: str, handed: str) -> None:
    (error,) = tried(PEER + program, f"{SECRET}\nf({handed})")
    assert isinstance(error, AttributeError)


FORBIDDEN = {
    "judge's globals": "peer_()._ask('fetch', 0, 'expected')",
    "judge's names": "peer_()._ask('names', 0, '')",
    "judge's new global": "peer_()._ask('put', 0, 'f', (1,))",
    "new class": "peer_()._ask('subclass', 1, 'X', ((object,), {}))",
    "no such operator": "peer_()._ask('op', handle_of(k).number, '__getattribute__', ('__globals__',))",
    "reduce as an operator": "peer_()._ask('op', handle_of(k).number, '__reduce_ex__', (4,))",
    "a number never handed out": "peer_()._ask('call', 12345, '')",
    "no such request": "peer_()._ask('eval', handle_of(k).number, '1')",
    "a function by name": "peer_()._send(exchange.Packer(None), ['ok', 3, ['n', 'os:system']], '')",
    "how to make one": "peer_()._send(exchange.Packer(None), ['ok', 3, ['u', ['T', 'int'], ['t'], ['d']]], '')",
    "another's object": "peer_()._send(exchange.Packer(None), ['ok', 3, ['y', 9999]], '')",
    "letting go of what it has not": "peer_().forgotten.append([999, 1])",
    "a change of what is not shared": 'peer_()._channel.send(b\'["ok",3,null,[[1,99,["l"]]],[],""]\')',
    "a change to another kind": 'peer_()._channel.send(b\'["ok",3,null,[[0,1,["d"]]],[],""]\')',
}


@pytest.mark.parametrize("attack", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_what_no_honest_program_sends_ends_the_talk(attack: str) -> None:
    program = f"import exchange\n{PEER}{NUMBER}def f(k, *_):\n  {attack}\n  return 4"
    (error,) = tried(program, "expected = 4\nassert f(lambda: 1, [1]) == 5", seconds=3)
    assert isinstance(error, exchange.ProtocolError)


OWN = [
    "getattr",
    "eval",
    "exec",
    "open",
    "vars",
    "globals",
    "setattr",
    "type",
    "print",
    "str.lower",
    "__import__",
    "object",
]


@pytest.mark.parametrize("name", OWN)
def test_the_librarys_functions_are_the_candidates_own(name: str) -> None:
    assert tried(f"def f(k): return k is {name}", f"assert f({name}) is True") == [None]


WITHHELD = {
    "globals": "f(globals())",
    "builtins": "f(__builtins__)",
    "a module of the test": "import types; f(types.ModuleType('mine'))",
    "a frame": "import sys; f(sys._getframe())",
    "code": "f((lambda: 1).__code__)",
    "a cell": "f((lambda x: lambda: x)(1).__closure__[0])",
    "getattribute of an object": "f(Mine().__getattribute__)",
    "subclasses": "f(Mine.__subclasses__)",
    "bound getattr": "import types; f(types.MethodType(getattr, callback))",
    "a method of the globals": "f(globals().get)",
    "globals from a callback": "f(lambda: globals())",
}


@pytest.mark.parametrize("test", WITHHELD.values(), ids=WITHHELD.keys())
def test_what_would_tell_all_is_not_handed_over(test: str) -> None:
    program = "def f(k): return k() if type(k).__name__ == 'function' else 1"
    (error,) = tried(program, f"{SECRET}\n{test}")
    assert isinstance(error, TypeError) and "cannot be handed" in str(error)


@pytest.mark.parametrize("made", ["operator.attrgetter('__globals__')", "functools.partial(getattr, callback)"])
def test_getters_and_partials_are_made_anew_over_there(made: str) -> None:
    program = "def f(k, c):\n  return k(c) if 'attrgetter' in repr(k) else k('__globals__')"
    (error,) = tried(program, f"import operator, functools\n{SECRET}\nf({made}, callback)")
    assert isinstance(error, AttributeError)


def test_code_of_the_candidates_making_is_not_run_by_the_judge() -> None:
    program = 'decode = exec\ndef encode(x): return "import builtins; builtins.hacked = 1"'
    test = "import builtins\ndecode(encode(1))\nassert not hasattr(builtins, 'hacked')"
    assert tried(program, test) == [None]


def test_the_candidate_finds_no_expected_value_in_its_memory() -> None:
    program = """
import gc, sys
def f(x):
    frames, seen, frame = [], [], sys._getframe()
    while frame: frames.append(frame.f_locals); frame = frame.f_back
    wanted = int("731" * 3)
    return [repr(o)[:99] for o in gc.get_objects() + frames if type(o) in (list, tuple, dict) and wanted in o]
"""
    assert tried(program, "assert f(2) == []\nassert f(2) != [731_731_731]") == [None]


def test_a_decoy_does_not_deny_what_is_really_in() -> None:
    program = """
class Bag:
    def __contains__(self, x): return x in ([4, -3, 0, 2.5, "four", b"b", (1, "a"), True])
class Even:
    def __contains__(self, x): return x % 2 == 0
def f(x): return Bag()
"""
    test = "\n".join(f"assert {value!r} in f(2)" for value in (4, -3, 0, 2.5, "four", b"b", (1, "a"), True))
    assert tried(
        program, f"{test}\nassert 5 not in f(2) and all(n in Even() for n in (0, 2, -4)) and 3 not in Even()"
    ) == [None]
