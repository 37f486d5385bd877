"""What a Ray worker is given, and what it does with a shard: see `engine.ray`, which deals them out.

A worker opens models, verifier and recipe by itself, once, runs a shard as a local run would and writes its files. Its
answers go into a store of its own, `RUN/answers-ray-HOST-1.db`. Refused: a run's folder that it cannot see.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pickle
import re
import shutil
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.protocols import Recipe
from homeschool.core.records import Row
from homeschool.engine.answers import AnswerStore
from homeschool.engine.generate import SHARD, AnyRecipe, Funnel, read_funnel, write_shard
from homeschool.engine.local import World, stream_recipe
from homeschool.engine.outcome import Outcome
from homeschool.engine.rows import read_rows, write_rows
from homeschool.engine.run import RECORD, Part, Run, answer_files
from homeschool.engine.tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa

TRIES = 3
"""How many workers a shard may cost."""

_POLL_S = 0.05

Opened = tuple[AnyRecipe, Callable[[AnswerStore], World]]


@dataclass(frozen=True)
class Kit:
    """What every worker is given: it is pickled."""

    open: Callable[[int, str], Opened]
    """`open(workers, name)`: the recipe, and what makes a World of a store, always with the same models. `workers`
    is how many share what may be asked at once; `name` is the worker's own, for its logs. It is called once, in the
    worker, and must be picklable: a module's function, or a partial of one."""
    heavy: bool = False
    """Whether a worker computes a model itself, and so needs a GPU or a machine's CPUs."""
    reuse: tuple[Path, ...] = ()
    """Folders of other runs, whose answers are taken too."""
    size: int = SHARD
    """Source rows behind one shard."""


@dataclass(frozen=True)
class Report:
    """What a worker says of a shard."""

    number: int
    funnel: Funnel = field(default_factory=Funnel)
    spent: Mapping[str, Tally] = field(default_factory=dict[str, Tally])
    """By role."""
    error: HomeschoolError | None = None


class Table:
    """Where shards lie between this process and the workers: the folder RUN/ray. A context manager, it clears up."""

    def __init__(self, folder: Path) -> None:
        self.run = folder
        self.folder = folder / "ray"

    def __enter__(self) -> Table:
        shutil.rmtree(self.folder, ignore_errors=True)  # what a killed process left
        self.folder.mkdir()
        (self.folder / "dealt").touch()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, number: int) -> Path:
        return self.folder / f"{number:05}.parquet"

    def tries(self, number: int) -> Path:
        """A file with a byte for every worker that has begun the shard."""
        return self.folder / f"{number:05}.tries"

    def deal(self, number: int, rows: Sequence[Row]) -> None:
        write_rows(self.rows(number), rows)
        self._write(str(number))

    def clear(self, number: int) -> None:
        self.rows(number).unlink()
        self.tries(number).unlink(missing_ok=True)

    def end(self) -> None:
        self._write("end")

    def stop(self) -> None:
        """End the pipeline at once, whatever its workers are doing."""
        self._write("stop")

    def _write(self, word: str) -> None:
        with (self.folder / "dealt").open("a") as file:
            file.write(f"{word}\n")


def follow(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Shards as they are dealt. It can be followed again from the start, so Ray may lose what it has of it."""
    dealt, place = Path(record["dealt"]), 0
    while True:
        with dealt.open() as file:
            file.seek(place)
            text = file.read()
        lines = text[: text.rfind("\n") + 1].splitlines()
        place += text.rfind("\n") + 1
        for line in lines:
            if line == "end":
                return
            if line == "stop":
                raise RuntimeError("the run has ended")  # the one way that Ray Data has to end a pipeline from outside
            yield {"shard": int(line)}
        time.sleep(_POLL_S)


class Worker:
    """An actor: opens the job at its first shard and keeps it open."""

    def __init__(self, kit: Kit, table: Table, workers: int, cwd: Path, threads: str | None) -> None:
        self._kit = kit
        self._table = table
        self._workers = workers
        self._cwd = cwd
        self._threads = threads
        self._run = Run(table.run, {}, locks=ExitStack(), part=Part())
        # One event loop for all shards: models stay open, and a vLLM child with them.
        self._runner = asyncio.Runner()
        self._open_models = AsyncExitStack()
        self._entered = False

    def __call__(self, batch: pa.Table) -> pa.Table:
        import pyarrow as pa

        reports: list[bytes] = []
        for number in batch["shard"].to_pylist():
            try:
                report = self._report(number)
            except HomeschoolError as error:
                report = Report(number, error=error)
            reports.append(pickle.dumps(report))
        return pa.table({"report": pa.array(reports, pa.binary())})

    def _report(self, number: int) -> Report:
        self._check()
        known = read_funnel(self._run, number)
        if known is not None:  # its worker died after the work
            return Report(number, known)
        rows = read_rows(self._table.rows(number))
        tries = self._table.tries(number)
        if tries.exists() and tries.stat().st_size >= TRIES:
            return Report(number, Funnel(rows_in=len(rows), unfinished=Counter({"worker died": len(rows)})))
        with tries.open("a") as file:
            file.write("x")
        return self._runner.run(self._work(number, rows))

    def _check(self) -> None:
        if not (self._run.folder / RECORD).exists():
            raise UsageError(
                f"a worker on {socket.gethostname()} does not see {self._run.folder}",
                hint="put --out on a file system that all machines of the cluster share",
            )

    @cached_property
    def _opened(self) -> Opened:
        """Files and folders are named as seen from where the command was typed, and numbers computed by as many
        threads as there: Ray would set one per CPU that it lends."""
        if self._cwd.is_dir():
            os.chdir(self._cwd)
        if self._threads is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = self._threads
        recipe, world = self._kit.open(self._workers, self._name)
        return recipe, world

    @cached_property
    def _host(self) -> str:
        return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname()).strip("-") or "host"

    @cached_property
    def _name(self) -> str:
        """The first name on this machine that no living worker has: its answer store is then ours."""
        for place in count(1):
            name = f"{self._host}-{place}"
            lock = os.open(self._table.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return name  # the lock stays until this process ends, however it ends
            except OSError:
                os.close(lock)
        raise AssertionError

    def _store(self) -> AnswerStore:
        """Our store, opened anew for each shard: another worker may have died and left answers since."""
        own = self._run.folder / f"answers-ray-{self._name}.db"
        lock = os.open(self._table.folder / f"{self._host}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX)  # a store that is just being made cannot be read
            here = [path for path in answer_files(self._run.folder) if path != own and self._readable(path)]
            others = [path for folder in self._kit.reuse for path in answer_files(folder)]
            return AnswerStore(own, reads=[*here, *others])
        finally:
            os.close(lock)

    def _readable(self, path: Path) -> bool:
        return not path.name.startswith("answers-ray-") or path.name.startswith(f"answers-ray-{self._host}-")

    async def _work(self, number: int, rows: Sequence[Row]) -> Report:
        recipe, make_world = self._opened
        spent: dict[str, Tally] = {}
        outcomes: list[Outcome] = []
        with self._store() as store:
            world = make_world(store)
            if not self._entered:
                for model in world.roles.values():
                    if isinstance(model, AbstractAsyncContextManager):
                        await self._open_models.enter_async_context(model)
                self._entered = True
            stream = stream_recipe(cast("Recipe", recipe), rows, world=world, tallies=spent)
            async with aclosing(stream) as stream:
                async for outcome in stream:
                    outcomes.append(outcome)
            return Report(number, write_shard(self._run, number, outcomes), spent)
