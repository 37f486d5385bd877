from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoint import FakeCheckpoint, same, sums, weights
from transformers import AutoModelForCausalLM

from homeschool.core.errors import StoppedError, UsageError
from homeschool.core.records import Row
from homeschool.train.loop import TrainResult, train
from homeschool.train.objectives import load_objective, objective_names
from homeschool.train.settings import AdamW, Memory, Schedule, TrainConfig
from homeschool.train.sft import Sft

CONFIG = TrainConfig(lr=3e-3, steps=12, batch_tokens=256, checkpoint_every=5, memory=Memory(micro_tokens=128))


def run(
    out: Path, *, config: TrainConfig = CONFIG, objective: Any = None, checkpoint: Any = None, count: int = 24
) -> tuple[FakeCheckpoint, TrainResult]:
    checkpoint = checkpoint or FakeCheckpoint()
    return checkpoint, train(objective or Sft(), checkpoint, sums(count), config, out=out, seed=3)


class Interrupted(Exception):
    pass


class Faulty(Sft):
    """Sft that misbehaves in its call number `at`."""

    def __init__(self, at: int, fault: Any) -> None:
        self.calls, self.at, self.fault = 0, at, fault

    def loss(self, model: Any, batch: Any) -> Any:
        total, metrics = super().loss(model, batch)
        self.calls += 1
        return (self.fault(total) if self.calls == self.at else total), metrics


def test_training_learns_and_writes_a_hugging_face_model(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=40, schedule=Schedule(warmup_steps=4))
    checkpoint, result = run(tmp_path / "out", config=config)
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 41))
    assert lines[-1]["loss"] < lines[0]["loss"] / 3
    assert result.loss == pytest.approx(sum(line["loss"] for line in lines[-4:]) / 4)
    assert result.tokens == lines[-1]["num_tokens"] > 0
    names = {"loss", "learning_rate", "grad_norm", "num_tokens", "epoch", "step", "mean_token_accuracy", "entropy"}
    assert lines[0].keys() == names
    assert not result.diverged and result.tokens_per_second > 0 and result.peak_memory_mb > 0
    assert checkpoint.fingerprint != "parent" and not checkpoint.module.training
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert same(weights(checkpoint), saved.state_dict())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert not (tmp_path / "out" / "state.pt").exists()


def test_accumulation_gives_the_same_gradient(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=3, batch_tokens=512)
    whole = dataclasses.replace(config, memory=Memory(micro_tokens=512))
    pieces = dataclasses.replace(config, memory=Memory(micro_tokens=1))
    one, _ = run(tmp_path / "one", config=whole, count=60)
    other, _ = run(tmp_path / "other", config=pieces, count=60)
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "other")]
    for a, b in zip(*(map(json.loads, part) for part in lines), strict=True):
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-4)
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, weights(other)[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("at", "lora"), [(1, None), (17, None), (17, 2)])
def test_an_interrupted_run_resumes_bit_for_bit(tmp_path: Path, at: int, lora: int | None) -> None:
    config = dataclasses.replace(CONFIG, lora=lora)
    undisturbed, expected = run(tmp_path / "a", config=config)

    def interrupt(_: Any) -> Any:
        raise Interrupted

    for call in (at, 11):  # the second time further on, from what the first one left
        with pytest.raises(Interrupted):
            run(tmp_path / "b", config=config, objective=Faulty(call, interrupt))
    assert (tmp_path / "b.partial" / "state.pt").exists() and not (tmp_path / "b").exists()
    resumed, result = run(tmp_path / "b", config=config)
    assert same(weights(undisturbed), weights(resumed))
    assert result.loss == expected.loss and result.tokens == expected.tokens
    assert (tmp_path / "a" / "metrics.jsonl").read_bytes() == (tmp_path / "b" / "metrics.jsonl").read_bytes()
    assert not (tmp_path / "b.partial").exists()


def _die(out: Path) -> None:
    torch.set_num_threads(1)
    run(out, objective=Faulty(15, lambda _: os.kill(os.getpid(), signal.SIGKILL)))


def test_a_killed_process_resumes_bit_for_bit(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(tmp_path / "b",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    undisturbed, _ = run(tmp_path / "a")
    steps: list[int] = []

    class Watch(Sft):
        def loss(self, model: Any, batch: Any) -> Any:
            steps.append(1)
            return super().loss(model, batch)

    resumed, _ = run(tmp_path / "b", objective=Watch())
    assert same(weights(undisturbed), weights(resumed))
    assert 0 < len(steps) < 24, "it started again from nothing"


def test_a_finished_run_is_loaded_and_not_repeated(tmp_path: Path) -> None:
    first, result = run(tmp_path / "out")
    again, loaded = run(tmp_path / "out", objective=Faulty(1, lambda _: pytest.fail("it trained again")))
    assert same(weights(first), weights(again)) and first.fingerprint == again.fingerprint
    assert loaded == result


def test_a_folder_of_other_inputs_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "out")
    with pytest.raises(UsageError, match="other inputs"):
        run(tmp_path / "out", config=dataclasses.replace(CONFIG, lr=1e-4))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose")
    with pytest.raises(UsageError, match="no trained model"):
        run(tmp_path / "mine")
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "half", objective=Faulty(12, lambda _: 1 // 0))
    with pytest.raises(UsageError, match="half-finished"):
        run(tmp_path / "half", count=23)


@pytest.mark.parametrize("at", [2, 15])
def test_nan_stops_training_and_keeps_the_last_good_weights(tmp_path: Path, at: int) -> None:
    base = weights(FakeCheckpoint())
    checkpoint, result = run(tmp_path / "out", objective=Faulty(at, lambda loss: loss * float("nan")))
    assert result.diverged and "not finite at step" in result.warning
    assert result.steps == (0 if at == 2 else 5)
    assert (result.loss is None) == (at == 2)
    assert same(weights(checkpoint), base) == (at == 2)
    assert all(bool(torch.isfinite(weight).all()) for weight in weights(checkpoint).values())
    assert same(weights(checkpoint), AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict())
    assert len((tmp_path / "out" / "metrics.jsonl").read_text().splitlines()) == result.steps
    assert run(tmp_path / "out")[1].diverged


def test_an_infinite_gradient_is_never_stepped_on(tmp_path: Path) -> None:
    def explode(loss: torch.Tensor) -> torch.Tensor:
        loss.register_hook(lambda gradient: gradient * float("inf"))
        return loss

    checkpoint, result = run(tmp_path / "out", objective=Faulty(1, explode))
    assert result.diverged and same(weights(checkpoint), weights(FakeCheckpoint()))


class Cramped(Sft):
    """A machine with memory for `rows` rows."""

    def __init__(self, rows: int) -> None:
        self.rows, self.refused = rows, 0

    def loss(self, model: Any, batch: Any) -> Any:
        if len(batch.tokens) > self.rows:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().loss(model, batch)


def test_running_out_of_memory_halves_the_micro_batch(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, batch_tokens=512, steps=3, memory=Memory(micro_tokens=512))
    cramped = Cramped(2)
    one, result = run(tmp_path / "one", config=config, objective=cramped, count=60)
    other, expected = run(tmp_path / "other", config=config, count=60)
    assert cramped.refused in (1, 2) and result.tokens == expected.tokens
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, weights(other)[name], atol=1e-4, rtol=1e-4)
    with pytest.raises(StoppedError, match="does not fit"):
        run(tmp_path / "none", config=config, objective=Cramped(0))


def test_lora_leaves_an_adapter_and_merged_weights(tmp_path: Path) -> None:
    from peft import PeftModel

    checkpoint, result = run(tmp_path / "out", config=dataclasses.replace(CONFIG, lora=2))
    base = FakeCheckpoint().module
    assert (tmp_path / "out" / "adapter" / "adapter_model.safetensors").is_file()
    assert not same(weights(checkpoint), base.state_dict()) and result.steps == 12
    assert weights(checkpoint).keys() == base.state_dict().keys()
    tokens = torch.arange(3, 20)[None]
    adapted = PeftModel.from_pretrained(base, tmp_path / "out" / "adapter").eval()
    with torch.no_grad():
        difference = adapted(input_ids=tokens).logits - checkpoint.module(input_ids=tokens).logits
    assert float(difference.abs().max()) < 1e-4


def test_half_precision_weights_are_trained_in_float32(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, lr=1e-5, steps=4)
    checkpoint = FakeCheckpoint()
    checkpoint.module.bfloat16()
    seen: list[torch.dtype] = []

    class Watch(Sft):
        def loss(self, model: Any, batch: Any) -> Any:
            seen.append(model.dtype)
            return super().loss(model, batch)

    run(tmp_path / "out", config=config, checkpoint=checkpoint, objective=Watch())
    assert set(seen) == {torch.float32} and checkpoint.module.dtype is torch.bfloat16


def test_gradient_checkpointing_changes_nothing(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=3)
    saving = dataclasses.replace(config, memory=Memory(micro_tokens=128, gradient_checkpointing=True))
    one, two = run(tmp_path / "one", config=config)[0], run(tmp_path / "two", config=saving)[0]
    for name, weight in weights(one).items():
        torch.testing.assert_close(weight, weights(two)[name], atol=1e-5, rtol=1e-5)
    assert not two.module.is_gradient_checkpointing


def test_long_rows_are_dropped_with_a_reason(tmp_path: Path) -> None:
    result = run(tmp_path / "out", config=dataclasses.replace(CONFIG, max_length=16))[1]
    assert result.dropped and {drop.reason for drop in result.dropped} == {"longer than 16 tokens"}
    record = json.loads((tmp_path / "out" / "train.json").read_text())
    assert record["dropped"] == {"longer than 16 tokens": len(result.dropped)}
    with pytest.raises(UsageError, match="none of the 24 training rows is left"):
        run(tmp_path / "none", config=dataclasses.replace(CONFIG, max_length=2))


def test_budgets(tmp_path: Path) -> None:
    by_tokens = dataclasses.replace(CONFIG, steps=None, tokens=700)
    result = run(tmp_path / "tokens", config=by_tokens)[1]
    assert 700 <= result.tokens < 700 + 256
    by_epochs = dataclasses.replace(CONFIG, steps=None, epochs=2.0)
    lines = (run(tmp_path / "epochs", config=by_epochs)[1].checkpoint / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["epoch"] == 2


def test_progress_sees_every_step(tmp_path: Path) -> None:
    class Bar:
        def __init__(self) -> None:
            self.done: int = 0
            self.total: int | None = None
            self.facts: dict[str, float] = {}

        def stage(self, name: str, *, total: int | None, unit: str) -> Bar:
            assert (name, unit) == ("train", "steps")
            self.total = total
            return self

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def advance(self, n: int) -> None:
            self.done += n

        def show(self, **facts: float) -> None:
            self.facts = facts

    bar = Bar()
    train(Sft(), FakeCheckpoint(), sums(), CONFIG, out=tmp_path / "out", seed=0, progress=bar)
    assert bar.done == bar.total == 12 and bar.facts["loss"] > 0


def test_no_rows_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rows"):
        train(Sft(), FakeCheckpoint(), [], CONFIG, out=tmp_path / "out", seed=0)


def test_objectives_are_found_by_file_name() -> None:
    assert "sft" in objective_names() and "loop" not in objective_names()
    assert load_objective("sft").name == "sft"
    with pytest.raises(UsageError, match="did you mean 'sft'"):
        load_objective("sftt")


def test_settings_refuse_two_budgets_and_nonsense() -> None:
    with pytest.raises(UsageError, match="two training budgets are given, tokens and steps"):
        TrainConfig(tokens=5, steps=5)
    with pytest.raises(UsageError, match="above 0"):
        TrainConfig(steps=0)
    with pytest.raises(UsageError, match="betas"):
        TrainConfig(adamw=AdamW(betas=(0.9,)))
    with pytest.raises(UsageError, match="decay"):
        TrainConfig(schedule=Schedule(decay=2))
    assert TrainConfig().peak_lr == 1e-5 and TrainConfig(lora=8).peak_lr == 2e-4


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
def test_schedule_rises_holds_and_falls(kind: Any) -> None:
    schedule = Schedule(kind, warmup_steps=10, decay=0.3)
    factors = [schedule.factor(step, total=100) for step in range(100)]
    assert factors[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert set(factors[9:70]) == {1.0}
    fall = factors[70:]
    assert min(factors) > 0
    assert fall == [1.0] * 30 if kind == "constant" else fall == sorted(fall, reverse=True) and fall[-1] < 0.05


def test_a_real_checkpoint_is_trained_and_opens_again(tmp_path: Path) -> None:
    from homeschool.models.local import Checkpoint

    folder = Path(__file__).parents[3] / "shared" / "data" / "models" / "TinyStories-656K"
    if not folder.is_dir():
        pytest.skip("the shared model TinyStories-656K is not here")
    checkpoint = Checkpoint.open(str(folder), device="cpu")
    rows = [
        Row.source({"prompt": f"Once upon {n}", "completion": " a time, there was a cat." * (n % 4)}) for n in range(20)
    ]
    result = train(Sft(), checkpoint, rows, dataclasses.replace(CONFIG, steps=3), out=tmp_path / "out", seed=0)
    again = Checkpoint.open(str(tmp_path / "out"), device="cpu")
    assert result.steps == 3 and same(checkpoint.module.state_dict(), again.module.state_dict())
    assert again.encode("Once upon") == checkpoint.encode("Once upon")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
