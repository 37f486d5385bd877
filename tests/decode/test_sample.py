from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from homeschool.core.errors import HomeschoolError, UnanswerableError, UsageError
from homeschool.core.protocols import BatchModel
from homeschool.core.records import Completion, Message, Request, Sampling
from homeschool.decode.sample import Sampler
from homeschool.models.local import Checkpoint

DATA = Path(__file__).parents[3] / "shared" / "data"
PROMPTS = ["7", "Q: 3+4*2\n", "the quick brown fox jumps", "a b", "1+1", "= 11\n" * 6]


def answers(sampler: Sampler, requests: Sequence[Request]) -> list[list[Completion]]:
    return asyncio.run(sampler.generate_batch(requests))


def greedy(prompt: str, max_tokens: int = 20, **more: Any) -> Request:
    return Request(prompt, Sampling(temperature=0, max_tokens=max_tokens, **more))


def full_logprobs(checkpoint: Checkpoint, ids: Sequence[int]) -> torch.Tensor:
    """[T, V] log-probabilities of what follows each token, by one plain forward pass."""
    with torch.inference_mode():
        return checkpoint.module(torch.tensor([list(ids)])).logits[0].double().log_softmax(-1)


def assert_same(got: list[list[Completion]], want: list[list[Completion]]) -> None:
    """Equal in all but the rounding of log-probabilities."""
    for some, others in zip(got, want, strict=True):
        for answer, other in zip(some, others, strict=True):
            assert answer.logprobs == pytest.approx(other.logprobs, abs=1e-9)
            assert replace(answer, logprobs=None) == replace(other, logprobs=None)


def count_rows(monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint) -> list[tuple[int, int]]:
    """The (rows, tokens) of every forward pass from now on."""
    seen: list[tuple[int, int]] = []
    forward = checkpoint.forward

    def counting(ids: torch.Tensor, **options: Any) -> torch.Tensor:
        seen.append((ids.shape[0], ids.shape[1]))
        return forward(ids, **options)

    monkeypatch.setattr(checkpoint, "forward", counting)
    return seen


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_greedy_equals_transformers_on_a_mixed_batch(name: str, request: pytest.FixtureRequest) -> None:
    checkpoint: Checkpoint = request.getfixturevalue(name)
    requests = [greedy(prompt, 5 + 7 * index) for index, prompt in enumerate(PROMPTS)]
    got = answers(Sampler(checkpoint), requests)
    endings: set[str] = set()
    generate: Any = checkpoint.module.generate
    for asked, (answer,) in zip(requests, got, strict=True):
        ids = torch.tensor([checkpoint.encode(asked.prompt)])
        want = generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=asked.sampling.max_tokens, do_sample=False
        )
        assert list(answer.token_ids) == want[0, ids.shape[1] :].tolist()
        assert answer.prompt_tokens == ids.shape[1]
        endings.add(answer.finish_reason)
    assert endings == {"stop", "length"}


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_logprobs_and_score_equal_a_full_forward(name: str, request: pytest.FixtureRequest) -> None:
    checkpoint: Checkpoint = request.getfixturevalue(name)
    sampler = Sampler(checkpoint)
    requests = [Request(prompt, Sampling(0.7, 0.9, 20, 12), seed=3, n=2) for prompt in PROMPTS]
    for asked, group in zip(requests, answers(sampler, requests), strict=True):
        prompt = checkpoint.encode(asked.prompt)
        for answer in group:
            want = full_logprobs(checkpoint, [*prompt, *answer.token_ids])[len(prompt) - 1 : -1]
            want = want.gather(1, torch.tensor(answer.token_ids).unsqueeze(1)).squeeze(1).tolist()
            assert answer.logprobs == pytest.approx(want, abs=1e-9)

    texts = ["8", "", "= 3+8\n= 11", "no"]
    scores = asyncio.run(sampler.score("Q: 3+4*2\n", texts))
    prompt = checkpoint.encode("Q: 3+4*2\n")
    for text, score in zip(texts, scores, strict=True):
        after = checkpoint.encode_more(text)
        want = full_logprobs(checkpoint, [*prompt, *after])[len(prompt) - 1 :]
        assert score == pytest.approx([float(want[i, token]) for i, token in enumerate(after)], abs=1e-9)


def test_an_answer_is_the_same_alone_in_any_batch_and_order(sampler: Sampler) -> None:
    settings = [Sampling(1.0, max_tokens=30), Sampling(0.8, 0.9, max_tokens=17), Sampling(1.5, top_k=5, max_tokens=40)]
    requests = [
        Request(prompt, settings[index % 3], seed=index // 2, n=1 + index % 3)
        for index, prompt in enumerate(PROMPTS * 3)
    ]
    together = answers(sampler, requests)
    assert_same(together, [answers(sampler, [request])[0] for request in requests])
    assert_same(together, answers(sampler, requests[::-1])[::-1])
    assert_same(together, answers(Sampler(sampler.checkpoint, rows=4), requests))
    texts = {answer.text for group in together for answer in group}
    assert len(texts) > 30


def test_finished_rows_leave_the_batch(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [Request("abc", Sampling(1.0, max_tokens=2 + 4 * index), seed=index) for index in range(8)]
    seen = count_rows(monkeypatch, sampler.checkpoint)
    got = [group[0] for group in answers(sampler, requests)]
    lengths = [len(answer.token_ids) for answer in got]
    # The first token of an answer comes from the prompt's pass, the last one is never fed back.
    assert [rows for rows, _ in seen[1:]] == [sum(n > step for n in lengths) for step in range(1, max(lengths))]
    assert len(set(lengths)) > 3


def test_samples_and_equal_prompts_share_one_prefill(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_rows(monkeypatch, sampler.checkpoint)
    group, twin = answers(
        sampler, [Request("hello", Sampling(max_tokens=6), n=5), Request("hello", Sampling(max_tokens=6), seed=1)]
    )
    assert seen[0] == (1, 6)
    assert all(rows <= 6 and tokens == 1 for rows, tokens in seen[1:])
    assert len({answer.token_ids for answer in [*group, *twin]}) > 3


def test_greedy_samples_are_computed_once(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_rows(monkeypatch, sampler.checkpoint)
    asked = replace(greedy("abc"), n=4, seed=9)
    (first, *rest), (other,) = answers(sampler, [asked, greedy("abc")])
    assert all(answer == first for answer in rest)
    assert (other.text, other.key) == (first.text, first.key)
    assert max(rows for rows, _ in seen) == 1


def test_draws_follow_the_softmax(sampler: Sampler) -> None:
    """Chi-square over 4000 draws of one token; bins with fewer than 5 expected are pooled."""
    count = 4000
    drawn = answers(sampler, [Request("Q: 1", Sampling(1.3, max_tokens=1), seed=5, n=count)])[0]
    chances = torch.softmax(full_logprobs(sampler.checkpoint, sampler.checkpoint.encode("Q: 1"))[-1] / 1.3, -1)
    seen = torch.bincount(torch.tensor([answer.token_ids[0] for answer in drawn]), minlength=99).double()
    big = chances * count >= 5
    observed = torch.cat([seen[big], seen[~big].sum()[None]])
    expected = torch.cat([chances[big], chances[~big].sum()[None]]) * count
    chi_square = float(((observed - expected) ** 2 / expected).sum())
    freedom = int(big.sum())
    assert freedom > 10
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5


def test_top_k_and_top_p_keep_the_likeliest(sampler: Sampler) -> None:
    ranked = full_logprobs(sampler.checkpoint, sampler.checkpoint.encode("xyz"))[-1].exp().sort(descending=True)
    first = ranked.indices.tolist()
    fewest = int((ranked.values.cumsum(0) < 0.6).sum()) + 1
    settings = [Sampling(1.0, top_k=3, max_tokens=1), Sampling(1.0, top_p=0.6, max_tokens=1), Sampling(max_tokens=1)]
    top_k, top_p, free = answers(sampler, [Request("xyz", sampling, n=600) for sampling in settings])
    assert {answer.token_ids[0] for answer in top_k} == set(first[:3])
    assert {answer.token_ids[0] for answer in top_p} == set(first[:fewest])
    assert len({answer.token_ids[0] for answer in free}) > fewest > 1


def test_stop_strings_cut_the_text(sampler: Sampler) -> None:
    asked = Request("stop", Sampling(max_tokens=30), n=20)
    tries = answers(sampler, [asked])[0]
    sample = max(range(20), key=lambda index: len(tries[index].text))
    whole = tries[sample]
    stop = whole.text[5:8]
    at = whole.text.index(stop)
    stopping = replace(asked, sampling=replace(asked.sampling, stop=("never", stop)))
    cut, untouched = answers(sampler, [stopping, asked])
    assert (cut[sample].text, cut[sample].finish_reason) == (whole.text[:at], "stop")
    assert cut[sample].token_ids[-1] == whole.token_ids[len(cut[sample].token_ids) - 1]
    assert sampler.checkpoint.decode(cut[sample].token_ids).endswith(stop)
    assert untouched[sample].text == whole.text


def test_completions_are_filled_and_the_card_is_current(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Request("abc", Sampling(0.9, max_tokens=5), seed=4, n=2)
    before = asyncio.run(sampler.generate(asked))
    card = sampler.card
    assert isinstance(sampler, BatchModel)
    assert [answer.key for answer in before] == [asked.key(index, card=card) for index in range(2)]
    assert before[0].model == "f0"
    assert before[0].seed == 4
    assert before[0].sampling == asked.sampling.identity()
    assert len(before[0].logprobs or ()) == len(before[0].token_ids)
    monkeypatch.setattr(sampler.checkpoint, "fingerprint", "f1")
    after = asyncio.run(sampler.generate(asked))
    assert sampler.card.fingerprint == after[0].model == "f1"
    assert after[0].key != before[0].key


def test_the_context_limits_an_answer(sampler: Sampler) -> None:
    prompt = "x" * 92
    group = answers(sampler, [Request(prompt, Sampling(max_tokens=50), n=20)])[0]
    longest = max(group, key=lambda answer: len(answer.token_ids))
    assert (longest.prompt_tokens, len(longest.token_ids), longest.finish_reason) == (93, 3, "length")
    assert "prompt of 97 tokens and an answer of 1 do not fit the context of 96" in sampler.obstacle(Request("x" * 96))
    with pytest.raises(UnanswerableError, match=r"prompt of 97 tokens .* context of 96"):
        answers(sampler, [Request("x" * 96)])
    with pytest.raises(UsageError, match="prompt of 93 tokens and an answer of 4"):
        asyncio.run(sampler.score(prompt, ["ok", "long"]))


def test_batches_keep_order_and_bounds(llama: Checkpoint) -> None:
    sampler = Sampler(llama, rows=8, tokens=400)
    requests = [
        Request("a" * (3 + index % 5), Sampling(max_tokens=20 + index), n=1 + index % 3 * 5) for index in range(20)
    ]
    batches = sampler.batches(requests)
    assert [index for batch in batches for index in batch] == list(range(20))
    for batch in batches:
        cost = [(requests[i].n, requests[i].n * (len(requests[i].prompt) + 1 + 20 + i)) for i in batch]
        assert len(batch) == 1 or (sum(n for n, _ in cost) <= 8 and sum(tokens for _, tokens in cost) <= 400)
    assert max(map(len, batches)) > 1
    assert sampler.batches([]) == []
    assert answers(sampler, []) == []


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (Request("a", Sampling(temperature=-1.0)), "temperature=-1.0"),
        (Request("a", Sampling(top_p=0.0)), "top_p=0.0"),
        (Request("a", Sampling(top_k=-2)), "top_k=-2"),
        (Request("a", Sampling(max_tokens=0)), "max_tokens=0"),
        (Request("a", Sampling(stop=("x", ""))), "stop="),
        (Request("a", n=0), "n=0"),
        (Request("a", first=-1), "first=-1"),
        (Request((Message("user", "hi"),)), "no chat template"),
    ],
)
def test_what_cannot_be_drawn_is_refused(sampler: Sampler, request_: Request, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        answers(sampler, [request_])


def test_broken_weights_stop_the_run(llama: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(ids: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.full((ids.shape[0], 1, 99), float("nan"))

    monkeypatch.setattr(llama, "forward", nothing)
    with pytest.raises(HomeschoolError, match="NaN"):
        answers(Sampler(llama), [Request("a")])


def test_a_model_in_training_stays_so(llama: Checkpoint) -> None:
    llama.module.train()
    try:
        answers(Sampler(llama), [greedy("abc", 2)])
        assert llama.module.training
        assert torch.is_grad_enabled()
    finally:
        llama.module.eval()


@pytest.fixture(scope="module")
def stories() -> Callable[[], Checkpoint]:
    folder = DATA / "models" / "TinyStories-656K"
    if not folder.is_dir():
        pytest.skip("the shared data is not here")
    checkpoint = Checkpoint.open(str(folder), device="cpu")
    return lambda: checkpoint


def test_tinystories_continues_as_published(stories: Callable[[], Checkpoint]) -> None:
    answer = answers(Sampler(stories()), [greedy("Once upon a time", 28)])[0][0]
    assert answer.text.lstrip().startswith(
        ", a little girl named Lily lived in a small house with her mom, dad, and her dog, Spot"
    )


@pytest.mark.parametrize(("text", "nats"), [("tinystories_first60.txt", 3.525), ("tinyshakespeare_first80.txt", 6.060)])
def test_tinystories_scores_as_published(stories: Callable[[], Checkpoint], text: str, nats: float) -> None:
    """Mean nats per token over 6 chunks of 900 characters, BOS first, 440 tokens at most a chunk."""
    found = next(DATA.glob(f"text/{text}*"))
    checkpoint = stories()
    chunks = [found.read_text("utf-8")[900 * index : 900 * (index + 1)] for index in range(6)]
    losses: list[float] = []
    for chunk in chunks:
        ids = checkpoint.encode(chunk)[:440]
        assert ids[0] == 1
        logprobs = full_logprobs(checkpoint, ids)[:-1]
        losses += (-logprobs.gather(1, torch.tensor(ids[1:]).unsqueeze(1)).squeeze(1)).tolist()
    assert sum(losses) / len(losses) == pytest.approx(nats, abs=0.02)
