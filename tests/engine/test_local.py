from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import BatchedModel, EvenJudge, LiveModel, sources, two_steps

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.identity import seed_of
from homeschool.core.protocols import Context, Recipe
from homeschool.core.records import Completion, Dropped, Request, Row
from homeschool.core.verdict import Broken, Pass, Verdict
from homeschool.engine.answers import AnswerStore
from homeschool.engine.local import World, run_recipe
from homeschool.engine.outcome import Outcome
from homeschool.engine.progress import Progress
from homeschool.engine.tally import Tally


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers.db")


def world(model: Any, *, store: AnswerStore | None = None, **options: Any) -> World:
    return World({"generator": model}, store, **{"verifier": EvenJudge(), "window": 16, **options})


def run(recipe: Recipe, rows: Sequence[Row], *, world: World, tally: Tally | None = None) -> list[Outcome]:
    async def limited() -> list[Outcome]:
        async with asyncio.timeout(20):  # a scheduler that waits for nothing must fail, not hang
            return await run_recipe(recipe, rows, world=world, tally=tally)

    return asyncio.run(limited())


def noise(seed: int) -> Callable[[], float]:
    rng = random.Random(seed)
    return lambda: rng.choice([0.0, 0.0, rng.random() / 100])


def shaken(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with random pauses before it begins."""
    pause = noise(seed)

    async def later(row: Row, ctx: Context) -> Any:
        await asyncio.sleep(pause())
        return await recipe(row, ctx)

    return later


def test_outcomes_are_in_source_order_with_children_and_drops(store: AnswerStore) -> None:
    rows = sources(40)
    outcomes = run(two_steps, rows, world=world(BatchedModel(), store=store))
    assert [outcome.row for outcome in outcomes] == rows
    assert {len(outcome.children) + len(outcome.dropped) for outcome in outcomes} == {3}
    assert {child.provenance.parents for outcome in outcomes for child in outcome.children} <= {(r.id,) for r in rows}


def test_seeds_name_the_place_and_nothing_else(store: AnswerStore) -> None:
    model = LiveModel()

    async def places(row: Row, ctx: Context) -> Row:
        async def twice(label: str) -> float:
            await ctx.ask(f"{label} first")
            await ctx.ask(f"{label} second")
            return ctx.rng.random()

        await ctx.ask("root")
        one = await ctx.gather(twice("a"), twice("b"))
        two = await ctx.gather(twice("c"))
        await ctx.ask("root again")
        return row.derive(step="places", draws=[*one, *two, ctx.rng.random()])

    [row] = sources(1)
    [outcome] = run(places, [row], world=world(model, store=store, seed=5, round=2))
    assert {request.prompt: request.seed for request in model.asked} == {
        "root": seed_of(5, 2, row.id, [], 0),
        "a first": seed_of(5, 2, row.id, [0], 0),
        "a second": seed_of(5, 2, row.id, [0], 1),
        "b first": seed_of(5, 2, row.id, [1], 0),
        "b second": seed_of(5, 2, row.id, [1], 1),
        "c first": seed_of(5, 2, row.id, [2], 0),
        "c second": seed_of(5, 2, row.id, [2], 1),
        "root again": seed_of(5, 2, row.id, [], 1),
    }
    expected = [random.Random(seed_of(5, 2, row.id, branch)).random() for branch in ([0], [1], [2], [])]
    assert outcome.children[0]["draws"] == expected


@pytest.mark.parametrize("make", [BatchedModel, LiveModel])
def test_time_decides_nothing(make: type[BatchedModel] | type[LiveModel]) -> None:
    """Random pauses in the recipe, the verifier and the model change neither rows nor the composition of a batch."""
    rows, calm = sources(40), make()
    undisturbed = run(two_steps, rows, world=world(calm))
    for seed in range(3):
        model = LiveModel(pause=noise(seed)) if make is LiveModel else BatchedModel()
        hurried = world(model, verifier=EvenJudge(pause=noise(seed + 9)))
        assert run(shaken(two_steps, seed), rows, world=hurried) == undisturbed
        if isinstance(calm, BatchedModel) and isinstance(model, BatchedModel):
            assert model.composed == calm.composed


def test_any_split_of_the_source_gives_the_same_rows_with_a_live_model() -> None:
    rows = sources(20)
    whole = run(two_steps, rows, world=world(LiveModel()))
    parts = [run(two_steps, rows[i : i + 7], world=world(LiveModel())) for i in range(0, 20, 7)]
    assert [outcome for part in parts for outcome in part] == whole


def test_another_seed_and_another_round_ask_other_questions(store: AnswerStore) -> None:
    rows = sources(5)
    for seed, round_ in [(0, 0), (1, 0), (0, 1)]:
        tally = Tally()
        run(two_steps, rows, world=world(BatchedModel(), store=store, seed=seed, round=round_), tally=tally)
        assert tally.cached == 0


def test_batches_hold_the_requests_of_one_barrier_in_order_of_rows() -> None:
    model = BatchedModel(size=8)

    async def rounds(row: Row, ctx: Context) -> Row:
        for step in range(1 + row["level"]):  # levels 0, 1, 2: fewer rows at every barrier
            await ctx.ask(f"{row['prompt']} step {step}")
        return row

    run(rounds, sources(20), world=world(model, window=12))
    assert model.cuts == [12, 8, 4, 8, 5, 2]
    assert [len(batch) for batch in model.composed] == [8, 4, 8, 4, 8, 5, 2]


def test_a_slow_verifier_holds_its_window_together() -> None:
    """One row's verdicts take long; the others wait at the barrier, so that its next question is in their batch."""
    model = BatchedModel(size=100)

    class Slow(EvenJudge):
        async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
            await asyncio.sleep(0.05 if row["prompt"] == "problem 3" else 0)
            return await super().__call__(row, answers)

    async def ask_judge_ask(row: Row, ctx: Context) -> Row:
        [answer] = await ctx.ask(row["prompt"])
        await ctx.verify(row, [answer.text])
        await ctx.ask(f"and again {row['prompt']}")
        return row

    run(ask_judge_ask, sources(10), world=world(model, verifier=Slow()))
    assert model.cuts == [10, 10]


@pytest.mark.parametrize("make", [BatchedModel, LiveModel])
def test_replay_asks_nothing(make: type[BatchedModel] | type[LiveModel], store: AnswerStore) -> None:
    rows, first, second = sources(40), Tally(), Tally()
    outcomes = run(two_steps, rows, world=world(make(), store=store), tally=first)
    model = make()
    assert run(two_steps, rows, world=world(model, store=store), tally=second) == outcomes
    assert (second.calls, second.cached) == (0, first.calls)
    assert (model.composed if isinstance(model, BatchedModel) else model.asked) == []
    assert store.max_asked() == 1


def test_roles_mix_and_one_model_in_two_roles_shares_batches() -> None:
    batched, live = BatchedModel(size=100), LiveModel(pause=noise(3))

    async def roles(row: Row, ctx: Context) -> Row:
        role = "judge" if row["level"] == 0 else "generator"
        [answer] = await ctx.ask(row["prompt"], role=role)
        [opinion] = await ctx.ask(answer.text, role="user")
        await ctx.ask(opinion.text, role=role)
        return row

    cast = World({"generator": batched, "judge": batched, "user": live}, None)
    outcomes = run(roles, sources(9), world=cast)
    assert batched.cuts == [9, 9]
    assert len(live.asked) == 9
    assert all(outcome.children for outcome in outcomes)


def test_gather_keeps_order_takes_nothing_and_nests() -> None:
    async def tree(row: Row, ctx: Context) -> Row:
        async def leaf(name: str) -> str:
            return (await ctx.ask(name))[0].text

        async def inner(name: str) -> list[str]:
            return await ctx.gather(leaf(f"{name}0"), leaf(f"{name}1"))

        assert await ctx.gather() == []
        both = await ctx.gather(inner("x"), inner("y"), leaf("z"))
        return row.derive(step="tree", texts=[*both[0], *both[1], both[2]])

    model = BatchedModel(size=100)
    outcomes = run(tree, sources(4), world=world(model))
    assert model.cuts == [20], "every leaf of every row waits at the same barrier"
    assert all(len(set(outcome.children[0]["texts"])) > 1 for outcome in outcomes)


def test_a_branch_that_fails_fails_the_gather_after_the_others_have_ended() -> None:
    ended: list[str] = []

    async def half(row: Row, ctx: Context) -> Row:
        async def good() -> None:
            await ctx.ask("good")
            await ctx.ask("very good")
            ended.append("good")

        async def bad(word: str) -> None:
            await ctx.ask(word)
            raise ValueError(word)

        try:
            await ctx.gather(good(), bad("first"), bad("second"))
        except ValueError as error:
            return row.derive(step="half", caught=str(error), after=(await ctx.ask("after"))[0].text)
        return row

    [outcome] = run(half, sources(1), world=world(BatchedModel()))
    assert outcome.children[0]["caught"] == "first"
    assert ended == ["good"]


async def raising(row: Row, ctx: Context) -> Row:
    await ctx.ask(row["prompt"])
    if row["level"] == 1:
        raise ValueError("level 1 is beyond me")
    return row


@pytest.mark.parametrize("make", [BatchedModel, LiveModel])
def test_a_recipe_that_raises_costs_its_row_and_is_on_record(make: type[BatchedModel] | type[LiveModel]) -> None:
    outcomes = run(raising, sources(9), world=world(make()))
    failed = [outcome for outcome in outcomes if outcome.dropped]
    assert [outcome.row["level"] for outcome in failed] == [1, 1, 1]
    for outcome in failed:
        [dropped] = outcome.dropped
        assert dropped.row.provenance.parents == (outcome.row.id,)
        assert (len(dropped.row.provenance.calls), dropped.rule) == (1, "recipe"), "what was asked is on record too"
        assert dropped.reason == "raised ValueError"
        assert "in raising" in dropped.detail and dropped.detail.endswith("ValueError: level 1 is beyond me")
        assert "/" not in dropped.detail, "places are told without the machine"
    assert sum(len(outcome.children) for outcome in outcomes) == 6


@pytest.mark.parametrize(
    ("result", "reason"),
    [(None, "returned nothing"), ([], "returned nothing"), (7, "raised TypeError")],
)
def test_what_is_no_row_is_a_drop(result: Any, reason: str) -> None:
    async def odd(row: Row, ctx: Context) -> Any:
        return result

    [outcome] = run(odd, sources(1), world=world(LiveModel()))
    assert outcome.children == ()
    assert outcome.dropped[0].reason.startswith(reason)


def test_a_recipe_may_return_a_row_a_drop_or_both() -> None:
    def returning(make: Callable[[Row], Any]) -> Outcome:
        async def recipe(row: Row, ctx: Context) -> Any:
            return make(row)

        return run(recipe, sources(1), world=world(LiveModel()))[0]

    assert len(returning(lambda row: row).children) == 1
    assert returning(lambda row: Dropped(row, "dull", "taste")).dropped[0].reason == "dull"
    both = returning(lambda row: [row, Dropped(row, "dull", "taste"), row])
    assert (len(both.children), len(both.dropped)) == (2, 1)


class Faulty(LiveModel):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def generate(self, request: Request) -> list[Completion]:
        raise self.error


class FaultyBatched(BatchedModel):
    async def generate_batch(self, requests: Sequence[Request]) -> list[list[Completion]]:
        raise StoppedError("the disk is full")


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        (Faulty(StoppedError("the disk is full")), StoppedError, "disk is full"),
        (Faulty(RuntimeError("out of memory")), HomeschoolError, "live failed with RuntimeError: out of memory"),
        (FaultyBatched(), StoppedError, "disk is full"),
    ],
)
def test_a_fault_of_the_model_ends_the_run_and_never_becomes_a_drop(
    model: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        run(two_steps, sources(9), world=world(model))


@pytest.mark.parametrize("make", [BatchedModel, LiveModel])
def test_an_error_for_a_person_ends_the_run_and_leaves_no_task(make: type[BatchedModel] | type[LiveModel]) -> None:
    async def refuses(row: Row, ctx: Context) -> Row:
        if row["prompt"] == "problem 4":
            raise UsageError("no such column")
        await ctx.gather(ctx.ask("a"), ctx.ask("b"))
        return row

    async def go() -> int:
        with pytest.raises(UsageError, match="no such column"):
            await run_recipe(refuses, sources(9), world=world(make()))
        return len(asyncio.all_tasks())

    assert asyncio.run(go()) == 1


@pytest.mark.parametrize("make", [lambda: BatchedModel(pause=5), lambda: LiveModel(pause=lambda: 5)])
def test_cancelling_the_run_ends_it_at_once(make: Callable[[], Any], store: AnswerStore) -> None:
    async def go() -> int:
        task = asyncio.create_task(run_recipe(two_steps, sources(9), world=world(make(), store=store)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    began = time.monotonic()
    assert asyncio.run(go()) == 1
    assert time.monotonic() - began < 4


async def with_asyncio_gather(row: Row, ctx: Context) -> Row:
    await asyncio.gather(ctx.ask("a"), ctx.ask("b"), return_exceptions=False)
    return row


async def with_unknown_role(row: Row, ctx: Context) -> Row:
    await ctx.ask("a", role="judge")
    return row


async def with_misspelt_option(row: Row, ctx: Context) -> Row:
    await ctx.ask("a", temprature=0.3)
    return row


async def with_verify(row: Row, ctx: Context) -> Row:
    await ctx.verify(row, ["a"])
    return row


@pytest.mark.parametrize("make", [BatchedModel, LiveModel])
@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (with_asyncio_gather, "use ctx.gather"),
        (with_unknown_role, "add --role judge=MODEL"),
        (with_misspelt_option, "did you mean 'temperature'"),
        (with_verify, "add --with VERIFIER"),
    ],
)
def test_misuse_is_named(recipe: Recipe, words: str, make: type[BatchedModel] | type[LiveModel]) -> None:
    with pytest.raises(UsageError, match=words):
        run(recipe, sources(3), world=replace(world(make()), verifier=None))


def test_gather_wants_coroutines() -> None:
    async def eager(row: Row, ctx: Context) -> Row:
        task = asyncio.create_task(asyncio.sleep(0))
        await ctx.gather(task)
        return row

    [outcome] = run(eager, sources(1), world=world(BatchedModel()))
    assert "ctx.gather takes coroutines" in outcome.dropped[0].detail


@pytest.mark.parametrize("levels", [{0}, {0, 1, 2}])
def test_a_recipe_that_gives_up_on_an_answer_does_not_stall_the_others(levels: set[int]) -> None:
    """Time-outs are no part of a deterministic recipe, but one must not hang the run."""

    async def impatient(row: Row, ctx: Context) -> Row:
        if row["level"] in levels:
            try:
                async with asyncio.timeout(0):
                    await ctx.gather(ctx.ask("never heard"), ctx.ask("nor this"))
            except TimeoutError:
                await asyncio.sleep(0.01)
        await ctx.ask(row["prompt"])
        return row

    outcomes = run(impatient, sources(9), world=world(BatchedModel()))
    assert all(outcome.children for outcome in outcomes)


def test_a_question_taken_back_during_a_barrier_waits_for_the_next_one() -> None:
    async def impatient(row: Row, ctx: Context) -> Row:
        try:
            async with asyncio.timeout(0.02 if row["prompt"] == "problem 0" else None):
                await ctx.ask("first")
        except TimeoutError:
            pass
        await ctx.ask("second")
        return row

    model = BatchedModel(size=100, pause=0.3)
    run(impatient, sources(5), world=world(model))
    assert model.cuts == [5, 5]


def test_a_verifier_that_miscounts_is_broken() -> None:
    class Short(EvenJudge):
        async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
            return [Pass()]

    seen: list[Verdict] = []

    async def judged(row: Row, ctx: Context) -> Row:
        seen.extend(await ctx.verify(row, ["1", "2"]))
        return row

    run(judged, sources(1), world=world(LiveModel(), verifier=Short()))
    assert [type(verdict) for verdict in seen] == [Broken, Broken]
    assert seen[0].evidence == "1 verdicts for 2 answers"


def test_a_verifier_may_ask_a_judge_and_is_replayed(store: AnswerStore) -> None:
    class Judge(EvenJudge):
        async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
            assert ctx is not None
            opinions = await ctx.gather(*(ctx.ask(f"is {answer} right?", role="judge") for answer in answers))
            return [Pass(evidence=opinion[0].text) for opinion in opinions]

    async def judged(row: Row, ctx: Context) -> Row:
        answers = await ctx.ask(row["prompt"], n=2)
        return row.judged(*await ctx.verify(row, [answer.text for answer in answers]))

    model = BatchedModel(size=100)
    court = World({"generator": model, "judge": model}, store, verifier=Judge())
    outcomes = run(judged, sources(6), world=court)
    assert model.cuts == [6, 12]
    tally = Tally()
    assert run(judged, sources(6), world=court, tally=tally) == outcomes
    assert tally.calls == 0


def test_a_damaged_answer_is_asked_again_and_nothing_else(store: AnswerStore) -> None:
    rows = sources(6)
    outcomes = run(two_steps, rows, world=world(LiveModel(), store=store))
    store._connection.execute("UPDATE answers SET checksum = '' WHERE key = (SELECT MIN(key) FROM answers)")
    tally = Tally()
    assert run(two_steps, rows, world=world(LiveModel(), store=store), tally=tally) == outcomes
    assert store.damaged == 1
    assert 1 <= tally.calls <= 3, "the request whose answer was damaged, with all its samples"


def test_messages_reach_the_model() -> None:
    model = LiveModel()

    async def chat(row: Row, ctx: Context) -> Row:
        await ctx.ask([{"role": "user", "content": row["prompt"]}], n=2, temperature=0.5, stop="\n", max_tokens=3)
        return row

    run(chat, sources(1), world=world(model))
    [request] = model.asked
    assert [(m.role, m.content) for m in request.prompt if not isinstance(m, str)] == [("user", "problem 0")]
    assert (request.n, request.sampling.temperature, request.sampling.stop) == (2, 0.5, ("\n",))


def test_the_stage_counts_rows_and_says_what_was_accepted() -> None:
    async def go() -> None:
        with Progress(quiet=True).stage("collect", total=20) as stage:
            outcomes = await run_recipe(two_steps, sources(20), world=world(BatchedModel()), stage=stage)
        assert stage.done == 20
        assert stage.counts["accepted"] == sum(len(outcome.children) for outcome in outcomes) > 0
        assert stage.counts["answers"] >= 60
        assert stage.counts["tokens"] > 0

    asyncio.run(go())
