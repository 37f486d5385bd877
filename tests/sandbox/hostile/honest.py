"""Neighbours of the hostile programs that do nothing wrong: a wall that refused everything would fail these."""

from __future__ import annotations

from homeschool.core.execution import Case, Limits, Program

ROOM = Limits(seconds=10)


def program(source: str, limits: Limits = ROOM) -> Program:
    return Program(source=f"{source}\nprint('worked')\n", limits=limits)


HONEST: dict[str, Program] = {
    "multiprocessing": program(
        """
import multiprocessing
def square(n): return n * n
def work(queue, lock):
    with lock: queue.put("sent")
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        assert pool.map(square, range(10)) == [n * n for n in range(10)]
    queue, lock = context.Queue(), context.Lock()
    process = context.Process(target=work, args=(queue, lock)); process.start()
    assert queue.get(timeout=5) == "sent"
    process.join()
"""
    ),
    "process pool": program(
        """
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        assert sum(pool.map(abs, range(-50, 0))) == 1275
"""
    ),
    "threads": program(
        """
import threading
total, lock = [0], threading.Lock()
def work():
    for _ in range(1000):
        with lock: total[0] += 1
threads = [threading.Thread(target=work) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert total == [20_000]
"""
    ),
    "a subprocess": program(
        """
import subprocess, sys
assert subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True).stdout == "hello\\n"
assert subprocess.check_output("printf 'b\\\\na\\\\n' | sort | head -n 1", shell=True, text=True) == "a\\n"
assert subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout == "42\\n"
"""
    ),
    "temporary files": program(
        """
import tempfile, os, shutil, pathlib
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "a"); path.write_text("x" * 1_000_000)
    shutil.copy2(path, path.with_suffix(".b")); os.symlink("a", path.with_suffix(".link"))
    assert path.with_suffix(".link").read_text() == "x" * 1_000_000
with tempfile.NamedTemporaryFile("w+") as file:
    file.write("y"); file.flush(); assert open(file.name).read() == "y"
open("here", "w").write("z"); assert os.listdir(".") == ["here"]
"""
    ),
    "sqlite": program(
        """
import sqlite3
for place in (":memory:", "base.db"):
    with sqlite3.connect(place) as base:
        base.execute("create table t (n int)")
        base.executemany("insert into t values (?)", [(n,) for n in range(1000)])
        assert base.execute("select sum(n) from t").fetchone() == (499500,)
"""
    ),
    "asyncio": program(
        """
import asyncio
async def main():
    process = await asyncio.create_subprocess_exec("echo", "a", stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"a\\n"
    assert await asyncio.gather(*(asyncio.sleep(0.01, n) for n in range(100))) == list(range(100))
    server = await asyncio.start_unix_server(lambda reader, writer: (writer.write(b"hi"), writer.close()), "socket")
    reader, _ = await asyncio.open_unix_connection("socket")
    assert await reader.read() == b"hi"
    server.close()
asyncio.run(main())
"""
    ),
    "deep recursion": program(
        """
import sys
sys.setrecursionlimit(20_000)
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
assert depth(15_000) == 15_000
"""
    ),
    "200 MB of memory": program("kept = bytearray(b'x') * (200 << 20)\nassert len(kept) == 200 << 20"),
    "memory that many processes share": program(
        """
import os, time
kept = bytearray(b"x") * (90 << 20)
for _ in range(8):
    if os.fork() == 0:
        assert kept[-1] == 120
        time.sleep(0.4)
        os._exit(0)
for _ in range(8):
    assert os.wait()[1] == 0
""",
        Limits(seconds=5, memory_mb=320),
    ),
    "20,000 prints": program("for n in range(20_000): print(n)"),
    "much arithmetic": program("assert sum(n * n for n in range(1_000_000)) == 333332833333500000"),
    "a signal of its own": program(
        """
import os, signal, time
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1)); signal.alarm(0); signal.setitimer(signal.ITIMER_REAL, 0.02)
signal.signal(signal.SIGUSR1, lambda *_: seen.append(2)); os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.1)
assert sorted(seen) == [1, 2]
"""
    ),
    "ctypes": program("import ctypes\nassert ctypes.CDLL(None).abs(-5) == 5 and ctypes.CDLL('libm.so.6')"),
    "pickle and zip": program(
        """
import pickle, zipfile, gzip, io, tarfile
assert pickle.loads(pickle.dumps({"a": [1, 2]})) == {"a": [1, 2]}
assert gzip.decompress(gzip.compress(bytes(5_000_000))) == bytes(5_000_000)
with zipfile.ZipFile("a.zip", "w") as archive: archive.writestr("b", "c")
assert zipfile.ZipFile("a.zip").read("b") == b"c"
"""
    ),
    "patched time": program("import time\ntime.time = lambda: 0\nassert time.time() == 0"),
    "an exit with 0": program("import atexit, sys\natexit.register(print, 'bye')\nprint('worked')\nsys.exit(0)"),
    "standard input": Program(
        source="import sys\nprint(sum(map(int, sys.stdin)), 'worked')",
        stdin="\n".join(map(str, range(1000))),
        limits=ROOM,
    ),
    "a command": Program(argv=("sh", "-c", "echo worked | tr a-z a-z"), limits=ROOM),
    "a file given": Program(source="print(open('data/a.txt').read())", files={"data/a.txt": "worked"}, limits=ROOM),
    "cases": Program(
        source="print(sum(map(int, input().split())))",
        tests=(Case("1 2", "3"), Case("5 5\n", "10  \n"), Case("-1 1", "0")),
        limits=ROOM,
    ),
    "calls": Program(
        source="def add(a, b):\n    print('chatty')\n    return a + b",
        tests=("assert add(2, 3) == 5", "assert add('a', 'b') == 'ab'", "assert add([1], [2]) == [1, 2]"),
        limits=ROOM,
    ),
    "calls of many kinds": Program(
        source="""
import collections, threading, subprocess
Point = collections.namedtuple("Point", "x y")
class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def __len__(self): return len(self.items)
def apply(f, x): return f(x)
def fail(): raise KeyError("gone")
def count(n):
    for i in range(n): yield i
def echo(): return subprocess.check_output(["echo", "a"], text=True)
def in_thread(x):
    found = []
    thread = threading.Thread(target=found.append, args=(x,)); thread.start(); thread.join()
    return found[0]
""",
        tests=(
            "assert apply(lambda x: x + 1, 3) == 4",
            "s = Stack()\ns.push(1)\ns.push(2)\nassert len(s) == 2 and s.items == [1, 2]",
            "try:\n    fail()\nexcept KeyError:\n    pass\nelse:\n    assert False",
            "assert list(count(3)) == [0, 1, 2]",
            "assert Point(1, 2).x == 1",
            "assert echo() == 'a\\n' and in_thread({1: (2, 3.5)}) == {1: (2, 3.5)}",
            "assert apply(None.__class__, 1) if False else True\nassert apply(str, 5) == '5'",
        ),
        limits=ROOM,
    ),
}
