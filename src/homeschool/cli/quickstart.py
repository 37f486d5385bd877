"""See the whole loop work: the embedded model `nano` teaches itself on your CPU, in minutes.

The config is `improve/quickstart.yaml` in the package; its keys can be overridden as in `improve`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from homeschool.cli import improve


def add(parser: argparse.ArgumentParser) -> None:
    improve.add_options(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    return improve.improve_from(Path(__file__).parents[1] / "improve" / "quickstart.yaml", args)


def say(result: dict[str, Any]) -> str:
    return improve.say(result)
