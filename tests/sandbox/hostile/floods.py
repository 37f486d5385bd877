"""Saying too much: output of every kind, and answers that are larger, deeper or slower than any answer should be."""

from __future__ import annotations

from sandbox.hostile.attack import LIMITS, Attack, forger, script

from homeschool.core.execution import Program

OUTPUT = [
    script("flood standard output", "for _ in range(10**7): print('x' * 1000)", "output"),
    script("flood standard error", "for _ in range(10**7): print('x' * 1000, file=sys.stderr)", "output"),
    script(
        "flood both",
        "for _ in range(10**7):\n    for stream in (sys.stdout, sys.stderr): print('x', file=stream)",
        "output",
    ),
    script("one endless line", "while True: os.write(1, b'x' * 65536)", "output"),
    script("an exception that says much", "raise ValueError('x' * 10**7)", "output"),
    script(
        "children flood",
        """
for _ in range(4):
    if os.fork() == 0:
        end = time.monotonic() + 5
        while time.monotonic() < end: os.write(1, b"x" * 65536)
        os._exit(0)
time.sleep(5)
""",
        "output",
    ),
    Attack("a command floods", Program(argv=("yes",), limits=LIMITS), frozenset({"output"})),
    Attack("a command floods by a file", Program(argv=("cat", "/dev/zero"), limits=LIMITS), frozenset({"output"})),
    script("flood at the end", "import atexit\natexit.register(lambda: print('x' * 10**7))", "output"),
    forger("flood when called", "import os\ndef add(a, b):\n    while True: print('x' * 10**6)", "timeout output"),
    forger("answer with too much", "def add(a, b): return list(range(3_000_000))", "output memory timeout failed"),
    forger("answer with a long text", "def add(a, b): return 'x' * 50_000_000", "output memory failed timeout"),
    forger("answer with a long number", "def add(a, b): return 1 << 10_000_000", "output failed error"),
    forger(
        "answer with a deep list",
        "def add(a, b):\n    deep = []\n    for _ in range(200_000): deep = [deep]\n    return deep",
        "output failed error crash",
    ),
    forger(
        "answer with itself",
        "def add(a, b):\n    loop = []\n    loop.append(loop)\n    return loop",
        "failed error output",
    ),
    forger(
        "answer without end",
        "def add(a, b):\n    while True: yield 5",
        "timeout memory output failed",
        tests=("assert list(add(2, 3)) == [5]", "assert sum(add(2, 3)) == 5"),
    ),
    forger("raise much", "def add(a, b): raise ValueError('x' * 50_000_000)", "output error memory timeout"),
    forger(
        "raise without end",
        """
class Endless(Exception):
    def __str__(self):
        while True: pass
    __repr__ = __str__
def add(a, b): raise Endless
""",
        "timeout error",
    ),
]

BIG = [
    forger(
        "answer with a list that doubles",
        """
def add(a, b):
    row = [1]
    for _ in range(80): row = [row, row]
    return row
""",
        "failed timeout memory crash output error",
        tests=("assert add(2, 3) == 5",),
    ),
    forger(
        "answer with two lists that double",
        """
def add(a, b):
    row = [1]
    for _ in range(60): row = [row, row]
    return row
""",
        "failed timeout memory crash output error",
        tests=("assert add(2, 3) != add(2, 3)",),
    ),
    forger(
        "answer with keys of one hash",
        "def add(a, b): return {n * (2**61 - 1): n for n in range(1, 20_000)}",
        "failed timeout crash output error",
        tests=("assert add(2, 3) == {}",),
    ),
    forger(
        "answer with a range that is dear to list",
        "def add(a, b): return range(10**12)",
        "failed timeout memory crash error output",
        tests=("assert list(add(2, 3)) == [5]",),
    ),
    forger(
        "answer with how often to repeat",
        "def add(a, b): return 10**11",
        "failed memory error",
        tests=("assert [0] * add(2, 3) == [0] * 5",),
    ),
    forger(
        "an object that ends it when shown",
        "import os\nclass A:\n    def __repr__(self): os._exit(0)\ndef add(a, b): return A()",
        "failed exit error",
    ),
    forger(
        "an object that loops when shown",
        "class A:\n    def __repr__(self):\n        while True: pass\ndef add(a, b): return A()",
        "failed timeout",
    ),
    forger(
        "an object that says much when shown",
        "class A:\n    def __repr__(self): return 'x' * 50_000_000\ndef add(a, b): return A()",
        "failed output timeout",
    ),
    forger(
        "call back without end",
        "def apply(f, x):\n    while True: f(x)",
        "timeout",
        tests=("assert apply(lambda x: x + 1, 3) == 4",),
    ),
    forger(
        "call back deeper and deeper",
        "def apply(f, x): return f(x)",
        "error timeout crash failed",
        tests=("def again(x):\n    return apply(again, x)\nassert apply(again, 3) == 4",),
    ),
]

FLOODS: list[Attack] = [*OUTPUT, *BIG]
