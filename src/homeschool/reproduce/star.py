"""STaR on a ladder: can a model teach itself what its corpus never showed?

The quickstart, with its controls: `nano` saw worked solutions of levels 1 to 3 only, the loop has a calculator and no
labelled solution. Claims: greedy exact match on held-out problems of levels 4 and 5, the first two never shown solved,
rises by at least 30 points; both controls, on the same problems and at the same compute, end lower.

STaR's own toy (arXiv:2203.14465, section 4.2) is addition with a scratchpad on GPT-J: from 1-2 digits to 5 digits, near
perfect after 16 iterations. Not the same task, so the paper's column is empty.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from homeschool.core.config import build
from homeschool.engine.progress import Progress
from homeschool.improve.loop import improve
from homeschool.improve.settings import ImproveConfig, normalise
from homeschool.reproduce.claims import below_verified, claim


def reproduce(*, out: Path, seed: int = 0, progress: Progress | None = None) -> dict[str, Any]:
    """Run the quickstart with controls and hold the claims against what was seen."""
    import yaml

    with as_file(files("homeschool.improve") / "quickstart.yaml") as path:
        config = build(ImproveConfig, normalise(yaml.safe_load(path.read_text())))
    found = improve(config, out=out / "run", seed=seed, controls=True, progress=progress)
    claims = [
        claim(
            "gain on levels 4 and 5, never shown solved, points",
            target=30,
            measured=found["gain_points"],
            ci95=found["ci95"],
            n=found["groups_gain"]["never shown"]["n"],
        ),
        *below_verified(found, target=0, by_interval=True),
    ]
    return {
        "name": "star",
        "claims": claims,
        "holds": all(each["holds"] for each in claims),
        "report": str(out / "run" / "report.html"),
        "seed": seed,
        "seconds": found["seconds_with_controls"],
    }
