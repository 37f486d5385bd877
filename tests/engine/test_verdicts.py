"""Judging rows as a recipe: what is written, in what order, and how much is under way at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted import LiveModel

from homeschool.core.errors import UnansweredError
from homeschool.core.protocols import Context, Verifier
from homeschool.core.records import Completion, ModelCard, Request, Row
from homeschool.core.verdict import Fail, Pass, Verdict
from homeschool.engine import verdicts
from homeschool.engine.local import World
from homeschool.engine.progress import Progress
from homeschool.engine.rows import read_rows
from homeschool.engine.run import Run
from homeschool.engine.verdicts import Plan, judge_rows


class Even:
    """Passes even numbers; notes how many it works on at once, and what it saw together."""

    name = "even@1"

    def __init__(self) -> None:
        self.now = self.most = 0
        self.seen: list[list[str]] = []

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        self.seen.append(list(answers))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return [Pass() if int(answer) % 2 == 0 else Fail(reason="odd") for answer in answers]


class Asking:
    """Puts every answer to the judge, and passes them all."""

    name = "asking@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        assert ctx is not None
        await ctx.gather(*(ctx.ask(answer, role="judge") for answer in answers))
        return [Pass() for _ in answers]


class Raising(Even):
    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        if answers == ["3"]:
            raise ValueError("three \ud800 is too many")
        return [] if answers == ["5"] else await super().__call__(row, answers, ctx)


def sources(count: int) -> Iterator[Row]:
    return (Row.source({"completion": str(number), "task": str(number % 7)}) for number in range(count))


def judge(
    folder: Path, verifier: Verifier, rows: Iterator[Row], *, sizes: dict[str, int] | None = None, **world: Any
) -> tuple[Counter[str], Counter[str]]:
    sizes = sizes or {}
    plan = Plan(lambda row: verifier, lambda row: row["task"] if row["task"] in sizes else "", sizes)
    options = {"store": None, "window": verdicts.SHARD, **world}
    with Run.open(folder, kind="verify", settings={}) as run, Progress(quiet=True).stage("verify") as stage:
        store = options.pop("store") and run.answers
        work = judge_rows(
            rows, plan=plan, world=World(options.pop("roles", {}), store, **options), run=run, stage=stage
        )
        return asyncio.run(work)


def written(folder: Path) -> list[Row]:
    return [row for path in sorted((folder / "rows").glob("*")) for row in read_rows(path)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "SHARD", 10)


def test_rows_keep_their_order_and_a_group_is_seen_together(tmp_path: Path) -> None:
    verifier = Even()
    sizes = {str(task): len(range(task, 33, 7)) for task in range(3)}
    statuses, unfinished = judge(tmp_path / "run", verifier, sources(33), sizes=sizes)
    assert (statuses, unfinished) == (Counter({"pass": 17, "fail": 16}), Counter())
    rows = written(tmp_path / "run")
    assert [row["completion"] for row in rows] == [str(number) for number in range(33)]
    assert [row.id for row in rows] == [row.id for row in sources(33)]
    assert ["0", "7", "14", "21", "28"] in verifier.seen and ["3"] in verifier.seen
    assert sum(map(len, verifier.seen)) == 33
    again = Even()
    assert judge(tmp_path / "run", again, sources(33), sizes=sizes)[0] == statuses
    assert again.seen == [], "what is written is not judged again"


def test_no_more_is_under_way_than_a_window_whatever_is_queued(tmp_path: Path) -> None:
    verifier = Even()
    judge(tmp_path / "run", verifier, sources(500), concurrency=2)
    assert 1 < verifier.most <= 4


def test_a_source_is_read_shard_by_shard(tmp_path: Path) -> None:
    read: list[int] = []
    most = 0

    def rows() -> Iterator[Row]:
        for number, row in enumerate(sources(200)):
            read.append(number)
            yield row

    class Watching(Even):
        async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
            nonlocal most
            most = max(most, len(read) - 1 - int(row["completion"]))
            return await super().__call__(row, answers, ctx)

    judge(tmp_path / "run", Watching(), rows())
    assert most < 10


def test_a_verifier_that_raises_or_miscounts_is_broken_for_its_row_only(tmp_path: Path) -> None:
    statuses, _ = judge(tmp_path / "run", Raising(), sources(12))
    assert statuses == Counter({"pass": 6, "fail": 4, "broken": 2})
    broken = {row["completion"]: row.verdicts[-1] for row in written(tmp_path / "run")}
    assert broken["3"].reason == "raised ValueError" and "too many" in broken["3"].evidence
    assert broken["5"].reason == "wrong number of verdicts"
    assert broken["3"].verifier == "even@1"


class Silent(LiveModel):
    """Has no answer to 23."""

    async def generate(self, request: Request) -> list[Completion]:
        if request.prompt == "23":
            raise UnansweredError("nothing came", kind="timeout")
        return await super().generate(request)


def test_a_row_without_an_answer_costs_its_shard_only_and_is_asked_again(tmp_path: Path) -> None:
    silent, answering = Silent(), LiveModel()
    statuses, unfinished = judge(tmp_path / "run", Asking(), sources(40), roles={"judge": silent}, store=True)
    assert (statuses["pass"], unfinished) == (30, Counter({"timeout": 1}))
    assert sorted(path.stem for path in (tmp_path / "run/rows").glob("*")) == ["00000", "00001", "00003"]
    statuses, unfinished = judge(tmp_path / "run", Asking(), sources(40), roles={"judge": answering}, store=True)
    assert (statuses["pass"], unfinished) == (40, Counter())
    assert [request.prompt for request in answering.asked] == ["23"]
    assert [row["completion"] for row in written(tmp_path / "run")] == [str(number) for number in range(40)]


def test_a_verifier_sees_who_judges(tmp_path: Path) -> None:
    cards: list[ModelCard | None] = []

    class Looking(Even):
        async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
            assert ctx is not None
            cards.extend([ctx.card("judge"), ctx.card("nobody")])
            return await super().__call__(row, answers, ctx)

    judge(tmp_path / "run", Looking(), sources(1), roles={"judge": LiveModel()})
    assert [card.name if card else None for card in cards] == ["live", None]
