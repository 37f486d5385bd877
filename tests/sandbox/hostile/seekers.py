"""Looking for the answer: the tests' source, or what they want, in memory, files, descriptors, frames and arguments."""

from __future__ import annotations

from sandbox.hostile.attack import ENDED, REFUSED, Attack, forger

FOUND = """
import re, sys
def find(text):
    for match in re.finditer(r"add\\((-?\\d+), (-?\\d+)\\) == (-?\\d+)", text):
        known[int(match[1]), int(match[2])] = int(match[3])
known = {}
"""
"""Looks for the tests' source in a text, and answers with what they want."""
ANSWER = "\ndef add(a, b):\n    search()\n    return known.get((a, b), 0)\n"

SEEKERS: list[Attack] = [
    forger(
        "search all objects for the tests",
        FOUND
        + "import gc\ndef search():\n    for thing in gc.get_objects():\n        for each in gc.get_referents(thing):\n"
        """
            if type(each) is str: find(each)
            elif type(each) is bytes: find(each.decode('latin1'))
""" + ANSWER,
        "failed timeout",
    ),
    forger(
        "search all frames for the tests",
        FOUND
        + """
def search():
    import threading
    for frame in [sys._getframe(), *sys._current_frames().values()]:
        while frame:
            for space in (frame.f_locals, frame.f_globals, frame.f_builtins):
                for value in list(space.values()): find(str(value)[:100_000])
            find(str(frame.f_code.co_consts))
            frame = frame.f_back
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()) if hasattr(module, "__dict__") else []:
            if isinstance(value, (str, dict, list, tuple)): find(str(value)[:10_000])
"""
        + ANSWER,
        "failed timeout error",
    ),
    forger(
        "search the files for the tests",
        FOUND
        + """
import os
def search():
    for top in (".", "..", "/tmp", "/box", "/dev/shm", "/homeschool", "/proc", "/run", "/var/tmp"):
        for folder, _, names in os.walk(top):
            for name in names[:200]:
                try: find(open(os.path.join(folder, name), "rb").read(100_000).decode("latin1"))
                except OSError: pass
"""
        + ANSWER,
        "failed timeout",
    ),
    forger(
        "read every descriptor for the tests",
        FOUND
        + """
import os
def search():
    for fd in range(256):
        try:
            os.set_blocking(fd, False)
            find(os.pread(fd, 100_000, 0).decode("latin1"))
        except OSError:
            pass
        try: find(os.read(fd, 100_000).decode("latin1"))
        except OSError: pass
    for fd in range(3, 5):
        try: os.set_blocking(fd, True)
        except OSError: pass
"""
        + ANSWER,
        ENDED,
    ),
    forger(
        "scan the memory for the tests",
        FOUND
        + """
import ctypes, os
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
def search():
    read, write = os.pipe()
    os.set_blocking(write, False); os.set_blocking(read, False)
    places = {libc.sbrk(0) >> 20, *(id(each) >> 20 for each in (known, find, b"x" * 5000, list(range(9999))))}
    for place in sorted(near for each in places for near in range(each - 12, each + 4)):
        for page in range(place << 20, (place + 1) << 20, 4096):
            if libc.write(write, ctypes.c_void_p(page), 4096) == 4096:  # a bad address is an error, and no crash
                data = os.read(read, 4096)
                if b"add(" in data: find(data.decode("latin1"))
"""
        + ANSWER,
        "failed timeout error crash",
    ),
    forger(
        "look into the process that asks",
        FOUND
        + """
import os
def search():
    for pid in {os.getppid(), 1, 2, 3, *range(os.getpid() + 5)}:
        for name in ("mem", "environ", "cmdline", "fd/0", "fd/3", "maps", "cwd/tests.py"):
            try: find(open(f"/proc/{pid}/{name}", "rb").read(1 << 20).decode("latin1"))
            except (OSError, ValueError, OverflowError): pass
"""
        + ANSWER,
    ),
    forger(
        "walk from what it is handed to who handed it",
        """
seen, path = set(), []
def walk(thing, depth=0):
    if depth > 6 or id(thing) in seen: return
    seen.add(id(thing))
    for name in ("__globals__", "__builtins__", "__code__", "__closure__", "__self__", "__func__", "__wrapped__",
                 "__class__", "__dict__", "__init__", "__module__", "__reduce_ex__", "__subclasshook__", "__defaults__",
                 "gi_frame", "f_back", "f_globals", "f_locals", "tb_frame", "__traceback__", "__context__", "co_consts",
                 "peer", "_peer", "names", "_Remote__peer", "ident"):
        try: found = getattr(thing, name)
        except BaseException: continue
        if isinstance(found, dict) and "assert" in str(found): raise SystemExit("found")
        if type(found) is tuple and 42 in found: path.append(42)
        walk(found, depth + 1)
    try:
        for each in thing.__class__.__base__.__subclasses__()[:50]: walk(each, depth + 2)
    except BaseException: pass
def apply(f, x):
    walk(f)
    return path[0] if path else 0
""",
        "failed error timeout",
        tests=("assert apply(lambda x: x * 2 + 36, 3) == 42",),
    ),
    forger(
        "reach for the judge through a function",
        """
def apply(f, x):
    done = []
    def attempt(act):
        try: done.append(act())
        except BaseException: pass
    attempt(lambda: f.__globals__["__builtins__"].__setitem__("AssertionError", Exception))
    attempt(lambda: f.__globals__["__builtins__"]["exec"]("import os; os._exit(0)"))
    attempt(lambda: f.__globals__.update(want=0))
    attempt(lambda: f.__globals__.clear())
    attempt(lambda: setattr(f, "__code__", (lambda x: 0).__code__))
    attempt(lambda: f.__getattribute__("__globals__"))
    attempt(lambda: f.__class__(f.__code__, {}))
    attempt(lambda: f.__class__.__bases__[0].__subclasses__())
    attempt(lambda: f.__reduce_ex__(4))
    attempt(lambda: type(f).__call__(f, "__import__('os')._exit(0)"))
    attempt(lambda: f.__self__)
    attempt(lambda: delattr(f, "__module__"))
    return 0
""",
        tests=(
            "want = 4\nassert apply(lambda x: x + 1, 3) == want",
            "assert apply(len, [1, 2]) == 2",
            "assert apply(print, 1) == 5",
        ),
    ),
    forger(
        "reach for the judge through an object",
        """
def depth(node):
    for act in (
        lambda: setattr(type(node), "__eq__", lambda *_: True),
        lambda: setattr(node.__class__, "depth", 2),
        lambda: node.__class__.__init__.__globals__["__builtins__"]["exit"](),
        lambda: node.__init__.__func__.__globals__.update(depth=lambda _: 2, WANT=0),
        lambda: node.__dict__.update(left=None),
        lambda: node.__class__.__mro__[-1].__subclasses__(),
    ):
        try: act()
        except BaseException: pass
    return 0
""",
        "failed error",
        tests=(
            """
WANT = 2
class Node:
    def __init__(self, left=None): self.left = left
assert depth(Node(Node())) == WANT
""",
            "class Node:\n    def __init__(self, left=None): self.left = left\nassert depth(Node(Node())) == 2",
        ),
    ),
    forger(
        "format what it is handed",
        "def show(thing): return '{0.__class__.__init__.__globals__}{0.__dict__}'.format(thing)",
        "failed error",
        tests=(
            "class A:\n    secret = 'hidden'\n    def __init__(self): pass\nassert show(A()) == 'A'",
            "assert 'hidden' in show(open)",
        ),
    ),
    forger(
        "remember what it was compared with",
        """
seen = []
class Spy:
    def __eq__(self, other): seen.append(other); return NotImplemented
    __hash__ = None
def add(a, b):
    return seen[-1] if seen else Spy()
""",
        REFUSED,
        tests=("got = add(2, 3)\nassert got == 5 or add(2, 3) == 5",),
    ),
]
