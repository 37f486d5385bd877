"""The sandbox from outside: every program gets one execution, in order, whoever asks and whatever ends its boxes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import RefusedError, UsageError
from homeschool.core.execution import Case, Execution, Limits, Program
from homeschool.sandbox import box, pool
from homeschool.sandbox.cache import Cache
from homeschool.sandbox.pool import Sandbox, shared_sandbox

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from sandbox_fault_test import descendants, torment

PATIENCE = 60.0
SLOW = Program("import time\ndef f(x):\n    time.sleep(30)\n    return x", ("assert f(1) == 1",))


def adds(number: int, *, gives: int | None = None) -> Program:
    """A program whose execution tells which one it was: the test fails and says what it got."""
    wanted = -1 if gives is None else gives
    return Program(f"def f(x):\n    return x + {number}", (f"assert f(0) == {wanted}",))


def told(execution: Execution) -> int:
    """What the program of this execution added."""
    assert execution.status == "failed", execution
    return int(execution.message.partition("got ")[2].partition(",")[0])


def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2, cache=None) as made:
        try:
            made.submit(adds(0)).result(timeout=PATIENCE)
        except RefusedError as error:
            if "no sandbox can be had" not in error.message:
                raise
            pytest.skip(error.message)
        yield made


# --- one execution for each program ---------------------------------------------------------------------------------


def test_map_keeps_the_order_and_holds_few_at_once(sandbox: Sandbox) -> None:
    asked: list[int] = []

    def programs() -> Iterator[Program]:
        for number in range(60):
            asked.append(number)
            yield adds(number)

    found: list[int] = []
    for execution in sandbox.map(programs(), ahead=8):
        found.append(told(execution))
        assert len(asked) - len(found) < 8
    assert found == list(range(60))


def test_threads_and_loops_at_once(sandbox: Sandbox) -> None:
    found: dict[str, list[int]] = {}

    def by_map() -> None:
        found["map"] = [told(execution) for execution in sandbox.map(map(adds, range(100, 140)))]

    def by_loop(start: int) -> None:
        async def all_of_them() -> list[Execution]:
            return await asyncio.gather(*(sandbox.run(adds(number)) for number in range(start, start + 40)))

        found[f"loop {start}"] = [told(execution) for execution in asyncio.run(all_of_them())]

    threads = [threading.Thread(target=by_map), *(threading.Thread(target=by_loop, args=(at,)) for at in (200, 300))]
    for thread in threads:
        thread.start()
    futures = [sandbox.submit(adds(number)) for number in range(40)]
    found["submit"] = [told(future.result(timeout=PATIENCE)) for future in futures]
    for thread in threads:
        thread.join(timeout=PATIENCE)
    assert found == {
        "map": [*range(100, 140)],
        "submit": [*range(40)],
        "loop 200": [*range(200, 240)],
        "loop 300": [*range(300, 340)],
    }
    assert len(sandbox.pids()) <= 2, "no more boxes than workers"


def test_each_is_run_exactly_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real, ran = box.Box.run, list[str]()

    def counted(self: box.Box, program: Program) -> Execution:
        ran.append(program.source)
        return real(self, program)

    monkeypatch.setattr(box.Box, "run", counted)
    programs = [adds(number) for number in range(50)]
    assert len(list(sandbox.map(programs))) == 50
    assert sorted(ran) == sorted(program.source for program in programs)


def test_what_is_cached_is_not_run_again() -> None:
    with Sandbox(workers=1, cache=Cache()) as sandbox:
        first = sandbox.submit(adds(1, gives=1)).result(timeout=PATIENCE)
        assert first.status == "passed"
        for pid in sandbox.pids():
            os.kill(pid, signal.SIGSTOP)
        assert sandbox.submit(adds(1, gives=1)).result(timeout=5) == first


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is tested elsewhere, and boxes that are soon killed start sooner without it."""
    monkeypatch.setattr(pool, "prove", lambda run: None)


@pytest.mark.usefixtures("unproved")
def test_close_ends_what_runs_and_cancels_what_waits() -> None:
    sandbox = Sandbox(workers=1, cache=None)
    sandbox.submit(adds(0)).result(timeout=PATIENCE)
    lines = [descendants(pid) for pid in sandbox.pids()]
    running, waiting = sandbox.submit(SLOW), sandbox.submit(adds(1))
    until(running.running)
    time.sleep(0.1)
    started = time.monotonic()
    sandbox.close()
    assert running.result(timeout=1).status == "broken"
    with pytest.raises(CancelledError):
        waiting.result(timeout=1)
    assert time.monotonic() - started < 10
    until(lambda: not any(Path(f"/proc/{pid}").exists() for line in lines for pid in line))
    sandbox.close()
    with pytest.raises(RuntimeError):
        sandbox.submit(adds(2))


def test_a_cancelled_program_never_runs(sandbox: Sandbox) -> None:
    held = [sandbox.submit(Program("import time\ntime.sleep(0.5)")) for _ in range(2)]
    late = sandbox.submit(adds(0))
    assert late.cancel()
    assert [future.result(timeout=PATIENCE).status for future in held] == ["passed"] * 2


def in_a_fork(answers: Any, parents: list[int]) -> None:
    sandbox = shared_sandbox()
    execution = sandbox.submit(adds(7)).result(timeout=PATIENCE)
    answers.put((told(execution), sorted(set(sandbox.pids()) & set(parents)), len(sandbox.pids())))
    sandbox.close()


def test_a_fork_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shared_sandbox()
    before.submit(adds(6)).result(timeout=PATIENCE)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=in_a_fork, args=(answers, before.pids()))
    child.start()
    assert answers.get(timeout=PATIENCE) == (7, [], 1)
    child.join(timeout=PATIENCE)
    assert child.exitcode == 0
    assert shared_sandbox() is before
    assert told(before.submit(adds(8)).result(timeout=PATIENCE)) == 8, "the child has left its parent's boxes alone"


# --- boxes that die -------------------------------------------------------------------------------------------------


def all_boxes(sandbox: Sandbox) -> list[int]:
    """Every worker has a box, and none has anything to do."""
    for future in [sandbox.submit(Program("import time\ntime.sleep(0.2)")) for _ in range(sandbox.workers)]:
        assert future.result(timeout=PATIENCE).status == "passed"
    return sandbox.pids()


@pytest.mark.usefixtures("unproved")
def test_boxes_killed_while_idle_are_replaced_and_nothing_is_broken() -> None:
    with Sandbox(workers=5, cache=None) as sandbox:
        boxes = all_boxes(sandbox)
        assert len(boxes) == 5, "more than a job is tried with"
        lines = [pid for box_pid in boxes for pid in descendants(box_pid)]
        for pid in boxes:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in lines))
        found = [told(execution) for execution in sandbox.map(map(adds, range(12)))]
        assert found == list(range(12))
        assert not set(boxes) & set(sandbox.pids())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("unproved")
@pytest.mark.parametrize("inside", [False, True], ids=["the box", "what is in it"])
def test_a_box_killed_in_a_job_breaks_that_job_and_no_other(inside: bool) -> None:
    with Sandbox(workers=1, cache=None) as sandbox:
        [pid] = all_boxes(sandbox)
        running = sandbox.submit(SLOW)
        until(running.running)
        time.sleep(0.3)
        line = descendants(pid)
        assert len(line) > 2
        for each in reversed(line) if inside else [pid]:
            os.kill(each, signal.SIGKILL)
            if inside:
                break
        execution = running.result(timeout=PATIENCE)
        assert execution.status == "broken", execution
        assert [test.status for test in execution.tests] == ["broken"]
        assert execution.message
        assert told(sandbox.submit(adds(3)).result(timeout=PATIENCE)) == 3


@pytest.mark.usefixtures("unproved")
def test_a_box_that_is_stopped_is_noticed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "SILENCE_SECONDS", 0.5)
    with Sandbox(workers=1, cache=None) as sandbox:
        [pid] = all_boxes(sandbox)
        line = descendants(pid)
        for each in line:
            os.kill(each, signal.SIGSTOP)
        short = Program("def f(x):\n    return x", ("assert f(1) == 1",), limits=Limits(seconds=0.1))
        started = time.monotonic()
        execution = sandbox.submit(short).result(timeout=PATIENCE)
        assert (execution.status, execution.message) == ("broken", "the box stopped answering")
        assert time.monotonic() - started < 10
        assert told(sandbox.submit(adds(4)).result(timeout=PATIENCE)) == 4
        assert pid not in sandbox.pids()
        until(lambda: not any(alive(each) for each in line))


@pytest.mark.usefixtures("unproved")
@pytest.mark.parametrize(("isolation", "programs"), [(None, 300), ("namespaces", 100)])
def test_under_random_kills_there_is_one_verdict_each_and_no_wrong_one(isolation: str | None, programs: int) -> None:
    result: dict[str, Any] = torment(programs, isolation=isolation, every=0.1, seed=7)
    assert (result["lost"], result["wrong"]) == (0, [])
    assert result["kills"], "nothing was killed: this showed nothing"
    assert result["broken"] <= 2 * sum(result["kills"].values()), result


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_canary_that_gets_through_refuses_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(run: Any) -> None:
        raise RefusedError("the sandbox does not hold: the canary 'network' connected", hint="no program was run")

    monkeypatch.setattr(pool, "prove", prove)
    with Sandbox(workers=1, cache=None) as sandbox:
        for _ in range(2):
            with pytest.raises(RefusedError, match="does not hold"):
                sandbox.submit(adds(0)).result(timeout=PATIENCE)
        assert sandbox.pids() == []


def test_a_canary_that_ends_the_box_refuses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(run: Any) -> None:
        raise box.BoxGoneError("the box has ended", began=True)

    monkeypatch.setattr(pool, "prove", prove)
    with Sandbox(workers=1, cache=None) as sandbox, pytest.raises(RefusedError, match="a canary ended the sandbox"):
        sandbox.submit(adds(0)).result(timeout=PATIENCE)


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        Sandbox("bubblewarp")
    assert "bubblewrap" in caught.value.hint


def test_none_is_on_every_execution_and_runs_no_canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "prove", lambda run: pytest.fail("there is no wall to prove"))
    with Sandbox("none", workers=1, cache=Cache()) as sandbox:
        programs = [adds(1, gives=1), Program("print(int(input()) + 1)", (Case("1", "2"),)), Program("print(1)")]
        found = list(sandbox.map(programs))
        assert [(execution.status, execution.isolation) for execution in found] == [("passed", "none")] * 3
