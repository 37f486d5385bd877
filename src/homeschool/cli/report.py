"""Write a run's report again: report.html, one file that needs nothing else, and card.md and picture.svg beside it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="the folder of an `improve` run")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from homeschool.engine.run import read_run
    from homeschool.improve.report.plots import plot_svg
    from homeschool.improve.report.write import read_result, write_card, write_report

    read_run(args.run)
    picture = args.run / "picture.svg"
    report, card = write_report(args.run), write_card(args.run)
    picture.write_text(plot_svg(read_result(args.run)), encoding="utf-8")
    return {"run": str(args.run), "report": str(report), "card": str(card), "picture": str(picture)}


def say(result: dict[str, Any]) -> str:
    return f"{result['report']}\n{result['card']}\n{result['picture']}"
