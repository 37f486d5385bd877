"""Write a run's report again: report.html, one file that needs nothing else, and card.md beside it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="the folder of an `improve` run")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from homeschool.engine.run import read_run
    from homeschool.improve.report import write_card, write_report

    read_run(args.run)
    return {"run": str(args.run), "report": str(write_report(args.run)), "card": str(write_card(args.run))}


def say(result: dict[str, Any]) -> str:
    return f"{result['report']}\n{result['card']}"
