"""Never ending, and ending badly: loops, sleeps, recursion, crashes, and sources that break whoever reads them."""

from __future__ import annotations

from sandbox.hostile.attack import LIMITS, Attack, forger, script

from homeschool.core.execution import Limits, Program

HANGS: list[Attack] = [
    script("an endless loop", "while True: pass", "timeout"),
    script("a long sleep", "time.sleep(60)", "timeout"),
    script("wait for itself", "lock = threading.Lock()\nlock.acquire()\nlock.acquire()", "timeout"),
    script("read a pipe of its own", "os.read(os.pipe()[0], 1)", "timeout"),
    script("a regular expression that backtracks", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "timeout"),
    script("a power tower", "print(len(str(7 ** (7 ** 9))))", "timeout memory error"),
    script("a factorial", "import math\nmath.factorial(10**8)", "timeout memory"),
    script("sort for ever", "sorted(range(10**9), key=lambda n: -n)", "timeout memory"),
    script(
        "an exit handler that loops", "import atexit\n@atexit.register\ndef loop():\n    while True: pass", "timeout"
    ),
    script(
        "recurse without end",
        "sys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
        "memory timeout crash error",
    ),
    script(
        "recurse in C",
        "sys.setrecursionlimit(10**9)\nl = []\nfor _ in range(10**6): l = [l]\nrepr(l)",
        "crash timeout memory error",
    ),
    script(
        "a thread with a deep stack",
        """
threading.stack_size(32 << 20)
sys.setrecursionlimit(10**9)
f = lambda: [f() for _ in [0]]
thread = threading.Thread(target=f)
thread.start()
thread.join()
os._exit(3)
""",
        "crash timeout memory error",
    ),
    script("read address zero", "import ctypes\nctypes.string_at(0)", "crash"),
    script("write over itself", "import ctypes\nctypes.memset(id(int), 255, 400)\nint('5') + 5", "crash error"),
    script(
        "catch the crash",
        "import ctypes, faulthandler\nsignal.signal(signal.SIGSEGV, lambda *_: None)\nctypes.string_at(0)",
        "timeout crash",
    ),
    script(
        "junk for a code object",
        """
import types
code = (lambda: 0).__code__
exec(code.replace(co_code=bytes([100, 255, 100, 7, 83, 0, 1, 99] * 50), co_stacksize=1, co_consts=(), co_names=()))
""",
        "crash error timeout memory",
    ),
    script(
        "junk for marshal",
        """
import marshal
for n in range(2000):
    try: exec(marshal.loads(b'\\xe3' + os.urandom(200)))
    except Exception: pass
""",
        "passed crash memory error timeout",
    ),
    script(
        "a pickle that runs a command",
        """
import pickle
command = b"cat " + told["secrets"][0].encode()
attempt("pickle", lambda: pickle.loads(b"cos\\nsystem\\n(S'" + command + b"'\\ntR.") and 1 / 0)
""",
    ),
    script("a pickle that kills", "import pickle\npickle.loads(b'cos\\nabort\\n(tR.')", "crash"),
    script("nested beyond the parser", "eval('-' * 500_000 + '1')", "error memory crash"),
    Attack(
        "a source that cannot be parsed",
        Program(source="-" * 300_000 + "1", limits=LIMITS),
        frozenset({"error", "memory", "crash"}),
    ),
    Attack("a source of null bytes", Program(source="\0\0print(1)", limits=LIMITS), frozenset({"error"})),
    Attack("a source of half characters", Program(source="print('\ud800')", limits=LIMITS), frozenset({"error"})),
    Attack(
        "a long source", Program(source="x = 1\n" * 200_000, limits=LIMITS), frozenset({"passed", "timeout", "memory"})
    ),
    forger("loop while loading", "while True: pass", "timeout"),
    forger("sleep while loading", "import time\ntime.sleep(60)", "timeout"),
    forger("loop when called", "def add(a, b):\n    while True: pass", "timeout"),
    forger(
        "loop and catch when called",
        """
def add(a, b):
    while True:
        try:
            while True: pass
        except BaseException: pass
""",
        "timeout",
    ),
    forger("sleep when called", "import time\ndef add(a, b): time.sleep(60)", "timeout"),
    forger("too much memory when called", "def add(a, b): return len('x' * (3 << 30))", "memory error"),
    forger("too much memory while loading", "table = 'x' * (3 << 30)\ndef add(a, b): return 0", "memory"),
    forger("recurse when called", "def add(a, b): return add(a, b)", "error"),
    forger("crash when called", "import ctypes\ndef add(a, b): ctypes.string_at(0)", "crash"),
    forger("crash while loading", "import ctypes\nctypes.string_at(0)", "crash"),
    forger(
        "memory of many processes when called",
        """
import os, time
def add(a, b):
    for _ in range(8):
        if os.fork() == 0:
            kept = bytearray(b"x") * (100 << 20)
            time.sleep(5)
            os._exit(0)
    time.sleep(5)
""",
        "memory",
        limits=Limits(seconds=1, memory_mb=256, processes=32, output_kb=64),
    ),
]
