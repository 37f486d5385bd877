"""The same recipe over Ray Data: shards are dealt to worker processes, on this machine or on a cluster's.

This process streams the source, names its rows, passes over shards that are whole and lays every other one aside:

    RUN/ray/00003.parquet   the source rows of shard 3, a few shards ahead of the workers and no more
    RUN/ray/dealt           the numbers of the shards, one a line, and at last `end`

A Ray Data pipeline follows that list and hands one shard at a time to an actor. Each actor opens models, verifier and
recipe by itself, once, and writes its shards' files as a local run would: rows do not depend on who made them, so the
files are the same, byte for byte. Its answers go into a store of its own, `RUN/answers-ray-HOST-1.db`; it reads the
others of its machine (SQLite's WAL is not for network file systems, so not those of other machines).

A worker that dies is started again by Ray, and its shard runs again on the answers that are stored. A shard that has
seen TRIES workers die is reported as unfinished, and the others go on. A HomeschoolError in a worker ends the run.

RAY_ADDRESS names a cluster (HOST:PORT); else one is started here and ended with the run. On a cluster, every machine
must have the same homeschool, see the run's folder and the models at the same paths, and have HOMESCHOOL_API_KEY in
the environment its Ray was started in: a key is never sent. One worker per CPU; if a model is computed by the worker
itself (a checkpoint, or a vLLM child), one per GPU, or where there is none one per machine with all its CPUs.

Ray Data's LLM processor (`ray.data.llm`) is not used: it asks one question per row, known before it starts, and a
recipe asks several, each depending on the answers before. A worker's own vLLM child batches across a shard's rows.

Refused: recipes that work in rounds (each round needs the one before), and a folder that a worker cannot see.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import pickle
import re
import shutil
import socket
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from homeschool.core.errors import HomeschoolError, UsageError, need
from homeschool.core.protocols import Grouped, Pooled, Recipe
from homeschool.core.records import Row
from homeschool.engine.answers import AnswerStore
from homeschool.engine.board import Board
from homeschool.engine.generate import SHARD, AnyRecipe, Funnel, read_funnel, write_shard
from homeschool.engine.local import Outcome, World, stream_recipe
from homeschool.engine.rows import read_rows, write_rows
from homeschool.engine.run import RECORD, Part, Run, answer_files
from homeschool.engine.tally import Tally

if TYPE_CHECKING:
    import pyarrow as pa

    from homeschool.engine.sources.source import Source

TRIES = 3
"""How many workers a shard may cost."""
AHEAD = 2
"""Shards laid aside for each worker: the one it is at and the next."""

_POLL_S = 0.05
_BOARD_S = 0.5
_KNOCK_S = 10.0
_LAST_S = 15.0
"""How long the pipeline may take to end when the run has to."""
_OBJECTS = 100 * 2**20
"""Bytes of shared memory for a cluster of our own; only numbers of shards and funnels pass through it."""

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


async def generate_on_ray(
    recipe: AnyRecipe, source: Source, *, kit: Kit, run: Run, board: Board, limit: int | None = None
) -> Funnel:
    """As `engine.generate.generate`, with workers that open what `kit` says; `recipe` itself stays here.

    A cluster is used if this process is connected to one already. Raises UsageError for a recipe that works in rounds,
    or if no Ray answers at RAY_ADDRESS; any HomeschoolError of a worker; HomeschoolError if Ray itself fails.
    """
    if isinstance(recipe, (Pooled, Grouped)):
        raise UsageError(
            "the recipe works in rounds, each of which needs the one before", hint="leave --engine ray away for it"
        )
    need("ray", extra="ray", for_="--engine ray")
    total = Funnel()
    waiting = _deal(islice(source.rows(), limit), kit.size, run=run, board=board, total=total)
    first = next(waiting, None)
    if first is not None:  # Ray takes seconds to start
        board.state("Ray is starting", of="ray")
        board.refresh()
        with _cluster(), _Table(run.folder.resolve()) as table:
            board.state("", of="ray")
            await _work_off(chain([first], waiting), _Pipeline(kit, table), table, board=board, total=total)
    return total


async def _work_off(
    waiting: Iterator[tuple[int, list[Row]]], pipeline: _Pipeline, table: _Table, *, board: Board, total: Funnel
) -> None:
    """Deal the shards as there is room for them, and add what is reported to `total`."""
    under_way = 0
    pipeline.start()
    try:
        while True:
            while under_way < AHEAD * pipeline.workers and (dealt := next(waiting, None)) is not None:
                table.deal(*dealt)
                under_way += 1
            if not under_way:
                break
            report = await pipeline.report(board)
            under_way -= 1
            if report.error is not None:
                raise report.error
            table.clear(report.number)
            _count(board, report)
            total.merge(report.funnel)
        table.end()
    finally:
        table.stop()  # after the end it is not read
        pipeline.join(_LAST_S)


def _deal(rows: Iterator[Row], size: int, *, run: Run, board: Board, total: Funnel) -> Iterator[tuple[int, list[Row]]]:
    """The shards that are not whole. Those that are go into `total`, which also counts them all."""
    for number in count():
        chunk = list(islice(rows, size))
        if not chunk:
            return
        total.shards += 1
        known = read_funnel(run, number)
        if known is None:
            yield number, chunk
        else:
            total.merge(known)
            board.count(known.rows_in, known.rows, dropped=known.reasons, earlier=True)


def _count(board: Board, report: Report) -> None:
    funnel = report.funnel
    for role, tally in report.spent.items():
        board.heard(
            tally.calls, tally.completion_tokens, prompt_tokens=tally.prompt_tokens, cached=tally.cached, role=role
        )
    board.count(funnel.rows_in, funnel.rows, dropped=funnel.reasons, unfinished=funnel.unfinished.total())


@contextmanager
def _cluster() -> Iterator[None]:
    """Connected to Ray: as this process is already, else to RAY_ADDRESS, else to a cluster of our own."""
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it warns of what every actor of Ray Data does
    address = os.environ.get("RAY_ADDRESS", "")
    where: dict[str, Any] = {"address": address}
    if not address:
        where = {"address": "local", "num_cpus": os.cpu_count(), "include_dashboard": False}
        where["object_store_memory"] = _OBJECTS
    try:
        _knock(address)
        with _hushed():
            ray.init(**where, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        why = str(error).strip().partition("\n")[0].partition(". ")[0]
        if not address:
            raise HomeschoolError(f"Ray could not be started here ({why})", hint="leave --engine ray away") from error
        raise UsageError(
            f"no Ray cluster takes us in at {address!r} ({why})",
            hint="set RAY_ADDRESS to the HOST:PORT that `ray start --head` printed, and RAY_AUTH_MODE=token if it asks "
            "for a token",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at HOST:PORT, which Ray itself takes minutes to notice; UsageError for ray://."""
    if address.startswith("ray://"):
        raise UsageError(
            f"RAY_ADDRESS is {address!r}, a client's address",
            hint="run on a machine of the cluster, with the HOST:PORT that `ray start --head` printed",
        )
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


@contextmanager
def _hushed() -> Iterator[None]:
    """Nothing reaches stderr: Ray's core greets there, past Python and its own log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Table:
    """Where shards lie between this process and the workers: the folder RUN/ray. A context manager, it clears up."""

    def __init__(self, folder: Path) -> None:
        self.run = folder
        self.folder = folder / "ray"

    def __enter__(self) -> _Table:
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


def _follow(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
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


class _Pipeline:
    """Ray Data at work in a thread; reports come out of it."""

    def __init__(self, kit: Kit, table: _Table) -> None:
        self.workers, self._needs = _places(heavy=kit.heavy)
        self._kit = kit
        self._table = table
        self._loop = asyncio.get_running_loop()
        self._reports: asyncio.Queue[Report] = asyncio.Queue()
        self._failure = ""
        self._ended = asyncio.Event()
        # A daemon: if Ray should hang, this process must still be able to end.
        self._thread = threading.Thread(target=self._read, name="homeschool-ray", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    async def report(self, board: Board) -> Report:
        """The next one. Raises HomeschoolError if Ray has failed."""
        ended = asyncio.ensure_future(self._ended.wait())
        next_one = asyncio.ensure_future(self._reports.get())
        try:
            while not (next_one.done() or ended.done()):
                await asyncio.wait([next_one, ended], timeout=_BOARD_S, return_when=asyncio.FIRST_COMPLETED)
                board.refresh()
        finally:
            ended.cancel()
            next_one.cancel()
        if next_one.done() and not next_one.cancelled():
            return next_one.result()
        raise HomeschoolError(
            f"Ray ended before the work was done ({self._failure or 'it gave no reason'})",
            hint="nothing that was answered is lost: the same command goes on from here",
        )

    def _read(self) -> None:
        from ray.data.exceptions import SystemException
        from ray.exceptions import RayError

        try:
            for batch in self._batches():
                for item in batch["report"]:
                    self._loop.call_soon_threadsafe(self._reports.put_nowait, pickle.loads(item.as_py()))
        except (RayError, SystemException, RuntimeError, OSError) as error:
            self._failure = str(error).strip().partition("\n")[0]
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ended.set)

    def _batches(self) -> Iterator[pa.Table]:
        import ray.data
        from ray.data import ActorPoolStrategy, DataContext

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures reach us as exceptions
        warnings.filterwarnings("ignore", module=r"ray\.data")  # of its own deprecated settings, and of short queues
        context = DataContext()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.target_max_block_size = 1  # a shard is a block, and passes on at once
        context.execution_no_progress_timeout_s = -1  # a server may be away for as long as it likes
        cwd, threads = Path.cwd(), os.environ.get("OMP_NUM_THREADS")
        with DataContext.current(context):
            followed = ray.data.from_items([{"dealt": str(self._table.folder / "dealt")}]).flat_map(_follow, num_cpus=0)
            worked = followed.map_batches(
                cast("Any", _Worker),  # an actor's class, which Ray Data's types do not foresee
                batch_size=1,
                batch_format="pyarrow",
                compute=ActorPoolStrategy(size=self.workers, max_tasks_in_flight_per_actor=1),
                fn_constructor_args=[self._kit, self._table, self.workers, cwd, threads],
                **self._needs,
            )
            yield from worked.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _places(*, heavy: bool) -> tuple[int, dict[str, Any]]:
    """How many workers, and what each needs."""
    import ray

    machines: list[Mapping[str, float]] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = [int(machine.get("CPU", 0)) for machine in machines if machine.get("CPU", 0) >= 1]
    gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
    if heavy and gpus:
        return gpus, {"num_gpus": 1}
    if not cpus:
        raise UsageError("the Ray cluster has no CPUs", hint="start it with at least one: ray start --num-cpus 4")
    if heavy:
        return len(cpus), {"num_cpus": min(cpus)}
    return sum(cpus), {"num_cpus": 1}


class _Worker:
    """An actor: opens the job at its first shard and keeps it open."""

    def __init__(self, kit: Kit, table: _Table, workers: int, cwd: Path, threads: str | None) -> None:
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

    def __call__(self, batch: pa.Table) -> dict[str, list[bytes]]:
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
