"""Ray: the same files as a local run, whatever becomes of the workers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from openai_server import served
from scripted import BatchedModel, EvenJudge, LiveModel, sources, two_steps

from homeschool.core.errors import StoppedError, UsageError
from homeschool.core.protocols import Context, Pooled
from homeschool.core.records import Completion, Dropped, Request, Row
from homeschool.engine import generate as local
from homeschool.engine.answers import AnswerStore
from homeschool.engine.board import Board
from homeschool.engine.generate import Funnel
from homeschool.engine.local import World
from homeschool.engine.progress import Progress
from homeschool.engine.ray import AHEAD, generate_on_ray
from homeschool.engine.ray_worker import Kit
from homeschool.engine.run import Run, answer_files
from homeschool.engine.sources.source import Source

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.xdist_group("ray")

SIZE = 16
WORKERS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    here = Path(__file__).resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Workers unpickle what this file defines, so they must be able to import it.
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (here.parents[2], here.parents[1], here.parent))))
        ray.init(
            address="local",
            num_cpus=WORKERS,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
        yield
        ray.shutdown()


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SHARD", SIZE)


def source(count: int) -> Source:
    rows = sources(count)
    return Source("rows", "digest", count, lambda: iter(rows))


class Locked(BatchedModel):
    """Answers until the key is taken away: at row 120, in the eighth shard."""

    async def generate_batch(self, requests: Sequence[Request]) -> list[list[Completion]]:
        if any(request.prompt == "problem 120" for request in requests):
            raise StoppedError("the server refuses the key", hint="set OPENAI_API_KEY")
        return await super().generate_batch(requests)


MODELS: dict[str, Callable[[], Any]] = {"live": LiveModel, "batched": BatchedModel, "locked": Locked}


def opened(model: str, graves: Path | None, workers: int, name: str) -> tuple[Any, Callable[[AnswerStore], World]]:
    """What a worker opens; with `graves`, some rows kill it there."""
    kept = MODELS[model]()

    def world(store: AnswerStore) -> World:
        return World({"generator": kept}, store, EvenJudge(), seed=3, window=SIZE)

    return partial(deadly, graves) if graves else two_steps, world


async def deadly(graves: Path, row: Row, ctx: Context) -> list[Row | Dropped]:
    """As two_steps; but row 40 kills its worker the first time, after all its answers, and row 100 every time."""
    made = await two_steps(row, ctx)
    grave = graves / row["prompt"]
    if (row["prompt"] == "problem 40" and not grave.exists()) or row["prompt"] == "problem 100":
        with grave.open("a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return made


def work(out: Path, *, count: int, model: str = "live", graves: Path | None = None, on_ray: bool = True) -> Any:
    """The funnel and the board, of a run with Ray or without."""
    with Run.open(out, kind="generate", settings={"seed": 3}) as run:
        board = Board(Progress(quiet=True), "generate")
        if on_ray:
            kit = Kit(partial(opened, model, graves), size=SIZE)
            funnel = asyncio.run(generate_on_ray(two_steps, source(count), kit=kit, run=run, board=board))
        else:
            recipe, world = opened(model, None, 1, "here")
            todo = local.generate(recipe, source(count), world=world(run.answers), run=run, board=board)
            funnel = asyncio.run(todo)
    return funnel, board


def files(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in ("rows", "dropped", "shards")
        for path in sorted((out / kind).glob("*"))
    }


def calls(out: Path) -> int:
    """Distinct answers in all stores of a run."""
    keys: set[str] = set()
    for path in answer_files(out):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as store, suppress(sqlite3.Error):
            keys.update(key for (key,) in store.execute("SELECT key FROM answers"))
    return len(keys)


def test_a_killed_worker_loses_nothing_and_a_poisoned_shard_stops_no_other(
    tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heaps: list[int] = []
    counted = Board.count

    def count(board: Board, *args: Any, **options: Any) -> None:
        heaps.append(len(list((tmp_path / "run" / "ray").glob("*.parquet"))))
        counted(board, *args, **options)

    here, _ = work(tmp_path / "local", count=200, on_ray=False)
    graves = tmp_path / "graves"
    graves.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Board, "count", count)
        funnel, board = work(tmp_path / "run", count=200, graves=graves)

    assert dict(funnel.unfinished) == {"worker died": SIZE}
    assert (graves / "problem 40").read_text() == "x"
    assert (graves / "problem 100").read_text() == "xxx"
    assert (board.rows, board.unfinished) == (200, SIZE)
    assert board.spent["generator"].cached > 0, "the second worker found the answers of the first"
    assert (funnel.shards, len(heaps)) == (13, 13)
    assert max(heaps) <= AHEAD * WORKERS, "the queue was longer than what is laid aside"
    assert not (tmp_path / "run" / "ray").exists()

    done, whole = files(tmp_path / "run"), files(tmp_path / "local")
    missing = {f"{kind}/00006.{end}" for kind, end in (("rows", "parquet"), ("dropped", "parquet"), ("shards", "json"))}
    assert done == {name: digest for name, digest in whole.items() if name not in missing}
    again, board = work(tmp_path / "run", count=200, on_ray=False)
    assert again == here
    assert files(tmp_path / "run") == whole
    assert board.spent["generator"].calls == 0, "the poisoned shard's answers are stored too"
    assert calls(tmp_path / "run") == calls(tmp_path / "local")
    # A finished run needs no worker: these would not even open.
    assert work(tmp_path / "run", count=200, model="no such model")[0] == here


def test_what_must_end_a_run_ends_it_with_its_own_sentence_and_leaves_whole_shards(
    tmp_path: Path, cluster: None
) -> None:
    work(tmp_path / "local", count=200, model="batched", on_ray=False)
    with pytest.raises(StoppedError, match="the server refuses the key") as caught:
        work(tmp_path / "run", count=200, model="locked")
    assert caught.value.hint == "set OPENAI_API_KEY"
    done = files(tmp_path / "run").items()
    assert done <= files(tmp_path / "local").items()
    assert len(done) >= 3 * 4
    assert not (tmp_path / "run" / "ray").exists()


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(recipe: Any) -> Funnel:
        with Run.open(tmp_path / "run", kind="generate", settings={}) as run:
            board = Board(Progress(quiet=True), "generate")
            kit = Kit(partial(opened, "live", None))
            return asyncio.run(generate_on_ray(recipe, source(3), kit=kit, run=run, board=board))

    with pytest.raises(UsageError, match="leave --engine ray away"):
        ask(Pooled(two_steps))
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match="a client's address"):
        ask(two_steps)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(UsageError, match="no Ray cluster takes us in"):
            ask(two_steps)


FAKE_VLLM = Path(__file__).parents[1] / "models" / "fake_vllm.py"
RECIPE = """
async def recipe(row, ctx):
    [first] = await ctx.ask("say " + row["prompt"], max_tokens=8, temperature=1.0)
    [second] = await ctx.ask("again " + first.text, role="judge", max_tokens=8, temperature=1.0)
    return row.derive(text=second.text)
"""


def living(mark: str) -> list[int]:
    """Processes, started by anybody, with `mark` in their environment."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see what is left running")
def test_ctrl_c_ends_rays_processes_and_vllms_and_the_key_is_nowhere(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RECIPE)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"prompt": f"thing {i}"}) + "\n" for i in range(3000)))
    (tmp_path / "vllm").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_VLLM}" "$@"\n')
    (tmp_path / "vllm").chmod(0o755)
    (tmp_path / "fake").mkdir()
    key, mark = "sk-planted-5e3", f"HOMESCHOOL_TEST_MARK={tmp_path}"
    environment = {**os.environ, "OPENAI_API_KEY": key, "HOMESCHOOL_TEST_MARK": str(tmp_path)}
    environment |= {"HOMESCHOOL_VLLM": str(tmp_path / "vllm"), "FAKE_VLLM_DIR": str(tmp_path / "fake")}
    for name in ("HOMESCHOOL_API_KEY", "HOMESCHOOL_VLLM_ARGS", "RAY_ADDRESS"):
        environment.pop(name, None)
    with served("--latency", "0.05", "--key", key) as url:
        command = [sys.executable, "-m", "homeschool", "generate", "mine.py:recipe", "--source", "rows.jsonl", "--json"]
        command += [
            "--model",
            "vllm:org/name",
            "--role",
            f"judge={url}#stand-in",
            "--out",
            "run",
            "--concurrency",
            "16",
        ]
        child = subprocess.Popen(
            [*command, "--engine", "ray"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + 90
        while not (calls(tmp_path / "run") or child.poll() or time.monotonic() > deadline):
            time.sleep(0.2)
        os.killpg(child.pid, signal.SIGINT)
        said, complained = child.communicate(timeout=40)
    assert (child.returncode, said) == (130, ""), complained
    assert "Traceback" not in complained
    assert complained.strip().endswith("nothing is lost, the same command goes on from here")
    assert (tmp_path / "fake" / "1.server").exists()
    while living(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living(mark) == []
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert calls(tmp_path / "run") > 0
    assert not [path for path in written if key.encode() in path.read_bytes()]
