"""From a source to shards: the same files whatever happens, and every row accounted for."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import BatchedModel, EvenJudge, LiveModel, reply, sources, two_steps

from homeschool.core.errors import HomeschoolError, StoppedError, UnanswerableError, UnansweredError, UsageError
from homeschool.core.protocols import Context, Grouped, Pooled
from homeschool.core.records import Completion, Dropped, Request, Row
from homeschool.engine import generate as engine
from homeschool.engine.board import Board
from homeschool.engine.generate import AnyRecipe, Funnel, generate, read_funnel
from homeschool.engine.local import World
from homeschool.engine.progress import Progress
from homeschool.engine.rows import read_rows
from homeschool.engine.run import Part, Run
from homeschool.engine.sources.source import Source


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SHARD", 16)


def source(count: int) -> Source:
    rows = sources(count)
    return Source("rows", "digest", count, lambda: iter(rows))


def work(
    out: Path, recipe: AnyRecipe, *, count: int = 70, model: Any = None, part: Part | None = None, **options: Any
) -> Funnel:
    with Run.open(out, kind="generate", settings={"seed": 3}, part=part) as run:
        model = model or LiveModel()
        world = World({"generator": model}, run.answers, EvenJudge(), seed=3, window=16, **options)
        board = Board(Progress(quiet=True), "generate")
        return asyncio.run(generate(recipe, source(count), world=world, run=run, board=board))


def files(out: Path) -> dict[str, str]:
    """Every file that a run leaves but its answers, by digest."""
    kinds = ("rows", "dropped", "pool", "shards")
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in kinds
        for path in sorted((out / kind).glob("*"))
    }


def test_shards_hold_their_rows_in_order_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    funnel = work(tmp_path / "run", two_steps)
    assert (funnel.rows_in, funnel.shards) == (70, 5)
    made = [read_rows(path) for path in sorted((tmp_path / "run" / "rows").glob("*.parquet"))]
    lost = [read_rows(path) for path in sorted((tmp_path / "run" / "dropped").glob("*.parquet"))]
    assert sum(map(len, made)) == funnel.rows > 0
    assert sum(map(len, lost)) == funnel.dropped == sum(funnel.reasons.values()) > 0
    order = {row.id: place for place, row in enumerate(sources(70))}
    for number, (rows, drops) in enumerate(zip(made, lost, strict=True)):
        places = [order[row.provenance.parents[0]] for row in rows]
        assert places == sorted(places)
        assert {place // 16 for place in places} == {number}
        assert all(drop["reason"] and drop["rule"] for drop in drops)
    with Run.open(tmp_path / "run", kind="generate", settings={"seed": 3}) as run:
        assert sum(found.rows for number in range(5) if (found := read_funnel(run, number))) == funnel.rows


@pytest.mark.parametrize("make", [LiveModel, BatchedModel])
def test_any_concurrency_pause_and_order_give_the_same_files(tmp_path: Path, make: type[Any]) -> None:
    noise = random.Random(0)
    hasty = make(pause=lambda: noise.random() / 300) if make is LiveModel else make(pause=0.001)
    work(tmp_path / "calm", two_steps, model=make(), concurrency=1)
    work(tmp_path / "hasty", two_steps, model=hasty, concurrency=64)
    assert files(tmp_path / "calm") == files(tmp_path / "hasty")


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_any_split_in_parts_gives_the_same_files(tmp_path: Path, parts: int) -> None:
    work(tmp_path / "whole", two_steps)
    funnels = [work(tmp_path / "split", two_steps, part=Part(number, parts)) for number in range(parts, 0, -1)]
    assert files(tmp_path / "whole") == files(tmp_path / "split")
    assert sum(funnel.rows_in for funnel in funnels) == 70
    assert len(list((tmp_path / "split").glob("answers-*.db"))) == parts
    model = LiveModel()
    assert work(tmp_path / "split", two_steps, model=model).rows_in == 70
    assert model.asked == [], "the whole is finished by its parts"


def test_a_finished_run_is_read_and_not_made_again(tmp_path: Path) -> None:
    first = work(tmp_path / "run", two_steps)
    before = files(tmp_path / "run")
    model = LiveModel()
    assert work(tmp_path / "run", two_steps, model=model) == first
    assert (model.asked, files(tmp_path / "run")) == ([], before)


class Dying(LiveModel):
    """Stops the run after some requests, as Ctrl-C or a full disk would."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    async def generate(self, request: Request) -> list[Completion]:
        if len(self.asked) >= self.after:
            raise StoppedError("that was all")
        return await super().generate(request)


def test_a_run_that_is_stopped_again_and_again_ends_with_the_same_files(tmp_path: Path) -> None:
    work(tmp_path / "calm", two_steps)
    asked = 0
    for after in (5, 40, 80, 80):
        model = Dying(after)
        with pytest.raises(StoppedError):
            work(tmp_path / "run", two_steps, model=model, concurrency=4)
        asked += len(model.asked)
    model = LiveModel()
    work(tmp_path / "run", two_steps, model=model)
    assert files(tmp_path / "calm") == files(tmp_path / "run")
    calm = LiveModel()
    work(tmp_path / "again", two_steps, model=calm)
    assert asked + len(model.asked) <= len(calm.asked) + 4 * 4, "no more again than were in flight at each stop"


class Deaf(LiveModel):
    """Has no answer to some prompts, and never will have to others."""

    def __init__(self, *, deaf: str = "", unable: str = "") -> None:
        super().__init__()
        self.deaf, self.unable = deaf, unable

    async def generate(self, request: Request) -> list[Completion]:
        if self.unable and str(request.prompt).startswith(self.unable):
            raise UnanswerableError("a prompt of 9000 tokens is too long")
        if self.deaf and str(request.prompt).startswith(self.deaf):
            raise UnansweredError("the server gave up", kind="timeout")
        return await super().generate(request)


def test_a_row_without_an_answer_keeps_its_shard_open_and_no_other(tmp_path: Path) -> None:
    work(tmp_path / "calm", two_steps)
    funnel = work(tmp_path / "run", two_steps, model=Deaf(deaf="problem 20"))
    assert funnel.unfinished == {"timeout": 1}
    assert sorted(path.stem for path in (tmp_path / "run" / "shards").glob("*")) == ["00000", "00002", "00003", "00004"]
    model = LiveModel()
    assert not work(tmp_path / "run", two_steps, model=model).unfinished
    assert {str(request.prompt) for request in model.asked if str(request.prompt).startswith("problem")} == {
        "problem 20"
    }
    assert files(tmp_path / "calm") == files(tmp_path / "run")


def test_a_row_without_an_answer_can_be_dropped_for_good(tmp_path: Path) -> None:
    funnel = work(tmp_path / "run", two_steps, model=Deaf(deaf="problem 20"), drop_unanswered=True)
    assert not funnel.unfinished
    assert funnel.reasons["model: timeout"] == 1


def test_a_request_that_cannot_be_answered_costs_its_row(tmp_path: Path) -> None:
    funnel = work(tmp_path / "run", two_steps, model=Deaf(unable="problem 20"))
    assert funnel.reasons["model: unanswerable"] == 1
    [drop] = [row for row in read_rows(tmp_path / "run" / "dropped" / "00001.parquet") if row["rule"] == "model"]
    assert "9000 tokens" in drop["detail"]


async def poisonous(row: Row, ctx: Context) -> Row:
    if row["prompt"].endswith("7"):
        raise KeyError("answer")
    return row.derive(step="fine")


def test_poison_rows_are_on_record_with_their_traceback(tmp_path: Path) -> None:
    funnel = work(tmp_path / "run", poisonous)
    assert (funnel.rows, funnel.dropped) == (63, 7)
    [drop] = read_rows(tmp_path / "run" / "dropped" / "00000.parquet")
    assert drop["rule"] == "recipe"
    assert "in poisonous" in drop["detail"]


async def growing(row: Row, ctx: Context) -> Row:
    """Says how much of the pool it sees, and adds to it in branches."""
    seen = len(ctx.pool)
    shown = [each["text"] for each in ctx.pool.sample(2)]
    near = [round(score, 3) for score, _ in ctx.pool.nearest(row["prompt"], 2, column="text")]
    [answer] = await ctx.ask(f"{row['prompt']} like {shown}")

    async def add(word: str) -> None:
        [more] = await ctx.ask(word)
        ctx.pool.append(row.derive(step="pooled", text=f"{word} {row['prompt']} {more.text}"))

    await ctx.gather(add("one"), add("two"))
    return row.derive(step="grown", seen=seen, shown=shown, near=near, text=answer.text)


def test_a_pool_is_a_snapshot_within_a_round_and_grows_between_rounds(tmp_path: Path) -> None:
    work(tmp_path / "run", Pooled(growing, round_size=16))
    rows = [row for path in sorted((tmp_path / "run" / "rows").glob("*")) for row in read_rows(path)]
    assert [row["seen"] for row in rows] == [place // 16 * 32 for place in range(70)]
    assert all(len(row["shown"]) == 2 and row["near"] for row in rows[16:])
    pooled = read_rows(tmp_path / "run" / "pool" / "00000.parquet")
    assert [row["text"].split()[0] for row in pooled] == ["one", "two"] * 16


def test_a_pool_recipe_is_the_same_under_any_concurrency_and_any_stop(tmp_path: Path) -> None:
    noise = random.Random(1)
    work(tmp_path / "calm", Pooled(growing, round_size=16), concurrency=1)
    hasty = LiveModel(pause=lambda: noise.random() / 500)
    work(tmp_path / "hasty", Pooled(growing, round_size=16), model=hasty)
    for after in (30, 60, 60):
        with pytest.raises(StoppedError):
            work(tmp_path / "stopped", Pooled(growing, round_size=16), model=Dying(after), concurrency=8)
    work(tmp_path / "stopped", Pooled(growing, round_size=16))
    assert files(tmp_path / "calm") == files(tmp_path / "hasty") == files(tmp_path / "stopped")


def test_a_round_with_a_row_without_an_answer_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="1 rows of round 1 got no answer"):
        work(tmp_path / "run", Pooled(growing, round_size=16), model=Deaf(deaf="problem 20"))
    assert sorted(path.stem for path in (tmp_path / "run" / "shards").glob("*")) == ["00000"]
    assert not work(tmp_path / "run", Pooled(growing, round_size=16)).unfinished


def test_a_recipe_in_rounds_is_not_split(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="works in rounds"):
        work(tmp_path / "run", Pooled(growing), part=Part(1, 2))


async def fused(rows: Sequence[Row], ctx: Context) -> Row | Dropped:
    [answer] = await ctx.ask(" and ".join(row["prompt"] for row in rows))
    if len(rows) < 3:
        return Dropped(rows[0], "too few", "fused")
    return Row.join(rows, step="fused", prompts=[row["prompt"] for row in rows], text=answer.text)


def test_groups_are_made_by_column_and_size_within_a_round(tmp_path: Path) -> None:
    funnel = work(tmp_path / "run", Grouped(fused, size=3, by="level", round_size=32))
    rows = [row for path in sorted((tmp_path / "run" / "rows").glob("*")) for row in read_rows(path)]
    assert funnel.rows_in == 70
    assert rows[0]["prompts"] == ["problem 0", "problem 3", "problem 6"]
    assert rows[0].provenance.parents == tuple(sources(7)[place].id for place in (0, 3, 6))
    assert len(rows[0].provenance.calls) == 1, "calls are on record without a word of the recipe"
    assert funnel.reasons["fused: too few"] > 0
    work(tmp_path / "again", Grouped(fused, size=3, by="level", round_size=32), concurrency=2)
    assert files(tmp_path / "run") == files(tmp_path / "again")


def test_the_pool_is_refused_to_a_recipe_that_does_not_ask_for_rounds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="return Pooled"):
        work(tmp_path / "run", growing)


def test_memory_is_bounded_by_rows_under_way_and_not_by_rows(tmp_path: Path) -> None:
    """The source is read no further than what may be under way: one slow row does not let it all in."""
    taken = 0

    def rows() -> Iterator[Row]:
        nonlocal taken
        for row in sources(2000):
            taken += 1
            yield row

    most = 0

    class Slow(LiveModel):
        async def generate(self, request: Request) -> list[Completion]:
            nonlocal most
            if request.prompt == "problem 0":
                await asyncio.sleep(0.3)
                most = taken
            return [reply(request, sample, card=self.card) for sample in request.samples]

    async def one_call(row: Row, ctx: Context) -> Row:
        [answer] = await ctx.ask(row["prompt"])
        return row.derive(step="asked", text=answer.text)

    with Run.open(tmp_path / "run", kind="generate", settings={}) as run:
        world = World({"generator": Slow()}, run.answers, window=16)
        streamed = replace(source(2000), rows=rows)
        board = Board(Progress(quiet=True), "generate")
        funnel = asyncio.run(generate(one_call, streamed, world=world, run=run, board=board))
    assert funnel.rows == 2000
    assert 16 * 8 <= most <= 16 * 8 + 16 + 16


def test_a_damaged_record_of_a_shard_says_what_to_do(tmp_path: Path) -> None:
    work(tmp_path / "run", two_steps)
    (tmp_path / "run" / "shards" / "00001.json").write_text("{")
    with pytest.raises(HomeschoolError, match=r"00001\.json is damaged.*remove it"):
        work(tmp_path / "run", two_steps)


async def broken(row: Row, ctx: Context) -> Row:
    raise NameError("promt")


def test_a_recipe_that_always_raises_is_stopped_at_its_first_shard(tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match=r"raised NameError on every one of 16 rows .*NameError: promt"):
        work(tmp_path / "run", broken)
    assert not (tmp_path / "run" / "rows").exists()


async def poisoned_late(row: Row, ctx: Context) -> Row:
    if int(row["prompt"].split()[1]) >= 48:
        raise ValueError("poison")
    return row.derive(step="fine")


def test_a_later_shard_of_nothing_but_poison_is_on_record_and_ends_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        funnel = work(tmp_path / "run", poisoned_late)
        assert (funnel.rows, funnel.reasons) == (48, {"recipe: raised ValueError": 22})
    (tmp_path / "run" / "shards" / "00003.json").unlink()
    assert work(tmp_path / "run", poisoned_late).dropped == 22


def test_a_smaller_run_grows_and_does_not_shrink(tmp_path: Path) -> None:
    work(tmp_path / "whole", two_steps)
    with Run.open(tmp_path / "run", kind="generate", settings={"seed": 3}) as run:
        world = World({"generator": LiveModel()}, run.answers, EvenJudge(), seed=3, window=16)
        board = Board(Progress(quiet=True), "generate")
        few = asyncio.run(generate(two_steps, source(70), world=world, run=run, board=board, limit=20))
    assert few.rows_in == 20
    work(tmp_path / "run", two_steps)
    assert files(tmp_path / "whole") == files(tmp_path / "run")
    with Run.open(tmp_path / "run", kind="generate", settings={"seed": 3}) as run:
        world = World({"generator": LiveModel()}, run.answers, EvenJudge(), seed=3, window=16)
        with pytest.raises(UsageError, match="at least as many --rows as before"):
            asyncio.run(generate(two_steps, source(70), world=world, run=run, board=board, limit=20))


def test_a_removed_pool_file_is_made_again(tmp_path: Path) -> None:
    work(tmp_path / "run", Pooled(growing, round_size=16))
    before = files(tmp_path / "run")
    (tmp_path / "run" / "pool" / "00001.parquet").unlink()
    (tmp_path / "run" / "shards" / "00003.json").unlink()
    work(tmp_path / "run", Pooled(growing, round_size=16))
    assert files(tmp_path / "run") == before


async def colliding(row: Row, ctx: Context) -> Dropped:
    return Dropped(row.derive(step="x", reason="its own"), "ours", "rule of ours")


def test_a_dropped_row_keeps_a_column_of_its_own_called_reason(tmp_path: Path) -> None:
    work(tmp_path / "run", colliding)
    drop = read_rows(tmp_path / "run" / "dropped" / "00000.parquet")[0]
    assert (drop["reason"], drop["row_reason"]) == ("ours", "its own")


def test_a_run_is_not_split_in_two_ways_at_once(tmp_path: Path) -> None:
    import subprocess
    import sys

    with Run.open(tmp_path / "run", kind="generate", settings={}, part=Part(1, 2)):
        script = (
            "import sys; from pathlib import Path; from homeschool.engine.run import Part, Run\n"
            "number, of = map(int, sys.argv[2:])\n"
            "Run.open(Path(sys.argv[1]), kind='generate', settings={}, part=Part(number, of)).close()"
        )

        def opens(number: int, of: int) -> bool:
            words = [sys.executable, "-c", script, str(tmp_path / "run"), str(number), str(of)]
            return subprocess.run(words, capture_output=True, check=False).returncode == 0

        assert opens(2, 2), "the other half"
        assert not opens(1, 2), "the same half"
        assert not opens(1, 3), "a third, beside halves"
        assert not opens(1, 1), "the whole, beside a half"
