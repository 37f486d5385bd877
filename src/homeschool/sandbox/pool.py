"""Programs in, executions out: a few boxes behind a queue, for any number of threads and event loops at once.

Each program gets exactly one Execution. A box that dies or falls silent is replaced; the job that it had begun is
`broken`, never a failure of the program, and one that it had not begun is given to another.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import cache
from typing import Any

from homeschool.core.errors import RefusedError
from homeschool.core.execution import Execution, Outcome, Program
from homeschool.sandbox.box import Box, BoxGoneError
from homeschool.sandbox.cache import Cache
from homeschool.sandbox.canaries import prove
from homeschool.sandbox.isolation import VARIABLE, chosen, refusal, world_of
from homeschool.sandbox.world import interpreter

CLOSE_SECONDS = 10.0
TRIES = 3
"""How often a job is given to another box because one died before it began."""


class Sandbox:
    """At most `workers` boxes, started when first needed, after the first one has proved that it holds.

    `isolation`: see `sandbox.isolation`; by default the best there is. `python`: an interpreter whose packages programs
    may use; by default this one, without packages. Raises RefusedError from the first program's future where there is
    no wall, or a canary got through one.
    """

    def __init__(
        self,
        isolation: str | None = None,
        *,
        python: str | None = None,
        workers: int | None = None,
        cache: Cache | None = None,
    ) -> None:
        self.kinds = chosen(isolation)
        self.workers = workers or len(os.sched_getaffinity(0))
        self.python = interpreter(python)
        self._cache = cache
        self._named = python
        self._world: dict[str, Any] | None = None
        self._proving = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[Future[Execution], Program] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._boxes: dict[threading.Thread, Box] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._pid = os.getpid()
        atexit.register(self.close)

    def submit(self, program: Program) -> Future[Execution]:
        """What comes of `program`, soon. Cancelling it before its turn means that it never runs."""
        future: Future[Execution] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the sandbox is closed")
            self._jobs.put((future, program))
            if len(self._threads) < self.workers:
                # Daemons: an interpreter that ends must not wait for the whole queue.
                thread = threading.Thread(target=self._work, name=f"sandbox-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    async def run(self, program: Program) -> Execution:
        """The same, for an event loop."""
        return await asyncio.wrap_future(self.submit(program))

    def map(self, programs: Iterable[Program], *, ahead: int = 64) -> Iterator[Execution]:
        """The executions of many programs, in their order; no more than `ahead` are held at once."""
        under_way: deque[Future[Execution]] = deque()
        for program in programs:
            under_way.append(self.submit(program))
            if len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def close(self) -> None:
        """End all boxes. What has not had its turn is cancelled; what runs is `broken`."""
        if os.getpid() != self._pid:  # a fork has none of the threads, and the boxes are its parent's
            return
        with self._lock:
            self._closed = True
            with contextlib.suppress(queue.Empty):
                while True:
                    job = self._jobs.get_nowait()
                    if job is not None:
                        job[0].cancel()
            for thread in self._threads:
                self._jobs.put(None)
                if thread in self._boxes:
                    self._boxes[thread].signal()
        # Each thread lets go of its own box: nobody else may close what it reads from.
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        atexit.unregister(self.close)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pids(self) -> list[int]:
        """The boxes' processes, to whom it may concern (a test that ends them)."""
        with self._lock:
            return [box.pid for box in self._boxes.values()]

    def _work(self) -> None:
        """A thread's life: one job after the other, in a box of its own."""
        try:
            while (job := self._jobs.get()) is not None:
                future, program = job
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(self._run(program))
                except BaseException as error:  # whoever waits for the future is told
                    self._end()
                    future.set_exception(error)
                del job, future, program
        finally:
            self._end()

    def _run(self, program: Program) -> Execution:
        known = self._cache.get(program, self.python) if self._cache else None
        if known is not None:
            return known
        execution = self._tried(program)
        if self._cache:
            self._cache.put(program, self.python, execution)
        return execution

    def _tried(self, program: Program) -> Execution:
        why = ""
        for _ in range(TRIES):
            try:
                box = self._box()
            except BoxGoneError as error:
                return self._broken(program, f"the sandbox did not start: {error}")
            try:
                execution = box.run(program)
            except BoxGoneError as error:
                self._end()
                why = str(error)
                if error.began:
                    break
            else:
                if execution.status == "broken" and execution.message.startswith("the judge failed"):
                    self._end()  # a fault of ours may not be the last one of this box
                return execution
        return self._broken(program, why)

    def _box(self) -> Box:
        """This thread's box; another one if something ended it between two programs."""
        thread = threading.current_thread()
        box = self._boxes.get(thread)
        if box is not None and box.alive:
            return box
        self._end()
        box = Box(self._proven())
        with self._lock:
            self._boxes[thread] = box
            if self._closed:
                box.signal()
        return box

    def _proven(self) -> dict[str, Any]:
        """The world of the first isolation that starts and lets no canary through."""
        with self._proving:
            if self._world is None:
                self._world = _prove(self.kinds, self._named)
            return self._world

    def _end(self) -> None:
        """End this thread's box, if it has one."""
        with self._lock:
            box = self._boxes.pop(threading.current_thread(), None)
        if box is not None:
            box.kill()

    def _broken(self, program: Program, why: str) -> Execution:
        tests = tuple(Outcome("broken", why) for _ in program.tests)
        return Execution("broken", why, tests)


def _prove(kinds: Sequence[str], python: str | None) -> dict[str, Any]:
    reasons: dict[str, str] = {}
    for kind in kinds:
        world = world_of(kind, python=python)
        try:
            box = Box(world)
        except BoxGoneError as error:
            reasons[kind] = str(error)
            continue
        try:
            if kind != "none":
                prove(box.run)
        except BoxGoneError as error:
            raise RefusedError(
                f"a canary ended the sandbox {kind!r} ({error})", hint="this is a defect: report it"
            ) from error
        finally:
            box.kill()
        return world
    raise refusal(reasons)


@cache
def _shared(pid: int, isolation: str | None, python: str | None) -> Sandbox:
    return Sandbox(isolation, python=python, cache=Cache())


def shared_sandbox(*, python: str | None = None) -> Sandbox:
    """The sandbox of this process, for all who need one; a fork gets its own."""
    return _shared(os.getpid(), os.environ.get(VARIABLE), python)


async def execute(program: Program) -> Execution:
    """Run it in the sandbox of this process: what `ctx.execute` does."""
    return await shared_sandbox().run(program)
