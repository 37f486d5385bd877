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
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

from homeschool.core.errors import RefusedError
from homeschool.core.execution import Execution, Outcome, Program
from homeschool.sandbox.box import Box, BoxGoneError
from homeschool.sandbox.cache import Cache
from homeschool.sandbox.canaries import prove
from homeschool.sandbox.isolation import VARIABLE, chosen, refusal, world_of
from homeschool.sandbox.world import interpreter

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
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox")
        self._idle: queue.LifoQueue[Box] = queue.LifoQueue()
        self._boxes: set[Box] = set()
        self._lock = threading.Lock()
        self._pid = os.getpid()
        atexit.register(self.close)

    def submit(self, program: Program) -> Future[Execution]:
        """What comes of `program`, soon. Cancelling it before its turn means that it never runs."""
        return self._threads.submit(self._run, program)

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
        """End all boxes; what has not had its turn is cancelled."""
        if os.getpid() != self._pid:  # a fork has none of the threads, and the boxes are its parent's
            return
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            boxes, self._boxes = self._boxes, set()
        for box in boxes:
            box.kill()
        self._threads.shutdown(wait=True)
        atexit.unregister(self.close)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pids(self) -> list[int]:
        """The boxes' processes, to whom it may concern (a test that ends them)."""
        with self._lock:
            return [box.pid for box in self._boxes]

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
                self._end(box)
                why = str(error)
                if error.began:
                    break
            else:
                self._idle.put(box)
                return execution
        return self._broken(program, why)

    def _box(self) -> Box:
        with contextlib.suppress(queue.Empty):
            while not (box := self._idle.get_nowait()).alive:  # something ended it between two programs
                self._end(box)
            return box
        box = Box(self._proven())
        with self._lock:
            self._boxes.add(box)
        return box

    def _proven(self) -> dict[str, Any]:
        """The world of the first isolation that starts and lets no canary through."""
        with self._proving:
            if self._world is None:
                self._world = _prove(self.kinds, self._named)
            return self._world

    def _end(self, box: Box) -> None:
        with self._lock:
            self._boxes.discard(box)
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
