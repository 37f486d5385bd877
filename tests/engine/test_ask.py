from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import BatchedModel, LiveModel, reply

from homeschool.core.errors import HomeschoolError, StoppedError
from homeschool.core.records import Completion, Request, Sampling
from homeschool.engine.answers import AnswerStore
from homeschool.engine.ask import ask_all
from homeschool.engine.tally import Tally


@pytest.fixture
def store(tmp_path: Path) -> AnswerStore:
    return AnswerStore(tmp_path / "answers.db")


def requests(count: int, *, n: int = 2, temperature: float = 1.0) -> list[Request]:
    sampling = Sampling(temperature=temperature, max_tokens=16)
    return [Request(f"question {i}", sampling, seed=i, n=n) for i in range(count)]


@pytest.mark.parametrize("make", [LiveModel, BatchedModel])
def test_answers_come_in_order_named_and_are_replayed_without_a_call(
    make: type[LiveModel] | type[BatchedModel], store: AnswerStore
) -> None:
    asked, model, tally = requests(10), make(), Tally()
    first = asyncio.run(ask_all(model, asked, store=store, tally=tally))
    assert [[a.key for a in group] for group in first] == [
        [r.key(0, card=model.card), r.key(1, card=model.card)] for r in asked
    ]
    assert {(a.model, a.seed) for group in first for a in group} == {(model.card.name, i) for i in range(10)}
    assert (tally.calls, tally.cached) == (20, 0)
    assert tally.completion_tokens == sum(len(a.token_ids) for group in first for a in group)
    assert tally.prompt_tokens == sum(len(str(r.prompt)) for r in asked)
    again, second = make(), Tally()
    assert asyncio.run(ask_all(again, asked, store=store, tally=second)) == first
    assert (second.calls, second.cached, second.seconds) == (0, 20, 0.0)
    assert store.max_asked() == 1


def test_batches_are_cut_from_the_whole_list_whatever_is_stored(store: AnswerStore) -> None:
    asked = requests(12)
    undisturbed = asyncio.run(ask_all(BatchedModel(), asked, store=None))
    asyncio.run(ask_all(BatchedModel(), asked[4:8], store=store))
    model = BatchedModel()
    assert asyncio.run(ask_all(model, asked, store=store)) == undisturbed
    assert model.cuts == [12]
    assert model.composed == [[r.key(0, card=model.card) for r in asked[i : i + 4]] for i in (0, 8)]


def test_a_batch_that_is_partly_stored_asks_only_for_the_rest(store: AnswerStore) -> None:
    asked = requests(4)
    known = asyncio.run(ask_all(BatchedModel(), asked[1:2], store=store))
    model = BatchedModel()
    answers = asyncio.run(ask_all(model, asked, store=store))
    assert model.composed == [[asked[i].key(0, card=model.card) for i in (0, 2, 3)]]
    assert answers[1] == known[0]
    assert store.max_asked() == 1


@pytest.mark.parametrize("make", [LiveModel, BatchedModel])
def test_a_question_that_stands_twice_is_asked_once(
    make: type[LiveModel] | type[BatchedModel], store: AnswerStore
) -> None:
    model, tally = make(), Tally()
    greedy = [Request("same", Sampling(temperature=0), seed=i, n=3) for i in range(5)]
    drawn = [Request("same", Sampling(), seed=7, n=2), Request("same", Sampling(), seed=7, n=4)]
    answers = asyncio.run(ask_all(model, [*greedy, *drawn], store=store, tally=tally))
    assert [len(group) for group in answers] == [3] * 5 + [2, 4]
    assert len({a.key for group in answers[:5] for a in group}) == 1
    assert answers[6][:2] == answers[5]
    assert tally.calls == 1 + 4
    assert store.max_asked() == 1


@pytest.mark.parametrize("make", [LiveModel, BatchedModel])
def test_each_limit_is_a_question_of_its_own(make: type[LiveModel] | type[BatchedModel], store: AnswerStore) -> None:
    asked = [Request("q", Sampling(max_tokens=limit), seed=seed) for seed in range(20) for limit in (2, 50)]
    first = asyncio.run(ask_all(make(), asked, store=store))
    assert {a.finish_reason for group in first for a in group} == {"stop", "length"}
    tally = Tally()
    assert asyncio.run(ask_all(make(), asked, store=store, tally=tally)) == first
    assert tally.calls == 0
    assert store.max_asked() == 1


def test_concurrency_is_bounded_and_the_order_of_arrival_changes_nothing(store: AnswerStore) -> None:
    noise = random.Random(1)
    model = LiveModel(pause=lambda: noise.random() / 200)
    asked = requests(60)
    answers = asyncio.run(ask_all(model, asked, store=store, concurrency=8))
    assert model.most == 8
    assert answers == asyncio.run(ask_all(LiveModel(), asked, store=None))


def test_tally_counts_overlapping_time_once() -> None:
    tally = Tally()
    model = LiveModel(pause=lambda: 0.02)
    began = time.perf_counter()
    asyncio.run(ask_all(model, requests(20), store=None, tally=tally, concurrency=20))
    assert 0.015 < tally.seconds <= time.perf_counter() - began


@pytest.mark.parametrize("make", [LiveModel, BatchedModel])
def test_a_stored_answer_is_kept_when_its_neighbour_must_be_asked_again(
    make: type[LiveModel] | type[BatchedModel], store: AnswerStore
) -> None:
    asked = requests(1, n=2)
    card = make().card
    seen = replace(reply(asked[0], 1, card=card), key=asked[0].key(1, card=card), text="what somebody has seen")
    store.commit([seen], max_tokens=16)
    for _ in range(2):
        [[_, second]] = asyncio.run(ask_all(make(), asked, store=store))
        assert second.text == "what somebody has seen"
    assert store.times_asked() == {asked[0].key(0, card=card): 1, seen.key: 1}, "and is not asked again"


class Miscounting(BatchedModel):
    async def generate_batch(self, requests: Sequence[Request]) -> list[list[Completion]]:
        return [answers[:1] for answers in await super().generate_batch(requests)]


class Overlapping(BatchedModel):
    def batches(self, requests: Sequence[Request]) -> list[list[int]]:
        return [[0, 1], [1]]


@pytest.mark.parametrize(
    ("model", "words"), [(Miscounting(), "gave 1 answers to a request for 2"), (Overlapping(), "no partition")]
)
def test_a_model_that_breaks_its_promise_ends_the_run(model: BatchedModel, words: str, store: AnswerStore) -> None:
    with pytest.raises(HomeschoolError, match=words):
        asyncio.run(ask_all(model, requests(2), store=store))
    assert len(store) == 0


class Failing(LiveModel):
    async def generate(self, request: Request) -> list[Completion]:
        if request.seed == 5:
            await asyncio.sleep(0.01)
            raise HomeschoolError("the key is not accepted")
        return await super().generate(request)


def test_a_failure_ends_the_asking_and_leaves_no_task_and_keeps_what_came(store: AnswerStore) -> None:
    async def go() -> int:
        with pytest.raises(HomeschoolError, match="key is not accepted"):
            await ask_all(Failing(), requests(40), store=store, concurrency=4)
        return len(asyncio.all_tasks())

    assert asyncio.run(go()) == 1
    assert len(store) > 0


def test_a_full_disk_reaches_the_caller(store: AnswerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise StoppedError("the disk is full")

    monkeypatch.setattr(store, "commit", full)
    for model in (LiveModel(), BatchedModel()):
        with pytest.raises(StoppedError, match="disk is full"):
            asyncio.run(ask_all(model, requests(6), store=store))


def test_no_request_and_a_request_for_nothing() -> None:
    assert asyncio.run(ask_all(BatchedModel(), [], store=None)) == []
    assert asyncio.run(ask_all(LiveModel(), [], store=None)) == []
    with pytest.raises(ValueError, match="n=0"):
        asyncio.run(ask_all(LiveModel(), requests(1, n=0), store=None))
