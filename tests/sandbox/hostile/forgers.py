"""Forging: records on every descriptor, output that looks like a verdict, tests that test nothing."""

from __future__ import annotations

from sandbox.hostile.attack import ENDED, LIMITS, WRONG, Attack, forger

from homeschool.core.execution import Case, Program

FRAMES = """
import json, os
def framed(text):
    data = text if isinstance(text, bytes) else text.encode()
    return len(data).to_bytes(4, "big") + data
forged = [json.dumps(record) for record in (
    {"status": "passed", "message": ""}, {"status": "loaded", "message": ""},
    *({"test": number, "status": "passed", "message": "", "seconds": 0.0} for number in range(3)),
    {"run": {"status": "passed", "message": "", "seconds": 0.0}}, {"ended": {"code": 0, "reason": ""}},
    {"ready": True, "python": "3"}, {"value": 5}, {"return": 5}, {"result": 5}, {"ok": 5}, ["value", 5], 5, True, None)]
def everywhere(data):
    for fd in range(256):
        try:
            os.set_blocking(fd, False)
            os.write(fd, data)
        except OSError:
            pass
"""

SPOKEN = (
    FRAMES.replace("data = text if isinstance(text, bytes) else text.encode()", "data = json.dumps(text).encode()")
    + """
def answers(value):
    kinds = ("ok", "no", "exit", "deep", "large")
    return b"".join(framed([kind, asked, value, [], [], ""]) for asked in range(1, 60) for kind in kinds)
def questions():
    kinds = ("call", "op", "get", "set", "drop", "run", "fetch", "names", "put", "subclass", "exec")
    return b"".join(framed([kind, 500 + number, number, "__class__", [["y", number]], {}, [], [], True])
                    for number in range(8) for kind in kinds)
"""
)
"""The same in the words of the channel itself."""

RECORDS = [
    forger("forge records while loading", FRAMES + "everywhere(b''.join(map(framed, forged)))" + WRONG, ENDED),
    forger("forge records and leave", FRAMES + "everywhere(b''.join(map(framed, forged)))\nos._exit(0)", ENDED),
    forger(
        "forge each record and leave", FRAMES + "for record in forged: everywhere(framed(record))\nos._exit(0)", ENDED
    ),
    forger(
        "forge records when called",
        FRAMES + "def add(a, b):\n    everywhere(b''.join(map(framed, forged)))\n    return 0",
        ENDED,
    ),
    forger(
        "forge records when called and leave",
        FRAMES + "def add(a, b):\n    everywhere(b''.join(map(framed, forged)))\n    os._exit(0)",
        ENDED,
    ),
    forger("forge lines", FRAMES + "everywhere(('\\n'.join(forged) + '\\n').encode())" + WRONG, ENDED),
    forger(
        "say that it passed", FRAMES + 'everywhere(framed(\'{"status": "passed", "message": ""}\'))\nos._exit(0)', ENDED
    ),
    forger(
        "say that it is loaded and leave",
        FRAMES + 'everywhere(framed(\'{"status": "loaded", "message": ""}\'))\nos._exit(0)',
        ENDED,
    ),
    forger("send junk", FRAMES + "everywhere(os.urandom(5000))" + WRONG, ENDED),
    forger("send junk when called", FRAMES + "def add(a, b):\n    everywhere(os.urandom(5000))\n    return 0", ENDED),
    forger("send what is no text", FRAMES + "everywhere(framed(b'\\xff\\xfe{'))" + WRONG, ENDED),
    forger("announce a long record", FRAMES + "everywhere(b'\\xff\\xff\\xff\\xff{}')" + WRONG, ENDED),
    forger(
        "announce a record and be silent", FRAMES + "everywhere(b'\\0\\0\\0\\x40{')\nimport time\ntime.sleep(60)", ENDED
    ),
    forger("send a deep record while loading", FRAMES + "everywhere(framed('[' * 60_000))" + WRONG, ENDED),
    forger(
        "send a deep record when called",
        FRAMES + "def add(a, b):\n    everywhere(framed('[' * 60_000 + ']' * 60_000))\n    return 0",
        ENDED,
    ),
    forger(
        "send strange numbers",
        FRAMES + "everywhere(framed('{\"status\": ' + '9' * 50_000 + '}') + framed('NaN') + framed('1e999'))" + WRONG,
        ENDED,
    ),
    forger(
        "send strange shapes",
        FRAMES
        + "for text in ('[]', '5', '\"x\"', '{\"status\": {}}', '{\"status\": [5]}', 'null'): everywhere(framed(text))"
        + WRONG,
        ENDED,
    ),
    forger("answer what was not asked yet", SPOKEN + "everywhere(answers(5))" + WRONG, ENDED),
    forger("answer what was not asked yet, when called", SPOKEN + "def add(a, b): everywhere(answers(5))", ENDED),
    forger("ask the judge for everything", SPOKEN + "everywhere(questions())" + WRONG, ENDED),
    forger("ask the judge for everything when called", SPOKEN + "def add(a, b): everywhere(questions())", ENDED),
    forger(
        "ask for what the judge has, one by one",
        SPOKEN
        + """
def apply(f, x):
    import sys
    for number in range(1, 12):
        for kind in ("get", "op", "call", "set", "drop"):
            name = "__eq__" if kind == "op" else "__globals__"
            os.write(4, framed([kind, 1000 + number, number, name, [["y", number]], {}, [], [], False]))
    return 0
""",
        ENDED,
        tests=("want = [4]\nassert [apply(lambda x: x + 1, 3)] == want",),
    ),
    forger(
        "change what the judge has lent and not lent",
        SPOKEN
        + """
def add(a, b):
    for mine in (0, 1):
        for number in range(20):
            everywhere(framed(["ok", 1, 0, [[mine, number, ["l", 5]]], [], ""]))
            everywhere(framed(["ok", 1, 0, [], [[number, 99]], ""]))
""",
        ENDED,
    ),
    forger(
        "a thread that keeps forging",
        FRAMES + "import threading\ndef keep():\n    while True: everywhere(b''.join(map(framed, forged)))\n"
        "threading.Thread(target=keep, daemon=True).start()" + WRONG,
        ENDED,
    ),
    forger(
        "a child that keeps forging",
        FRAMES
        + "if os.fork() == 0:\n    os.setsid()\n    while True: everywhere(b''.join(map(framed, forged)))"
        + WRONG,
        ENDED,
    ),
    forger(
        "a child that answers as well",
        "import os\ndef add(a, b):\n    os.fork()\n    return 0",
        ENDED,
    ),
    forger(
        "echo what it is sent",
        """
import os, threading
def echo(fd):
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            return
        if not data: return
        for other in range(3, 256):
            try: os.write(other, data)
            except OSError: pass
for fd in range(3, 64): threading.Thread(target=echo, args=(fd,), daemon=True).start()
"""
        + WRONG,
        ENDED,
    ),
    forger("close everything", "import os\ndef add(a, b): os.closerange(0, 256)", ENDED),
    forger("close everything while loading", "import os\nos.closerange(0, 256)" + WRONG, ENDED),
    forger("turn the channel round", "import os\nos.dup2(4, 3)" + WRONG, ENDED),
    forger("speak to itself", "import os\nread, write = os.pipe()\nos.dup2(read, 3)\nos.dup2(write, 4)" + WRONG, ENDED),
]

CASES = (Case("2 3", "5"), Case("10 -4", "6"))


def printer(name: str, source: str, ends: str = "failed") -> Attack:
    return forger(name, source, ends, tests=CASES)


PRINTERS = [
    printer("print that it passed", "print('passed')\nprint('OK')\nprint('PASSED', flush=True)"),
    printer("print nothing and exit well", "import sys\nsys.exit(0)"),
    printer("print nothing and exit hard", "import os\nos._exit(0)"),
    printer("print both answers", "print(5)\nprint(6)"),
    printer(
        "print records",
        FRAMES + "print('\\n'.join(forged))\neverywhere(b''.join(map(framed, forged)))\nos._exit(0)",
        "failed output",
    ),
    printer("print nulls and controls", "print('5\\0\\b\\b\\x1b[2J\\r6', end='\\0')"),
    printer(
        "search for the case",
        """
import gc, os
for fd in range(3, 256):
    try: print(os.read(fd, 100))
    except OSError: pass
for thing in gc.get_objects():
    for each in gc.get_referents(thing):
        if type(each) is str and '"output"' in each: print(each)
""",
    ),
    printer(
        "look at the run before",
        """
import os
try:
    with open("notes") as file: print(file.read())
except OSError:
    pass
with open("notes", "w") as file: file.write("6")
print(0)
""",
    ),
    printer(
        "leave an answerer behind",
        """
import os, time
if os.fork() == 0:
    os.setsid()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for fd in range(64):
            try: os.write(fd, b"")
            except OSError: pass
        time.sleep(0.01)
    os._exit(0)
print(0)
""",
    ),
    printer(
        "kill who compares",
        "import os\nfor pid in (os.getppid(), 1, -1):\n    try: os.kill(pid, 9)\n    except OSError: pass\nprint(0)",
    ),
    printer(
        "spoil the next run",
        """
import os, sys
for name in ('json', 'sitecustomize', 'math', 're'):
    open(name + '.py', 'w').write('print(5); raise SystemExit')
print(0)
""",
    ),
    printer("patch the comparison", "import builtins\nbuiltins.print = lambda *_: None\nprint(5)"),
]

UNUSED = [
    Attack(
        "a test that never looks",
        Program(source=WRONG, tests=("assert True", "x = 5\nassert x == 5"), limits=LIMITS),
        frozenset({"unused"}),
    ),
    Attack(
        "an empty program",
        Program(source="", tests=("assert add(2, 3) == 5",), limits=LIMITS),
        frozenset({"error"}),
    ),
    forger("names without a function", "add = 5", "error failed"),
    forger("a name that answers to every name", "def __getattr__(name): return lambda *_: 5\n", "error failed"),
    forger(
        "a class that calls itself",
        "class add:\n    def __new__(cls, *_): return cls\n    def __class_getitem__(cls, _): return 5",
    ),
]

FORGERS: list[Attack] = [*RECORDS, *PRINTERS, *UNUSED]
