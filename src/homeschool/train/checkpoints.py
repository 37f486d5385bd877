"""A training run on disk: the state it resumes from, and the finished folder.

While it runs, everything is in `OUT.partial`; `OUT` itself appears whole, by one rename, when training is done. So a
run that was killed anywhere is in one of three states, each told apart by looking: nothing, a partial folder with a
state to go on from, or a finished checkpoint. Files are written aside, synced and renamed. A folder that belongs to
other inputs (rows, config, seed, parent model) is refused, never overwritten.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from homeschool.core.errors import UsageError
from homeschool.engine.files import full_disk_stops

RECORD, METRICS, STATE, ADAPTER = "train.json", "metrics.jsonl", "state.pt", "adapter"


@dataclass
class State:
    """Where a run stands, beside its weights, optimiser and random numbers. After `step` optimiser steps."""

    step: int = 0
    tokens: int = 0
    losses: list[float] = field(default_factory=list[float])
    """Mean loss per counted token, of every step."""
    metrics_bytes: int = 0
    """Length of the metrics file, to cut it back to."""
    micro_tokens: int = 0
    """What proved to fit; smaller than the config's after running out of memory."""


@dataclass(frozen=True)
class Folder:
    """The places of one run. `inputs` names what it is trained from: the fingerprint of the model it makes."""

    out: Path
    inputs: str

    @property
    def partial(self) -> Path:
        return self.out.with_name(self.out.name + ".partial")

    @property
    def metrics(self) -> Path:
        return self.partial / METRICS

    def finished(self) -> dict[str, Any] | None:
        """The record of the finished run, or None. Raises UsageError if `out` holds anything else."""
        if not self.out.exists() or (self.out.is_dir() and not any(self.out.iterdir())):
            return None
        record: dict[str, Any] = {}
        if (self.out / RECORD).is_file():
            record = json.loads((self.out / RECORD).read_text("utf-8"))
        if record.get("inputs") != self.inputs:
            whose = "a model trained from other inputs" if record else "something that is no trained model"
            raise UsageError(f"{self.out} holds {whose}", hint="choose another output folder, or delete this one")
        shutil.rmtree(self.partial, ignore_errors=True)
        return record

    def save_state(self, model: Any, optimizer: torch.optim.Optimizer, state: State) -> None:
        self.partial.mkdir(parents=True, exist_ok=True)
        record = {
            "inputs": self.inputs,
            "state": asdict(state),
            "weights": trainable(model),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        aside = self.partial / f"{STATE}.new"
        with full_disk_stops(aside):
            with aside.open("wb") as file:
                torch.save(record, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.partial / STATE)

    def load_state(self, model: Any, optimizer: torch.optim.Optimizer) -> State | None:
        """Put weights, optimiser and random numbers back as they were saved. None if nothing was.

        Raises UsageError if what was saved is of a run with other inputs.
        """
        if not (self.partial / STATE).is_file():
            return None
        record = torch.load(self.partial / STATE, map_location="cpu", weights_only=True)
        if record["inputs"] != self.inputs:
            hint = "repeat the command that began it, choose another output folder, or delete this one"
            raise UsageError(f"{self.partial} holds a half-finished training from other inputs", hint=hint)
        with torch.no_grad():
            for name, weight in trainable(model).items():
                weight.copy_(record["weights"][name])
        optimizer.load_state_dict(record["optimizer"])
        torch.set_rng_state(record["random"])
        if record["cuda_random"]:
            torch.cuda.set_rng_state_all(record["cuda_random"])
        return State(**record["state"])

    def finish(self, checkpoint: Any, result: Mapping[str, Any], *, adapter: Path | None) -> None:
        """Write the finished folder aside and rename it to `out`; then forget the partial one."""
        staged = self.partial / "finished"
        shutil.rmtree(staged, ignore_errors=True)
        with full_disk_stops(self.out):
            checkpoint.save(staged)
            if adapter is not None:
                shutil.copytree(adapter, staged / ADAPTER)
            shutil.copy(self.metrics, staged / METRICS)
            (staged / RECORD).write_text(json.dumps({"inputs": self.inputs, **result}, indent=1) + "\n", "utf-8")
            staged.rename(self.out)
        shutil.rmtree(self.partial)


def trainable(model: Any) -> dict[str, torch.Tensor]:
    """The weights that training changes, by name (a tied weight once)."""
    return {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}


def read_weights(module: Any, folder: Path) -> None:
    """Load the weights of a saved model of the same architecture into `module`."""
    saved = type(module).from_pretrained(folder, dtype=module.dtype)
    module.load_state_dict(saved.state_dict())
