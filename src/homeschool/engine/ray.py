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
import logging
import os
import pickle
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from homeschool.core.errors import HomeschoolError, UsageError, need
from homeschool.core.protocols import Grouped, Pooled
from homeschool.core.records import Row
from homeschool.engine.board import Board
from homeschool.engine.generate import AnyRecipe, Funnel, read_funnel
from homeschool.engine.ray_worker import Kit, Report, Table, Worker, follow
from homeschool.engine.run import Run

if TYPE_CHECKING:
    import pyarrow as pa

    from homeschool.engine.sources.source import Source


AHEAD = 2
"""Shards laid aside for each worker: the one it is at and the next."""

_BOARD_S = 0.5
_KNOCK_S = 10.0
_LAST_S = 15.0
"""How long the pipeline may take to end when the run has to."""
_OBJECTS = 100 * 2**20
"""Bytes of shared memory for a cluster of our own; only numbers of shards and funnels pass through it."""

_SPARING = {"env_vars": {"RAY_kill_child_processes_on_worker_exit": "false"}}
"""Else a worker's last deed is to kill its children: the one that is to end vLLM, and so not vLLM itself."""


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
        with _cluster(), Table(run.folder.resolve()) as table:
            board.state("", of="ray")
            await _work_off(chain([first], waiting), _Pipeline(kit, table), table, board=board, total=total)
    return total


async def _work_off(
    waiting: Iterator[tuple[int, list[Row]]], pipeline: _Pipeline, table: Table, *, board: Board, total: Funnel
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


class _Pipeline:
    """Ray Data at work in a thread; reports come out of it."""

    def __init__(self, kit: Kit, table: Table) -> None:
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
            # On this machine, which certainly sees the folder; what needs no CPU is not fused with what does.
            here = {"ray.io/node-id": ray.get_runtime_context().get_node_id()}
            dealt = ray.data.from_items([{"dealt": str(self._table.folder / "dealt")}])
            followed = dealt.flat_map(follow, num_cpus=0, label_selector=here)
            worked = followed.map_batches(
                cast("Any", Worker),  # an actor's class, which Ray Data's types do not foresee
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
        return gpus, {"num_gpus": 1, "runtime_env": _SPARING}
    if not cpus:
        raise UsageError("the Ray cluster has no CPUs", hint="start it with at least one: ray start --num-cpus 4")
    if heavy:
        return len(cpus), {"num_cpus": min(cpus), "runtime_env": _SPARING}
    return sum(cpus), {"num_cpus": 1}
