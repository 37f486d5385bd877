"""Selection: can a model that mostly learnt from careless authors find the careful one in itself?

The base is `nano`, taught further on a corpus whose solutions (levels 2 to 4) and steps are by careless authors to
65%: as on the web, most of the text is not the best text. Its greedy answers are careless. The verified loop then
learns from its own samples that a calculator passes; the controls learn from all samples, or from the majority's.

Claims: the verified arm gains at least 45 points on held-out problems of the shown levels; a majority vote cannot find
what the majority does not know, and unverified samples only sharpen the careless habit, so both controls end at least
30 points below. The idea is rejection-sampling fine-tuning's (arXiv:2308.01825); no paper has these numbers.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

from homeschool.core.config import build
from homeschool.core.records import Row
from homeschool.decode.open import open_checkpoint
from homeschool.engine.progress import Progress
from homeschool.improve.loop import improve
from homeschool.improve.settings import ImproveConfig
from homeschool.reproduce.claims import below_verified, claim
from homeschool.tasks.arithmetic_careless import LEVELS
from homeschool.tasks.arithmetic_corpus import Mix, documents
from homeschool.train.loop import train
from homeschool.train.objectives import load_objective
from homeschool.train.settings import AdamW, Schedule, TrainConfig

CARELESS = 0.65
DOCUMENTS = 60_000
BASE = TrainConfig(
    tokens=2_000_000,
    lr=1e-3,
    batch_tokens=2048,
    schedule=Schedule(warmup_steps=50, decay=0.5),
    adamw=AdamW(betas=(0.9, 0.98), weight_decay=0.0),
)
LOOP = {
    "task": {"name": "arithmetic_careless"},
    "rounds": 6,
    "samples": 8,
    "collect": {"problems": 256, "cap": 2, "pool": 4, "rationalise": False, "restart": False},
    "curriculum": {"start": 4, "share": 0.4, "top": 4},
    "train": {
        "lr": 1e-3,
        "tokens": 60_000,
        "batch_tokens": 2048,
        "schedule": {"warmup_steps": 10, "decay": 0.5},
        "adamw": {"betas": [0.9, 0.98], "weight_decay": 0.0},
    },
}


def reproduce(*, out: Path, seed: int = 0, progress: Progress | None = None) -> dict[str, Any]:
    """Teach the careless base, run the verified loop and both controls, and hold the claims against what was seen."""
    started = time.monotonic()
    progress = progress or Progress()
    base = _careless_base(out / "base", seed=seed, progress=progress)
    config = build(ImproveConfig, {"model": str(base), **LOOP})
    found = improve(config, out=out / "run", seed=seed, controls=True, progress=progress)
    claims = [
        claim(
            "verified samples: gain on shown levels, points",
            target=45,
            measured=found["gain_points"],
            ci95=found["ci95"],
            n=found["final"]["n"],
        ),
        *below_verified(found, target=30),
    ]
    return {
        "name": "selection",
        "claims": claims,
        "holds": all(each["holds"] for each in claims),
        "report": str(out / "run" / "report.html"),
        "seed": seed,
        "seconds": round(time.monotonic() - started, 1),
    }


def _careless_base(out: Path, *, seed: int, progress: Progress) -> Path:
    """`nano` after two million tokens of mostly careless authors."""
    mix = Mix(levels=LEVELS, careless=CARELESS)
    corpus = [Row.source(document) for document in itertools.islice(documents(mix, seed=seed), DOCUMENTS)]
    checkpoint = open_checkpoint("nano")
    return train(load_objective("sft"), checkpoint, corpus, BASE, out=out, seed=seed, progress=progress).checkpoint
