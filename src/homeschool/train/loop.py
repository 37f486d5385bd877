"""The one training loop, for every objective.

An objective encodes rows and says what the loss of a batch is; everything else is here, once: the plan of batches,
accumulation, mixed precision, clipping, the schedule, states to resume from, divergence, and the finished folder.

Two rules carry the rest. The loss of an optimiser step is the *sum* over its counted tokens divided by *all* of them,
however it was cut into micro-batches (a mean of means weighs short examples more, and makes the result depend on
memory). And a step is taken only on a finite loss and gradient: otherwise training stops, the last good weights are put
back and written, and the result says so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from homeschool.core.config import plain
from homeschool.core.errors import StoppedError, UsageError
from homeschool.core.identity import digest, seed_of
from homeschool.core.protocols import Objective
from homeschool.core.records import Dropped, Row
from homeschool.train import adapter
from homeschool.train.checkpoints import ADAPTER, Folder, State, read_weights, trainable
from homeschool.train.packing import Corpus, Example, Step, packs_exactly, plan
from homeschool.train.settings import TrainConfig

LOG = logging.getLogger(__name__)


class Progress(Protocol):
    """Shows how far a stage is: `with progress.stage(...) as bar: bar.advance(1); bar.show(loss=0.3)`."""

    def stage(self, name: str, *, total: int | None, unit: str) -> contextlib.AbstractContextManager[Any]: ...


@dataclass(frozen=True)
class TrainResult:
    checkpoint: Path
    steps: int
    loss: float | None
    """Mean loss per counted token, over the last 10% of the steps; None if no step was taken."""
    tokens: int
    tokens_per_second: float
    """Tokens of examples (prompts included, padding not), in this process; 0 if it took no step."""
    peak_memory_mb: float
    """Of the accelerator; on a CPU, of the whole process so far."""
    diverged: bool
    warning: str = ""
    """One sentence if training stopped early, else empty."""
    dropped: tuple[Dropped, ...] = ()


@dataclass
class _Run:
    """What the steps of one run share."""

    objective: Objective
    model: Any
    corpus: Corpus
    steps: list[Step]
    config: TrainConfig
    folder: Folder
    optimizer: torch.optim.Optimizer
    dtype: torch.dtype
    """Of the weights before training and after it."""
    state: State = field(default_factory=State)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


def train(
    objective: Objective,
    checkpoint: Any,
    rows: Sequence[Row],
    config: TrainConfig,
    *,
    out: Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainResult:
    """Train `checkpoint` on `rows` and write the model, in Hugging Face's format, to the folder `out`.

    Afterwards `checkpoint` holds the trained weights, in evaluation mode, under a new fingerprint. The same call again
    goes on where it was killed, to bit-identical weights on a CPU with as many threads; once `out` is there it only
    loads it. Raises UsageError for no rows, rows the objective cannot read, and an `out` of other inputs;
    StoppedError if not even one row of tokens fits in memory.
    """
    if not rows:
        raise UsageError("there are no rows to train on", hint="give a data file with at least one row")
    inputs = digest("trained", checkpoint.fingerprint, objective.name, plain(config), seed, [row.id for row in rows])
    folder = Folder(Path(out), inputs)
    record = folder.finished()
    objective.prepare(checkpoint)
    limits = [limit for limit in (config.max_length, checkpoint.context) if limit]
    examples, dropped = _examples(objective, rows, limit=min(limits, default=sys.maxsize))
    if record is not None:
        read_weights(checkpoint.module, folder.out)
        checkpoint.module.eval()
        checkpoint.fingerprint = inputs
        return TrainResult(**{**record["result"], "checkpoint": folder.out, "dropped": dropped})

    devices = [checkpoint.module.device] if checkpoint.module.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed_of("train", inputs))
        run = _begin(objective, checkpoint, examples=examples, config=config, folder=folder, seed=seed)
        started, tokens_before = time.perf_counter(), run.state.tokens
        warning = _optimise(run, progress)
        seconds = time.perf_counter() - started
        saved_adapter = _settle(run, checkpoint, examples)
    checkpoint.fingerprint = inputs
    tail = run.state.losses[-max(1, len(run.state.losses) // 10) :]
    result = TrainResult(
        checkpoint=folder.out,
        steps=run.state.step,
        loss=sum(tail) / len(tail) if tail else None,
        tokens=run.state.tokens,
        tokens_per_second=max(0, run.state.tokens - tokens_before) / seconds,
        peak_memory_mb=_peak_memory_mb(run.device),
        diverged=bool(warning),
        warning=warning,
    )
    written = {name: value for name, value in asdict(result).items() if name not in ("checkpoint", "dropped")}
    reasons = dict(Counter(drop.reason for drop in dropped))
    folder.finish(checkpoint, {"result": written, "config": plain(config), "dropped": reasons}, adapter=saved_adapter)
    return replace(result, dropped=dropped)


def _examples(objective: Objective, rows: Sequence[Row], *, limit: int) -> tuple[list[Example], tuple[Dropped, ...]]:
    """The encoded rows of at most `limit` tokens, and those that cannot be used."""
    examples: list[Example] = []
    dropped: list[Dropped] = []
    for row, example in zip(rows, objective.collate(rows), strict=True):
        if isinstance(example, Dropped):
            dropped.append(example)
        elif len(example.tokens) > limit:
            dropped.append(Dropped(row, f"longer than {limit} tokens", "train"))
        else:
            examples.append(example)
    if not examples:
        reason = dropped[0].reason
        raise UsageError(f"none of the {len(rows)} training rows is left ({reason})", hint="raise train.max_length")
    return examples, tuple(dropped)


def _begin(
    objective: Objective, checkpoint: Any, *, examples: list[Example], config: TrainConfig, folder: Folder, seed: int
) -> _Run:
    """The run at its first step, or where it was left."""
    module = checkpoint.module.eval()
    dtype = module.dtype
    packed = packs_exactly(module, examples)
    corpus = Corpus(examples, packed=packed, pad=checkpoint.tokenizer.pad_token_id or 0)
    if config.memory.gradient_checkpointing:
        module.gradient_checkpointing_enable({"use_reentrant": False})
    # Half-precision weights would round away most updates of a small rate; LoRA's own weights are float32 anyway.
    if config.lora is None:
        _cast(module, torch.float32)
    model = module if config.lora is None else adapter.attach(module, config.lora)
    model.train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    settings = config.adamw
    optimizer = torch.optim.AdamW(
        weights,
        lr=config.peak_lr,
        betas=(settings.betas[0], settings.betas[1]),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    steps = plan(corpus, config, seed=seed)
    run = _Run(objective, model, corpus, steps, config, folder, optimizer, dtype)
    state = folder.load_state(model, optimizer)
    if state is None:
        usual = 2048 if run.device.type == "cpu" else 8192
        run.state.micro_tokens = config.memory.micro_tokens or usual
        folder.save_state(model, optimizer, run.state)
    else:
        run.state = state
    return run


def _optimise(run: _Run, progress: Progress | None) -> str:
    """Take every step that is left. Returns why it stopped early, or nothing."""
    total = len(run.steps)
    stage = progress.stage("train", total=total, unit="steps") if progress else contextlib.nullcontext()
    with stage as bar, _metrics_file(run) as metrics:
        if bar is not None and run.state.step:
            bar.advance(run.state.step)
        for number in range(run.state.step, total):
            rate = run.config.peak_lr * run.config.schedule.factor(number, total=total)
            facts = _step(run, run.steps[number], rate=rate)
            if facts is None:
                warning = _fall_back(run, number + 1)
                metrics.truncate(run.state.metrics_bytes)
                return warning
            metrics.write(json.dumps(facts).encode() + b"\n")
            if bar is not None:
                bar.advance(1)
                bar.show(loss=facts["loss"])
            if run.state.step % run.config.checkpoint_every == 0 and run.state.step < total:
                metrics.flush()
                os.fsync(metrics.fileno())
                run.state.metrics_bytes = metrics.tell()
                run.folder.save_state(run.model, run.optimizer, run.state)
        # A gradient is looked at before its step; what the last step made of the weights is looked at here.
        if not all(bool(torch.isfinite(weight).all()) for weight in trainable(run.model).values()):
            warning = _fall_back(run, total)
            metrics.truncate(run.state.metrics_bytes)
            return warning
    return ""


@contextlib.contextmanager
def _metrics_file(run: _Run) -> Iterator[Any]:
    """The metrics, cut back to the line where the state was saved and open for more."""
    with run.folder.metrics.open("ab") as file:
        file.truncate(run.state.metrics_bytes)
        yield file


def _step(run: _Run, step: Step, *, rate: float) -> dict[str, float] | None:
    """One optimiser step; its metrics, under TRL's names. None, and nothing changed, if it is not finite."""
    sums = _gradient_that_fits(run, step.rows)
    norm = torch.nn.utils.clip_grad_norm_(run.optimizer.param_groups[0]["params"], run.config.adamw.clip)
    counted = sum(int(run.corpus.counts[row].sum()) for row in step.rows)
    # One transfer from the accelerator for all numbers of the step. The first two are the norm and the loss.
    names = list(sums)
    values = torch.stack([norm.float(), *(torch.as_tensor(sums[name]).to(norm.device).float() for name in names)])
    if not bool(torch.isfinite(values[:2]).all()):
        return None
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    grad_norm, *totals = values.tolist()
    means = {name: total / counted for name, total in zip(names, totals, strict=True)}
    state = run.state
    state.step += 1
    state.tokens += sum(int(run.corpus.lengths[row].sum()) for row in step.rows)
    state.losses.append(means["loss"])
    where = {"step": state.step, "epoch": round(step.epoch, 6), "num_tokens": state.tokens, "learning_rate": rate}
    return {**where, "grad_norm": grad_norm, **means}


def _gradient_that_fits(run: _Run, rows: list[list[int]]) -> dict[str, Any]:
    """`_gradient`, with micro-batches halved until they fit in the accelerator's memory."""
    while True:
        micro = max(1, run.state.micro_tokens // run.corpus.row_length)
        try:
            return _gradient(run, rows, micro=micro)
        except torch.OutOfMemoryError:
            if min(micro, len(rows)) == 1:
                hint = "lower train.max_length, set train.memory.gradient_checkpointing, or use train.lora"
                wide = run.corpus.row_length
                raise StoppedError(f"one row of {wide} tokens does not fit in memory", hint=hint) from None
            run.state.micro_tokens = run.corpus.row_length * (min(micro, len(rows)) // 2)
        # Outside of `except`, where the failed pass is no longer referenced and its memory can be had again.
        if run.device.type == "cuda":
            torch.cuda.empty_cache()
        LOG.warning("out of memory: micro-batches are now %d tokens", run.state.micro_tokens)


def _gradient(run: _Run, rows: list[list[int]], *, micro: int) -> dict[str, Any]:
    """Leave the gradient of the step's mean loss in the weights; return the sums of loss and metrics."""
    run.optimizer.zero_grad(set_to_none=True)
    counted = sum(int(run.corpus.counts[row].sum()) for row in rows)
    sums: dict[str, Any] = {"loss": 0.0}
    for start in range(0, len(rows), micro):
        batch = run.corpus.batch(rows[start : start + micro], device=run.device)
        with torch.autocast("cuda", torch.bfloat16, enabled=run.device.type == "cuda"):
            loss, metrics = run.objective.loss(run.model, batch)
        (loss / counted).backward()
        for name, value in {"loss": loss.detach(), **metrics}.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _fall_back(run: _Run, number: int) -> str:
    """Put the last saved weights back after a step that was not finite; say so."""
    saved = run.folder.load_state(run.model, run.optimizer)
    assert saved is not None, "a state is saved before the first step"
    run.state = saved
    kept = f"those of step {saved.step}" if saved.step else "those before training"
    warning = f"the loss or its gradient was not finite at step {number}: training stopped and the weights are {kept}"
    LOG.warning(warning)
    return warning


def _settle(run: _Run, checkpoint: Any, examples: list[Example]) -> Path | None:
    """Turn the model in training back into one for use, the adapter merged; the folder of the adapter, if any."""
    run.optimizer.zero_grad(set_to_none=True)
    run.model.eval()
    saved: Path | None = None
    if run.config.lora is not None:
        saved = run.folder.partial / ADAPTER
        run.model.save_pretrained(saved)
        probe = torch.from_numpy(examples[0].tokens)[None].to(run.device)
        checkpoint.module = adapter.merge(run.model, probe)
    if run.config.memory.gradient_checkpointing:
        checkpoint.module.gradient_checkpointing_disable()
    _cast(checkpoint.module, run.dtype)
    return saved


def _cast(module: torch.nn.Module, dtype: torch.dtype) -> None:
    """Change the weights' type and leave buffers alone: rotary frequencies stay float32 in a bfloat16 model."""
    for weight in module.parameters():
        weight.data = weight.data.to(dtype)


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
