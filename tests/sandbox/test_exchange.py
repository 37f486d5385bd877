"""What an honest program gives its test: values, objects, exceptions, callbacks, changes in place, real public tests."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from exchange_pair import answering, exchange, frame, judge_of, tried, verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DATA = Path(__file__).parents[3] / "shared" / "data" / "code"
PROGRAM = '''
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
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
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

TESTS = {
    "values": "assert f([3, 1]) == [1, 3] and big == 2**200 and give((1, {2: {3}})) == (1, {2: {3}})",
    "in place": "x = [3, 1, 2]; y = in_place(x); assert x == [1, 2, 3] and y is x",
    "nested in place": "d = {'old': []}; o = d['old']; r = nest(d)\nassert r is o == [1] and d['new'][0] is d and len(d) == 2",
    "argument twice": "x = [1]; a, b = give([x, x]); assert a is b is x",
    "keyword arguments": "assert by(xs=[3, 1], key=lambda v: -v) == [3, 1]",
    "callback": "seen_ = []\nassert by([3, 1, 2], lambda v: seen_.append(v) or -v) == [3, 2, 1] and len(seen_) == 3",
    "library as callback": "assert by(['b', 'A'], str.lower) == ['A', 'b'] and by(['bb', 'a'], len) == ['a', 'bb']",
    "method as callback": "d = {1: 3, 2: 1}\nassert by([1, 2], d.get) == [2, 1]",
    "getter as callback": "from operator import itemgetter\nassert by([(1, 2), (2, 1)], itemgetter(1)) == [(2, 1), (1, 2)]",
    "partial": "from functools import partial\nassert by([1, 2], partial(lambda a, b: -b, 0)) == [2, 1]",
    "both change": "log = []; hear(log, log.append); assert log == ['a', 'b', 'c'], log",
    "object": "n = Node(1); n.add(Node(2)).add(Node(3)); assert len(n) == 2 and n.kids[1].value == 3 and n.double == 2",
    "object's list": "n = Node(1); n.kids.append(Node(2)); k = n.kids; n.add(1); assert len(n) == 2 and k is n.kids and k[1] == 1",
    "object set": "n = Node(1); n.next = Node(2); n.next.value = 7; assert n.next.value == 7; del n.next.value\n"
    "assert not hasattr(n.next, 'value') and vars(n)['value'] == 1",
    "same object": "n = Node(1); assert give(n) is n and give([n, n])[1] is n and n != Node(1) and n in [n]",
    "class": "assert isinstance(Node(1), Node) and not isinstance(1, Node) and type(Node(1)) is Node\n"
    "assert Node.made == 2 and Node.__name__ == 'Node' and [n.value for n in Node.of([1, 2])] == [1, 2]",
    "exception": "try: fail(4)\nexcept Fault as e: assert (e.code, str(e), e.args, type(e)) == (4, 'code 4', ('code 4',), Worse)\n"
    "else: assert False\nassert issubclass(Worse, Fault) and isinstance(Worse(1), ValueError) and Worse(2).code == 2",
    "exception's cause": "try: fail(4)\nexcept ValueError as e: assert isinstance(e.__cause__, KeyError)\nelse: assert False",
    "exception of a built-in": "try: f([1, 'a'])\nexcept TypeError as e: assert \"'<'\" in str(e)\nelse: assert False",
    "exception of the test": "class Mine(Exception): pass\nerror = Mine(1)\ndef k(v): raise error\n"
    "try: by([1, 2], k)\nexcept Mine as e: assert e is error\nelse: assert False",
    "recursion": "try: deep()\nexcept RecursionError: assert give(1) == 1\nelse: assert False",
    "memory": "try: full()\nexcept MemoryError: assert give(1) == 1\nelse: assert False",
    "exit": "try: leave()\nexcept SystemExit as e: assert e.code == 3\nelse: assert False",
    "generator": "g = numbers(); assert seen == [] and next(g) == 0 and seen == ['started', 0] and list(g) == [1, 2]",
    "generator's end": "g = numbers(); list(g)\ntry: next(g)\nexcept StopIteration: pass\nelse: assert False",
    "generator's send": "g = echo(); next(g); assert g.send(4) == 4\ntry: g.send('stop')\nexcept StopIteration: pass\nelse: assert 0",
    "enum": "assert Color.RED is Color.RED is Color(1) is Color['RED'] != Color.BLUE and [c.name for c in Color] == ['RED', 'BLUE']\n"
    "assert len(Color) == 2 and Color.RED in {Color.RED: 1} and str(Color.RED) == 'Color.RED' and Color.RED in Color",
    "int enum": "assert Level.HIGH == 2 and Level.HIGH is Level.HIGH > Level.LOW and Level(1).name == 'LOW' and Word.YES == 'yes'",
    "named tuple": "p = Point(1, 2); assert p == (1, 2) and p.y == 2 and p._replace(x=5) == (5, 2) and repr(p) == 'Point(x=1, y=2)'\n"
    "x, y = p; assert isinstance(p, tuple) and {p: 1}[1, 2] == 1",
    "list subclass": "s = Stack(); s.push(1); s.push(2); assert s == [1, 2] and s.peek() == 2 and isinstance(s, list)\n"
    "s.append(7); s[0] = 9; assert s.peek() == 7 and s.pop() == 7 and s == [9, 2] and give(s) is s",
    "dict subclass": "d = Least(a=1); assert d == {'a': 1} and d['b'] == 'bb' and d.get('a') == 'got'; d['c'] = 3\nassert len(give(d)) == 2",
    "data class": "assert Pair(1, 2) == Pair(1, 2) != Pair(2, 1) and len({Pair(1, 2), Pair(1, 2)}) == 1 and repr(Pair(1, 2)) == 'Pair(a=1, b=2)'\n"
    "try: Pair(1, 2).a = 3\nexcept AttributeError: pass\nelse: assert False",
    "arithmetic": "v = Vector(1, 2); assert v + v == Vector(2, 4) and v * 3 == Vector(3, 6) == 3 * v and (v * 3).x == 3\n"
    "v += Vector(2, 2); assert v.x == 3 and abs(Vector(3, 4)) == 5.0 and v[0] == 3 and bool(v) and not Vector(0, 0)",
    "order": "assert sorted([Vector(2, 1), Vector(1, 5)])[0].x == 1 and max(Vector(1, 1), Vector(2, 0)) == Vector(2, 0)",
    "plain against object": "assert Vector(1, 2) != (1, 2) and not Vector(1, 2) == 1\ntry: Vector(1, 2) < 1\nexcept TypeError: pass\nelse: assert 0",
    "globals": "assert counter == 0; count(); assert counter == 1; table['a'].append(2); assert table == {'a': [1, 2]}",
    "module": "import solution, main\nfrom solution import f as g\nsolution.counter = 7; count()\nassert counter == 8 == main.counter and g([2, 1]) == [1, 2]",
    "star": "from solution import *\nassert f([2, 1]) == [1, 2]",
    "library": "assert f([1, 2]) and math.isclose(0.1 + 0.2, 0.3) and isclose(1, 1) and type(math) is type(__import__('os'))",
    "class body": "class T:\n  x = f([2, 1])\n  def t(self): return f([5, 4])\nassert T.x == [1, 2] and T().t() == [4, 5]",
    "printing": "import io, contextlib\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): show()\nassert b.getvalue() == 'shown\\n'",
    "context manager": "with opened() as x: assert x == 5 and seen == ['in']\nassert seen == ['in', 'out']",
    "swallowed by it": "q = Quiet()\nwith q: raise KeyError('k')\nassert q.kind is KeyError and q.text == \"'k'\"",
    "decorator": "@twice\ndef one(x):\n  'Mine.'\n  return x\nassert one(4) == [4, 4] and one.__name__ == 'one' and one.__doc__ == 'Mine.'\n"
    "class A:\n  @twice\n  def me(self): return self\na = A(); assert a.me() == [a, a]",
    "coroutine": "import asyncio\nassert asyncio.run(later(3)) == 4 and asyncio.iscoroutinefunction(later)\n"
    "async def m(): return [x async for x in stream()], await asyncio.gather(later(1), later(2))\n"
    "assert asyncio.run(m()) == ([0, 1, 2], [2, 3])",
    "coroutine of the test": "import asyncio\nasync def mine(x): await asyncio.sleep(0); return x + 1\nassert asyncio.run(through(mine)) == 3",
    "derived class": "class Square(Shape):\n  def area(self): return 4\nassert Square().tell() == 'Square of 4' and isinstance(Square(), Shape)",
    "deep copy": "import copy\nn = Node([1]); m = copy.deepcopy(n); m.value.append(2); assert n.value == [1] and m.value == [1, 2]",
    "default factory": "import collections\nd = collections.defaultdict(list, a=[1]); e = give(d); e['b'].append(1); assert d == {'a': [1], 'b': [1]}",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n  def test_f(self):\n    self.assertEqual(f([2, 1]), [1, 2])\n"
    "    with self.assertRaises(Fault) as caught: fail(3)\n    self.assertEqual(caught.exception.code, 3)\n"
    "r = unittest.TestResult()\nunittest.defaultTestLoader.loadTestsFromTestCase(T).run(r)\nassert r.testsRun == 1 and r.wasSuccessful(), r",
    "threads": "import threading\nts = [threading.Thread(target=count) for _ in range(8)]\nfor t in ts: t.start()\nfor t in ts: t.join()\n"
    "assert counter == 8",
    "docs": "assert twice.__doc__ == 'Doc of twice.' and f.__name__ == 'f' and callable(f) and not callable(Node(1))",
}  # fmt: skip


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


# --- limits -------------------------------------------------------------------------------------------------------


def test_limits_have_errors_of_their_own() -> None:
    with judge_of(PROGRAM, largest=20_000) as peer:
        assert isinstance(verdict(peer, "nested(3000)"), exchange.DeepError)
        peer.failure = None
        assert isinstance(verdict(peer, "x = []\nfor _ in range(3000): x = [x]\ngive(x)"), exchange.DeepError)
        peer.failure = None
        assert verdict(peer, "assert nested(200)") is None
        assert isinstance(verdict(peer, "give('x' * 30_000)"), exchange.TooLargeError)
        peer.failure = None
        assert isinstance(verdict(peer, "f(range(30_000))"), exchange.TooLargeError)
        assert isinstance(verdict(peer, "give(1)"), exchange.GoneError)


@pytest.mark.parametrize("body", ["time.sleep(9)", "[0 for _ in iter(int, 1)]", "[k() for _ in iter(int, 1)]", "os.read(3, 1 << 20)"])
def test_the_deadline_holds(body: str) -> None:
    started = time.monotonic()
    (error,) = tried(f"import os, time\ndef f(k):\n  {body}", "f(lambda: 1)", seconds=0.3)
    assert isinstance(error, (exchange.SlowError, exchange.ProtocolError)) and time.monotonic() - started < 1


def test_the_deadline_holds_while_sending() -> None:
    with judge_of(lambda read_fd, write_fd: time.sleep(5), seconds=0.3, largest=1 << 24) as peer:
        error = verdict(peer, "import solution\nsolution.x = 'x' * 10_000_000")
    assert isinstance(error, exchange.SlowError)


def test_an_endless_generator_is_read_as_far_as_needed() -> None:
    source = "import itertools\ndef f(): yield from itertools.count()"
    assert tried(source, "from itertools import islice\nassert list(islice(f(), 5)) == [0, 1, 2, 3, 4]") == [None]


# --- bytes --------------------------------------------------------------------------------------------------------

ENDLESS = ["h", 1, [2, [[3, [], ["A", "m", "", "object", ["__len__"], []]]], ["B", "m", "", "object", [], []]]]
OK = ["ok", "N"]
CRUEL: dict[str, tuple[object, ...]] = {
    "no JSON": (frame(b"hello"),),
    "nothing": (frame(b""),),
    "no text": (frame(b"\xff\xfe"),),
    "two values": (frame(b'["ok",1,1,[],[],""] 2'),),
    "too large": ((1 << 31).to_bytes(4, "big"),),
    "a long number": (frame(b'["ok",1,' + b"9" * 100_000 + b',[],[],""]'),),
    "deep JSON": (frame(b"[" * 100_000),),
    "deep value": ([*OK, json.loads('["l",' * 400 + "1" + "]" * 400), [], [], ""],),
    "an object": (frame({"a": 1}),),
    "short": (frame(["ok", 1]),),
    "empty": (frame([]),),
    "other question": (["ok", 77, 1, [], [], ""],),
    "unknown kind": (["maybe", "N", 1, [], [], ""],),
    "unknown tag": ([*OK, ["?"], [], [], ""],),
    "no tag": ([*OK, [], [], [], ""],),
    "dict as a value": ([*OK, {}, [], [], ""],),
    "cycle through a tuple": ([*OK, ["t", ["@", 0]], [], [], ""],),
    "reference too far": ([*OK, ["l", ["@", 5]], [], [], ""],),
    "list in a set": ([*OK, ["s", ["l"]], [], [], ""],),
    "key without a value": ([*OK, ["d", 1], [], [], ""],),
    "unknown share": ([*OK, ["$", 1, 4], [], [], ""],),
    "unknown class": ([*OK, ["h", 1, 55], [], [], ""],),
    "class of junk": ([*OK, ["h", 1, [2, [], [1, 2, 3, 4, 5, 6]]], [], [], ""],),
    "object of an exception's class": ([*OK, ["h", 1, "ValueError"], [], [], ""],),
    "value of a wrong root": ([*OK, ["v", 1, [2, [], ["A", "m", "", "int", [], []]], False, "x"], [], [], ""],),
    "list without a list": ([*OK, ["v", 1, [2, [], ["A", "m", "", "list", [], []]], False, 3], [], [], ""],),
    "exception of junk": ([*OK, ["x", "int", 0, [], "", None], [], [], ""],),
    "type by a wrong name": ([*OK, ["T", "eval"], [], [], ""],),
    "module": ([*OK, ["n", "os:system"], [], [], ""],),
    "recipe": ([*OK, ["u", ["T", "int"], ["t"], ["d"]], [], [], ""],),
    "same hashes": ([*OK, ["s", *(["i", f"{n * (2**61 - 1):x}"] for n in range(5000))], [], [], ""],),
    "tuples of shared tuples": ([*OK, ["s", ["t", ["t", 1], ["@", 2]]], [], [], ""],),
    "huge fraction": ([*OK, ["F", "f" * 100_000, "3"], [], [], ""],),
    "array of objects": ([*OK, ["numpy", "|O", [1], "12345678"], [], [], ""],),
    "array too short": ([*OK, ["numpy", "<i8", [1000000], ""], [], [], ""],),
    "bytes that are none": ([*OK, ["b", "\u1234"], [], [], ""],),
    "date that is none": ([*OK, ["date", 0, 0, 0], [], [], ""],),
    "forgets nothing": ([*OK, 1, [], [[1, 1]], ""],),
    "forgets junk": ([*OK, 1, [], [7], ""],),
    "changes junk": ([*OK, 1, [7], [], ""],),
    "fetches of the judge": (["fetch", 9, 0, "f", [], {}, [], [], False],),
    "calls what it has not": (["call", 9, 1, "f", [], {}, [], [], False],),
    "request of junk": (["call", 9, 1, 5, 5, 5, 5, 5, 5],),
    "class of classes": ([*OK, ["c", [1, [[n, [], ["A", "m", "", "object", [], []]] for n in range(2, 90)],
                                      ["A", "m", "", "object", [], []]]], [], [], ""],),
}  # fmt: skip


@pytest.mark.parametrize("replies", CRUEL.values(), ids=CRUEL.keys())
def test_bytes_that_are_no_message_end_in_an_error_of_the_exchange(replies: tuple[object, ...]) -> None:
    with judge_of(answering(*replies), seconds=3) as peer, pytest.raises(exchange.ExchangeError) as caught:
        peer.fetch("f")
    assert isinstance(caught.value, (exchange.ProtocolError, exchange.TooLargeError, exchange.DeepError))


nodes = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.sampled_from(["", "a", "N", "__len__", "object", "list"]),
    lambda inner: st.lists(inner, max_size=5)
    | st.tuples(st.sampled_from([*"ltdszbiCrDFvhxcynu$@T:aq", "dd", "od", "count", "path", "numpy", "date"]), inner, inner, inner).map(list)
    | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)
messages = st.one_of(
    nodes,
    st.tuples(st.sampled_from(["ok", "no", "exit", "deep"]), st.just(1), nodes, nodes | st.just([]), nodes | st.just([]), nodes).map(list),
    st.tuples(st.sampled_from(["call", "op", "get", "set", "run"]), st.just(5), nodes, nodes | st.just("__eq__"), nodes, nodes,
              nodes | st.just([]), nodes | st.just([]), nodes).map(list),
)  # fmt: skip


def end_of(sent: bytes) -> None:
    """Call, and be answered with these bytes: anything but a value or one of the expected errors is raised here."""
    (read_fd, theirs), (ours, write_fd) = os.pipe(), os.pipe()
    peer = exchange.Peer(read_fd, write_fd, trusted=True, largest=1 << 16)
    peer.deadline = time.monotonic() + 2
    try:
        os.write(theirs, sent)
        os.close(theirs)
        for _ in range(3):
            peer.call(1, ([1, {2: 3}, {4}], lambda: 1), {"key": [5]})
    except (exchange.ExchangeError, exchange.ExitedError):
        return
    except Exception as error:
        if not exchange.is_remote_error(error) and not isinstance(error, RuntimeError):
            raise
    finally:
        for fd in (read_fd, ours, write_fd):
            os.close(fd)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=st.lists(messages | st.binary(max_size=40), max_size=3))
def test_messages_of_junk_end_in_an_error_of_the_exchange(sent: list[object]) -> None:
    end_of(b"".join(each if isinstance(each, bytes) else frame(each) for each in sent))


HONEST = [
    ["ok", 1, ["h", 3, [2, [[4, [], ["A", "m", "", "object", ["__len__", "__eq__"], []]]], ["B", "m", "d", "object", [], []]]], [], [], ""],
    ["call", 5, 3, "", [], {}, [[0, 3, ["l", 9]]], [], False],
    ["ok", 2, ["v", 6, [7, [], ["Stack", "m", "", "list", ["__len__"], ["append"]]], False, ["l", 1]], [[0, 5, ["d", 1, 2]]], [[3, 1]], ""],
    ["no", 3, ["x", [8, ["ValueError"], ["E", "m", "", "exception", [], []]], 9, [1, ["d", 1, 2]], "text", None], [], [], ""],
]  # fmt: skip
STREAM = b"".join(frame(message) for message in HONEST)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.sampled_from(list(b'[]"0123489ltvhxc,-\x00'))), max_size=4))
def test_an_honest_stream_that_was_tampered_with_ends_in_an_error_of_the_exchange(changes: list[tuple[int, int]]) -> None:
    stream = bytearray(STREAM)
    for place, byte in changes:
        stream[place] = byte
    end_of(bytes(stream))
