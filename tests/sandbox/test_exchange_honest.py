"""What an honest program gives its test: values, objects, exceptions, callbacks, changes in place, names."""

from __future__ import annotations

import pytest
from exchange_pair import blocks, exchange, tried

PROGRAM = r'''
import asyncio, collections, contextlib, enum, math, sys
from collections import namedtuple
from dataclasses import dataclass
from math import isclose
counter, table, big = 0, {"a": [1]}, 2**200
def f(x): return sorted(x)
def give(x): return x
def in_place(x): x.sort(); return x
def nest(x): x["new"] = [x]; x["old"].append(1); return x["old"]
def by(xs, key): return sorted(xs, key=key)
def twice(function):
    """Doc of twice."""
    import functools
    @functools.wraps(function)
    def wrapper(*args): return [function(*args), function(*args)]
    return wrapper
def count():
    global counter
    counter += 1
def hear(log, say): say("a"); log.append("b"); say("c")
def show(): print("shown")
def leave(): sys.exit(3)
def full(): raise MemoryError
def deep(n=0): return deep(n + 1)
def nested(n):
    value = []
    for _ in range(n): value = [value]
    return value
class Node:
    made = 0
    def __init__(self, value): self.value, self.kids, self.next = value, [], None; Node.made += 1
    def add(self, kid): self.kids.append(kid); return self
    def __len__(self): return len(self.kids)
    @classmethod
    def of(cls, values): return [cls(value) for value in values]
    @property
    def double(self): return self.value * 2
class Fault(ValueError):
    def __init__(self, code): super().__init__(f"code {code}"); self.code = code
class Worse(Fault): pass
def fail(code):
    try: {}[code]
    except KeyError as error: raise Worse(code) from error
class Color(enum.Enum): RED = 1; BLUE = 2
class Level(enum.IntEnum): LOW = 1; HIGH = 2
class Word(str, enum.Enum): YES = "yes"
Point = namedtuple("Point", "x y")
class Stack(list):
    def push(self, value): self.append(value)
    def peek(self): return self[-1]
class Least(dict):
    def __missing__(self, key): return key * 2
    def get(self, key): return "got"
@dataclass(frozen=True)
class Pair: a: int; b: int
@dataclass(order=True)
class Vector:
    x: int; y: int
    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y) if isinstance(other, Vector) else NotImplemented
    def __mul__(self, k): return Vector(self.x * k, self.y * k)
    def __rmul__(self, k): return self * k
    def __iadd__(self, other): self.x += other.x; return self
    def __abs__(self): return math.hypot(self.x, self.y)
    def __bool__(self): return bool(self.x or self.y)
    def __getitem__(self, i): return (self.x, self.y)[i]
def numbers():
    seen.append("started")
    for n in range(3): seen.append(n); yield n
    return "end"
seen = []
def echo():
    got = None
    while got != "stop": got = yield got
@contextlib.contextmanager
def opened(): seen.append("in"); yield 5; seen.append("out")
async def later(x): await asyncio.sleep(0); return x + 1
async def stream():
    for n in range(3): await asyncio.sleep(0); yield n
async def through(call): return await call(1) + 1
class Quiet:
    def __enter__(self): return self
    def __exit__(self, kind, error, trace): self.kind, self.text = kind, str(error); return True
class Shape:
    def area(self): raise NotImplementedError
    def tell(self): return f"{type(self).__name__} of {self.area()}"
'''

TESTS = blocks(
    r'''
### values
assert f([3, 1]) == [1, 3] and big == 2 ** 200 and (give((1, {2: {3}})) == (1, {2: {3}}))
### in place
x = [3, 1, 2]
y = in_place(x)
assert x == [1, 2, 3] and y is x
### nested in place
d = {'old': []}
o = d['old']
r = nest(d)
assert r is o == [1] and d['new'][0] is d and (len(d) == 2)
### argument twice
x = [1]
a, b = give([x, x])
assert a is b is x
### keyword arguments
assert by(xs=[3, 1], key=lambda v: -v) == [3, 1]
### callback
seen_ = []
assert by([3, 1, 2], lambda v: seen_.append(v) or -v) == [3, 2, 1] and len(seen_) == 3
### library as callback
assert by(['b', 'A'], str.lower) == ['A', 'b'] and by(['bb', 'a'], len) == ['a', 'bb']
### method as callback
d = {1: 3, 2: 1}
assert by([1, 2], d.get) == [2, 1]
### getter as callback
from operator import itemgetter
assert by([(1, 2), (2, 1)], itemgetter(1)) == [(2, 1), (1, 2)]
### partial
from functools import partial
assert by([1, 2], partial(lambda a, b: -b, 0)) == [2, 1]
### both change
log = []
hear(log, log.append)
assert log == ['a', 'b', 'c'], log
### object
n = Node(1)
n.add(Node(2)).add(Node(3))
assert len(n) == 2 and n.kids[1].value == 3 and (n.double == 2)
### object's list
n = Node(1)
n.kids.append(Node(2))
k = n.kids
n.add(1)
assert len(n) == 2 and k is n.kids and (k[1] == 1)
### object set
n = Node(1)
n.next = Node(2)
n.next.value = 7
assert n.next.value == 7
del n.next.value
assert not hasattr(n.next, 'value') and vars(n)['value'] == 1
### same object
n = Node(1)
assert give(n) is n and give([n, n])[1] is n and (n != Node(1)) and (n in [n])
### class
assert isinstance(Node(1), Node) and (not isinstance(1, Node)) and (type(Node(1)) is Node)
assert Node.made == 2 and Node.__name__ == 'Node' and ([n.value for n in Node.of([1, 2])] == [1, 2])
### exception
try:
    fail(4)
except Fault as e:
    assert (e.code, str(e), e.args, type(e)) == (4, 'code 4', ('code 4',), Worse)
else:
    assert False
assert issubclass(Worse, Fault) and isinstance(Worse(1), ValueError) and (Worse(2).code == 2)
### exception's cause
try:
    fail(4)
except ValueError as e:
    assert isinstance(e.__cause__, KeyError)
else:
    assert False
### exception of a built-in
try:
    f([1, 'a'])
except TypeError as e:
    assert "'<'" in str(e)
else:
    assert False
### exception of the test
class Mine(Exception):
    pass
error = Mine(1)

def k(v):
    raise error
try:
    by([1, 2], k)
except Mine as e:
    assert e is error
else:
    assert False
### recursion
try:
    deep()
except RecursionError:
    assert give(1) == 1
else:
    assert False
### memory
try:
    full()
except MemoryError:
    assert give(1) == 1
else:
    assert False
### exit
try:
    leave()
except SystemExit as e:
    assert e.code == 3
else:
    assert False
### generator
g = numbers()
assert seen == [] and next(g) == 0 and (seen == ['started', 0]) and (list(g) == [1, 2])
### generator's end
g = numbers()
list(g)
try:
    next(g)
except StopIteration:
    pass
else:
    assert False
### generator's send
g = echo()
next(g)
assert g.send(4) == 4
try:
    g.send('stop')
except StopIteration:
    pass
else:
    assert 0
### enum
assert Color.RED is Color.RED is Color(1) is Color['RED'] != Color.BLUE and [c.name for c in Color] == ['RED', 'BLUE']
assert len(Color) == 2 and Color.RED in {Color.RED: 1} and (str(Color.RED) == 'Color.RED') and (Color.RED in Color)
### int enum
assert Level.HIGH == 2 and Level.HIGH is Level.HIGH > Level.LOW and (Level(1).name == 'LOW') and (Word.YES == 'yes')
### named tuple
p = Point(1, 2)
assert p == (1, 2) and p.y == 2 and (p._replace(x=5) == (5, 2)) and (repr(p) == 'Point(x=1, y=2)')
x, y = p
assert isinstance(p, tuple) and {p: 1}[1, 2] == 1
### list subclass
s = Stack()
s.push(1)
s.push(2)
assert s == [1, 2] and s.peek() == 2 and isinstance(s, list)
s.append(7)
s[0] = 9
assert s.peek() == 7 and s.pop() == 7 and (s == [9, 2]) and (give(s) is s)
### dict subclass
d = Least(a=1)
assert d == {'a': 1} and d['b'] == 'bb' and (d.get('a') == 'got')
d['c'] = 3
assert len(give(d)) == 2
### data class
assert Pair(1, 2) == Pair(1, 2) != Pair(2, 1) and len({Pair(1, 2), Pair(1, 2)}) == 1 and (repr(Pair(1, 2)) == 'Pair(a=1, b=2)')
try:
    Pair(1, 2).a = 3
except AttributeError:
    pass
else:
    assert False
### arithmetic
v = Vector(1, 2)
assert v + v == Vector(2, 4) and v * 3 == Vector(3, 6) == 3 * v and ((v * 3).x == 3)
v += Vector(2, 2)
assert v.x == 3 and abs(Vector(3, 4)) == 5.0 and (v[0] == 3) and bool(v) and (not Vector(0, 0))
### order
assert sorted([Vector(2, 1), Vector(1, 5)])[0].x == 1 and max(Vector(1, 1), Vector(2, 0)) == Vector(2, 0)
### plain against object
assert Vector(1, 2) != (1, 2) and (not Vector(1, 2) == 1)
try:
    Vector(1, 2) < 1
except TypeError:
    pass
else:
    assert 0
### globals
assert counter == 0
count()
assert counter == 1
table['a'].append(2)
assert table == {'a': [1, 2]}
### module
import solution, main
from solution import f as g
solution.counter = 7
count()
assert counter == 8 == main.counter and g([2, 1]) == [1, 2]
### star
from solution import *
assert f([2, 1]) == [1, 2]
### library
assert f([1, 2]) and math.isclose(0.1 + 0.2, 0.3) and isclose(1, 1) and (type(math) is type(__import__('os')))
### class body
class T:
    x = f([2, 1])

    def t(self):
        return f([5, 4])
assert T.x == [1, 2] and T().t() == [4, 5]
### printing
import io, contextlib
b = io.StringIO()
with contextlib.redirect_stdout(b):
    show()
assert b.getvalue() == 'shown\n'
### context manager
with opened() as x:
    assert x == 5 and seen == ['in']
assert seen == ['in', 'out']
### swallowed by it
q = Quiet()
with q:
    raise KeyError('k')
assert q.kind is KeyError and q.text == "'k'"
### decorator
@twice
def one(x):
    """Mine."""
    return x
assert one(4) == [4, 4] and one.__name__ == 'one' and (one.__doc__ == 'Mine.')

class A:

    @twice
    def me(self):
        return self
a = A()
assert a.me() == [a, a]
### coroutine
import asyncio
assert asyncio.run(later(3)) == 4 and asyncio.iscoroutinefunction(later)

async def m():
    return ([x async for x in stream()], await asyncio.gather(later(1), later(2)))
assert asyncio.run(m()) == ([0, 1, 2], [2, 3])
### coroutine of the test
import asyncio

async def mine(x):
    await asyncio.sleep(0)
    return x + 1
assert asyncio.run(through(mine)) == 3
### derived class
class Square(Shape):

    def area(self):
        return 4
assert Square().tell() == 'Square of 4' and isinstance(Square(), Shape)
### deep copy
import copy
n = Node([1])
m = copy.deepcopy(n)
m.value.append(2)
assert n.value == [1] and m.value == [1, 2]
### default factory
import collections
d = collections.defaultdict(list, a=[1])
e = give(d)
e['b'].append(1)
assert d == {'a': [1], 'b': [1]}
### operand of the test
class Mine:

    def __radd__(self, other):
        return other.x + 5

    def __eq__(self, other):
        return other.x == 1
assert Vector(1, 2) + Mine() == 6 and Vector(1, 2) == Mine() and (give(Mine()) == Vector(1, 0))
### no such operand
try:
    Vector(1, 2) - 1
except TypeError:
    pass
else:
    assert False
assert Vector(1, 2) * 2 != 4
### patched
from unittest import mock
import solution
with mock.patch('solution.f', return_value=5) as m:
    assert solution.f(1) == 5
assert m.called and f([2, 1]) == [1, 2]
with mock.patch.object(Node, 'add', return_value=7):
    assert Node(1).add(2) == 7
### unittest
import unittest

class T(unittest.TestCase):

    def test_f(self):
        self.assertEqual(f([2, 1]), [1, 2])
        with self.assertRaises(Fault) as caught:
            fail(3)
        self.assertEqual(caught.exception.code, 3)
r = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)
assert r.testsRun == 1 and r.wasSuccessful(), r
### threads
import threading
ts = [threading.Thread(target=count) for _ in range(8)]
for t in ts:
    t.start()
for t in ts:
    t.join()
assert counter == 8
### docs
assert twice.__doc__ == 'Doc of twice.' and f.__name__ == 'f' and callable(f) and (not callable(Node(1)))
'''
)


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS.keys())
def test_an_honest_program_passes(test: str) -> None:
    assert tried(PROGRAM, test) == [None]


def test_one_program_serves_many_tests() -> None:
    assert tried(PROGRAM, "count()", "assert counter == 1", "assert counter == 2", "assert f([2, 1]) == [1, 2]")[:2] == [None, None]


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("def sum(a, b): return a * b", "assert sum(2, 5) == 10"),
        ("def max(a): return 7", "def check(candidate):\n  assert candidate([1]) == 7\ncheck(max)"),
        ("def filter(s): return s", "class T:\n  def t(self): return filter('a') == 'a'\nassert T().t()"),
    ],
)
def test_a_program_may_be_named_like_a_builtin(source: str, test: str) -> None:
    assert tried(source, test) == [None]


@pytest.mark.parametrize("test", ["assert True", "x = 1\nassert x == 1", "import math\nassert math.pi > 3", "assert sum([1]) == 1"])
def test_a_test_that_never_looks_is_not_passed(test: str) -> None:
    (error,) = tried("def f(x): return 1\nimport math", test)
    assert isinstance(error, LookupError)


def test_a_name_that_is_nowhere_is_a_name_error() -> None:
    (error,) = tried(PROGRAM, "nowhere(1)")
    assert isinstance(error, NameError)


def test_what_the_program_raised_is_told_from_what_the_test_raised() -> None:
    theirs, ours = tried(PROGRAM, "fail(3)", "f; raise ValueError")
    assert theirs and ours and exchange.is_remote_error(theirs) and not exchange.is_remote_error(ours)
