"""A few worker processes that can be killed, behind plain threads.

Threads and not asyncio subprocesses, because a verifier is called from many event loops and over many `asyncio.run`s,
while a child of asyncio belongs to one loop. A call costs one `concurrent.futures.Future`, which any loop can await;
one that is cancelled before its turn never runs.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import homeschool

START_SECONDS = 60.0
"""Importing sympy takes half a second on a quiet machine, and much longer on a loaded one."""


class WorkerDiedError(Exception):
    """The worker ended by itself or by another's hand."""


class WorkerSlowError(Exception):
    """The worker did not answer in time."""


class Pool:
    """At most `workers` processes, started when first needed; each answer may take `seconds` of wall-clock time."""

    def __init__(self, *, workers: int, seconds: float, memory_mb: int) -> None:
        self._seconds, self._memory_mb = seconds, memory_mb
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="math-verify")
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        atexit.register(self.close)

    def submit(self, golds: Sequence[str], answer: str) -> Future[str]:
        """One word on `answer`: equal, unequal, no answer, timeout, memory or crashed.

        On `golds`: no gold, gold timeout, gold memory or gold crashed. And: no worker.
        """
        return self._threads.submit(self._judge, list(golds), answer)

    def close(self) -> None:
        """End all idle workers; a busy one ends with its answer."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().kill()

    def _judge(self, golds: list[str], answer: str) -> str:
        """One that died may have been killed from outside, so a second one gets to try; twice is the text's fault."""
        word = self._attempt(golds, answer)
        return self._attempt(golds, answer) if word.endswith("crashed") else word

    def _attempt(self, golds: list[str], answer: str) -> str:
        stage = ""
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            try:
                worker = _Worker(self._seconds, self._memory_mb)
            except (WorkerDiedError, WorkerSlowError, OSError):
                return "no worker"
        try:
            worker.write({"golds": golds, "answer": answer})
            stage = "gold "
            reply = worker.read(self._seconds)
            if "gold" in reply:
                stage = ""
                reply = worker.read(self._seconds)
        except (WorkerSlowError, WorkerDiedError) as error:
            worker.kill()
            return stage + ("timeout" if isinstance(error, WorkerSlowError) else "crashed")
        if reply["word"] == "memory":
            worker.kill()
            return stage + "memory"
        self._idle.put(worker)
        return reply["word"]


@cache
def shared_pool(pid: int, workers: int, seconds: float, memory_mb: int) -> Pool:
    """The pool of these settings in process `pid`: a fork has none of its parent's threads and needs its own."""
    return Pool(workers=workers, seconds=seconds, memory_mb=memory_mb)


class _Worker:
    """One process in its own group, so that Ctrl-C leaves it alone and killing it leaves nothing behind."""

    def __init__(self, seconds: float, memory_mb: int) -> None:
        root = str(Path(homeschool.__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "homeschool.verify.math_worker", str(seconds), str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # With gmpy2 a failed allocation aborts the process; Python's integers raise MemoryError.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "SYMPY_GROUND_TYPES": "python",
                "MPMATH_NOGMPY": "1",
                "PYTHONHASHSEED": "0",
            },
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._from, selectors.EVENT_READ)
        self._pending = b""
        try:
            self.read(START_SECONDS)
        except (WorkerDiedError, WorkerSlowError):
            self.kill()
            raise

    def write(self, job: dict[str, Any]) -> None:
        try:
            self._to.write(json.dumps(job).encode("ascii") + b"\n")
            self._to.flush()
        except OSError as error:
            raise WorkerDiedError from error

    def read(self, seconds: float) -> dict[str, Any]:
        """The next line, or WorkerSlowError after `seconds`, or WorkerDiedError."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._pending:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise WorkerSlowError
            chunk = os.read(self._from.fileno(), 65_536)
            if not chunk:
                raise WorkerDiedError
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return json.loads(line)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._selector.close()
        self._from.close()
        with contextlib.suppress(OSError):
            self._to.close()
