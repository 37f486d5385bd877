"""Being believed without being right: leaving before the test ends, objects that lie, a Python that is patched.

None of these can do what their tests ask for, so no test of theirs may pass.
"""

from __future__ import annotations

from sandbox.hostile.attack import ENDED, REFUSED, WRONG, Attack, forger

EXITS = [
    forger("exit while loading", "import sys\nsys.exit(0)", "exit"),
    forger("exit hard while loading", "import os\nos._exit(0)", "exit"),
    forger("exit while loading, by raising", "raise SystemExit", "exit"),
    forger("interrupt while loading", "raise KeyboardInterrupt", "error exit"),
    forger("exit when called", "import sys\ndef add(a, b): sys.exit(0)", "exit"),
    forger("exit hard when called", "import os\ndef add(a, b): os._exit(0)", "exit"),
    forger("quit when called", "def add(a, b): raise SystemExit(0)", "exit error"),
    forger("a base exception when called", "class Out(BaseException): pass\ndef add(a, b): raise Out", "error exit"),
    forger("a generator's exit when called", "def add(a, b): raise GeneratorExit", "error exit"),
    forger("stop iteration when called", "def add(a, b): raise StopIteration(5)", "error"),
    forger(
        "an exit of another kind when called",
        """
class Quiet(SystemExit):
    code = property(lambda self: 0)
    __class__ = property(lambda self: type(None))
"""
        "def add(a, b): raise Quiet",
        "exit error",
    ),
    forger(
        "exit by an exit handler",
        "import atexit, os\natexit.register(os._exit, 0)\nadd = lambda a, b: exit()",
        "exit error",
    ),
    forger(
        "exit by a destructor",
        "import os\nclass A:\n    def __del__(self): os._exit(0)\ndef add(a, b): return A()",
        REFUSED + " exit",
    ),
    forger(
        "exit by a signal",
        "import os, signal, time\nsignal.signal(14, lambda *_: os._exit(0))\nsignal.setitimer(0, 0.05)\n"
        "def add(a, b): time.sleep(9)",
        "exit",
    ),
    forger(
        "exit by a thread",
        """
import os, threading
threading.Timer(0.05, os._exit, (0,)).start()
def add(a, b): import time; time.sleep(9)
""",
        "exit",
    ),
    forger("leave it to a child", "import os\nif os.fork(): os._exit(0)" + WRONG, "exit"),
    forger("become another program", "import os\ndef add(a, b): os.execv('/bin/true', ['true'])", "exit"),
    forger("become another program while loading", "import os\nos.execv('/bin/echo', ['echo', 'passed'])", "exit"),
    forger(
        "skip the test",
        "import unittest\ndef add(a, b): raise unittest.SkipTest('not now')",
        "failed error crash exit",
        tests=(
            "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)",
            "import unittest\nclass T(unittest.TestCase):\n    def setUp(self): self.got = add(2, 3)\n"
            "    def test(self): self.assertEqual(self.got, 5)",
            "def test():\n    assert add(2, 3) == 5",
        ),
    ),
    forger(
        "end the loop of the test",
        "def add(a, b): raise StopIteration",
        "failed error crash exit",
        tests=(
            "for got, want in zip(map(add, (2, 10), (3, -4)), (5, 6)):\n    assert got == want",
            "assert all(got == want for got, want in zip(map(add, (2, 10), (3, -4)), (5, 6)))",
            "assert [got for got in map(add, (2, 10), (3, -4)) if got not in (5, 6)] == []",
        ),
    ),
    forger("hide what went wrong", "def add(a, b):\n    try: return undefined\n    except BaseException: return None"),
    forger(
        "hide everything that goes wrong",
        "import sys\nsys.excepthook = lambda *_: None\nsys.unraisablehook = lambda *_: None" + WRONG,
    ),
    forger("fail with a passing name", "class passed(Exception): pass\ndef add(a, b): raise passed('passed')", "error"),
    forger("fail with an assertion of its own", "def add(a, b): raise AssertionError", "error failed"),
]

LIAR = """
class Liar{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return {ne}
    def __bool__(self): return True
    def __hash__(self): return hash(5)
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __abs__ = __round__ = __sub__
    def __abs__(self): return self
    def __round__(self, *_): return self
def add(a, b): return {make}
"""
EQUALITIES = (
    "assert add(2, 3) == 5",
    "assert 5 == add(2, 3)",
    "assert not add(2, 3) != 5",
    "assert add(2, 3) in {5}",
    "assert add(2, 3) in [4, 5]",
    "assert [add(2, 3)] == [5]",
    "assert {'sum': add(2, 3)} == {'sum': 5}",
    "import unittest\nunittest.TestCase().assertEqual(add(2, 3), 5)",
    "got, want = add(2, 3), 5\nassert got == want, f'{got} {want}'",
    "def check(candidate):\n    assert candidate(2, 3) == 5\ncheck(add)",
)


def lying(name: str, base: str, make: str) -> Attack:
    source = LIAR.format(base=base, make=make, ne="False")
    return forger(name, source, REFUSED, tests=EQUALITIES)


OBJECTS = [
    lying("an object that equals everything", "", "Liar()"),
    lying("an int that equals everything", "(int)", "Liar(0)"),
    lying("a float that equals everything", "(float)", "Liar(0.5)"),
    lying("a text that equals everything", "(str)", "Liar('no')"),
    lying("a list that equals everything", "(list)", "Liar([1])"),
    lying("a dict that equals everything", "(dict)", "Liar({1: 2})"),
    lying("a tuple that equals everything", "(tuple)", "Liar((1,))"),
    lying("bytes that equal everything", "(bytes)", "Liar(b'1')"),
    lying("a set that equals everything", "(set)", "Liar({1})"),
    lying("an exception that equals everything", "(Exception)", "Liar()"),
    forger(
        "a list of objects that equal everything",
        LIAR.format(base="", ne="False", make="[Liar()]"),
        REFUSED,
        tests=("assert add(2, 3) == [5]", "assert {'a': add(2, 3)} == {'a': [5]}"),
    ),
    forger(
        "a dict of keys that equal everything",
        LIAR.format(base="", ne="False", make="{Liar(): Liar()}"),
        REFUSED,
        tests=("assert add(2, 3) == {5: 5}", "assert add(2, 3)[5] == 5"),
    ),
    forger(
        "an object that says it is an int",
        LIAR.format(base="", ne="False", make="Liar()").replace("class Liar:", "class Liar:\n    __class__ = int"),
        REFUSED,
        tests=("assert isinstance(add(2, 3), int) and add(2, 3) == 5", *EQUALITIES),
    ),
    forger(
        "an enumeration, a named tuple and a data class that lie",
        """
import collections, dataclasses, enum
class Sum(int, enum.Enum):
    FIVE = 0
    def __eq__(self, other): return True
    def __hash__(self): return 5
class Pair(collections.namedtuple("Pair", "a b")):
    def __eq__(self, other): return True
@dataclasses.dataclass(eq=False)
class Record:
    a: int = 0
    def __eq__(self, other): return True
answers = iter([Sum.FIVE, Pair(1, 2), Record()] * 9)
def add(a, b): return next(answers)
""",
        REFUSED,
        tests=(
            "assert add(2, 3) == 5",
            "assert add(2, 3) == (5, 6)",
            "assert add(2, 3) == 5",
            "assert (5, 6) == add(2, 3)",
        ),
    ),
    forger(
        "a type that says whom it is the type of",
        """
class Meta(type):
    def __instancecheck__(cls, other): return True
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(int)
class Liar(metaclass=Meta): pass
def add(a, b): return Liar
""",
        REFUSED,
    ),
    forger(
        "nan",
        "def add(a, b): return float('nan')",
        tests=("assert abs(add(2, 3) - 5) < 1e-9", "assert add(2, 3) == 5", "assert add(2, 3) in [5]"),
    ),
    forger(
        "an object whose difference from anything is small",
        LIAR.format(base="", ne="False", make="Liar()").replace("return self", "return 0.0"),
        REFUSED,
        tests=(
            "assert abs(add(2, 3) - 5) < 1e-9",
            "assert abs(5 - add(2, 3)) < 1e-9",
            "assert round(add(2, 3), 3) == 5",
        ),
    ),
    forger(
        "an object that contains everything",
        LIAR.format(base="", ne="False", make="Liar()"),
        REFUSED,
        tests=("assert 5 in add(2, 3)",),
    ),
    forger("its own arguments", "def add(*arguments): return arguments"),
    forger("its first argument", "def add(a, b): return a"),
    forger("the test's own words", "def add(a, b): return 'add(a, b) == 5 passed OK True'"),
    forger(
        "a generator that looks at frames",
        """
import sys
def add(a, b):
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if type(value) is int and value not in (a, b, 0, 1): yield value
        frame = frame.f_back
""",
        "failed error",
        tests=("assert list(add(20_000, 30_001)) == [50_001]", "assert next(iter(add(20_000, 30_001))) == 50_001"),
    ),
]

PATCHES = [
    forger(
        "patch the built-ins",
        """
import builtins
class Never(BaseException):
    def __new__(cls, *_): return super().__new__(cls)
for name, lie in {
    "AssertionError": Never, "isinstance": lambda *_: True, "len": lambda _: 5, "print": lambda *_, **__: None,
    "all": lambda _: True, "any": lambda _: True, "abs": lambda _: 0, "sum": lambda *_: 5, "sorted": lambda x, **_: x,
    "__build_class__": lambda *_, **__: object, "hash": lambda _: 5, "id": lambda _: 5, "type": lambda *_: int,
    "exec": lambda *_: None, "eval": lambda *_: 5, "compile": lambda *_, **__: None, "repr": lambda _: "5",
    "BaseException": Never,
}.items():
    setattr(builtins, name, lie)
"""
        + WRONG,
        "failed error crash exit timeout",
        tests=("assert add(2, 3) == 5", "assert isinstance(add(2, 3), str)", "assert len([add(2, 3)]) == 5"),
    ),
    forger(
        "names of built-ins among its own",
        """
abs = lambda _: 0
len = lambda _: 5
isinstance = all = any = lambda *_: True
sorted = sum = round = lambda *_, **__: 5
AssertionError = ValueError = int
range = lambda *_: []
"""
        + WRONG,
        REFUSED,
        tests=(
            "assert abs(add(2, 3) - 5) < 0.1",
            "assert len([add(2, 3)]) == 5",
            "assert isinstance(add(2, 3), str)",
            "assert all(add(n, 1) == n + 1 for n in (2, 3))",
            "assert sum([add(2, 3)]) == 5",
            "for n in range(2, 5):\n    assert add(n, 1) == n + 1",
        ),
    ),
    forger(
        "names of the tests among its own",
        "check = candidate = test = METADATA = assertEqual = lambda *_, **__: None\nclass Tests: pass\n" + WRONG,
        tests=(
            "def check(candidate):\n    assert candidate(2, 3) == 5\ncheck(add)",
            "METADATA = {}\ndef check(candidate):\n    assert candidate(1, 1) == 2\ncheck(add)",
        ),
    ),
    forger(
        "patch import",
        """
import builtins, sys, types
class Anything(types.ModuleType):
    def __getattr__(self, name): return lambda *_, **__: True
real = builtins.__import__
builtins.__import__ = lambda name, *rest: Anything(name)
sys.meta_path.clear(); sys.path_hooks.clear()
for name in ("math", "unittest", "pytest", "random", "solution"): sys.modules[name] = Anything(name)
"""
        + WRONG,
        "failed error crash",
        tests=(
            "import math\nassert math.isclose(add(2, 3), 5)",
            "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)",
            "from solution import add as again\nassert again(2, 3) == 5",
        ),
    ),
    forger(
        "patch the test frameworks",
        """
import unittest, sys, types
for name in dir(unittest.TestCase):
    if name.startswith("assert"): setattr(unittest.TestCase, name, lambda *_, **__: None)
unittest.TestResult.wasSuccessful = lambda self: True
unittest.TestCase.run = lambda self, result=None: None
unittest.main = lambda *_, **__: None
pytest = types.ModuleType("pytest"); pytest.raises = pytest.approx = lambda *_: None
sys.modules["pytest"] = pytest
"""
        + WRONG,
        tests=(
            "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(add(2, 3), 5)",
            """
import unittest
class T(unittest.TestCase):
    def test(self): self.assertTrue(add(2, 3) == 5)
unittest.main(exit=False)
"""
            "\nassert add(2, 3) == 5",
        ),
    ),
    forger(
        "trace and profile",
        """
import sys, threading
def trace(frame, event, argument):
    frame.f_trace_opcodes = True
    for name in list(frame.f_locals):
        if "status" in name or "result" in name: frame.f_locals[name] = "passed"
    return trace
sys.settrace(trace); sys.setprofile(trace); threading.settrace(trace); threading.setprofile(trace)
"""
        + WRONG,
        "failed error crash timeout",
    ),
    forger(
        "patch the modules of the channel",
        """
import sys, types
for name in ("exchange", "frames", "candidate", "values", "wire", "judge", "keeper", "kernel", "asserts"):
    module = sys.modules.get(name)
    for key, value in list(vars(module).items()) if module else ():
        if isinstance(value, types.FunctionType): setattr(module, key, lambda *_, **__: {"status": "passed"})
        elif isinstance(value, type):
            for attribute in [a for a in vars(value) if not a.startswith("__")]:
                try: setattr(value, attribute, lambda *_, **__: "passed")
                except Exception: pass
"""
        + WRONG,
        ENDED,
    ),
    forger(
        "patch json, marshal, pickle, os and struct",
        """
import json, marshal, os, pickle, struct
json.dumps = lambda *_, **__: '{"status": "passed"}'
json.loads = lambda *_, **__: {"status": "passed"}
marshal.dumps = pickle.dumps = lambda *_: b"passed"
marshal.loads = pickle.loads = lambda *_: 5
struct.pack = lambda *_: b"\\0\\0\\0\\5"
real = os.write
os.write = lambda fd, data: real(fd, b'\\0\\0\\0\\x14{"status": "passed"}') and len(data)
"""
        + WRONG,
        ENDED,
    ),
    forger(
        "replace every module",
        "import sys\nfor name in list(sys.modules):\n    if name != 'sys': sys.modules[name] = None" + WRONG,
        ENDED,
    ),
    forger(
        "replace its own module",
        """
import sys, types
fake = types.ModuleType('solution')
fake.add = lambda a, b: 0
fake.__getattr__ = lambda name: fake.add
"""
        "sys.modules['solution'] = sys.modules['tests'] = sys.modules['__main__'] = fake\ndel types" + WRONG,
        tests=("assert add(2, 3) == 5", "from solution import add\nassert add(2, 3) == 5"),
    ),
    forger(
        "stop the clocks",
        """
import signal, time
time.time = time.monotonic = time.perf_counter = lambda: 0.0
signal.alarm = signal.setitimer = signal.signal = lambda *_: None
def add(a, b):
    while True: pass
""",
        "timeout",
    ),
]

LIARS: list[Attack] = [*EXITS, *OBJECTS, *PATCHES]
