"""Write a run's report again: report.html, one file that needs nothing else, and card.md beside it.

Of an `improve` run also picture.svg; of a `generate` run, finished or not, the numbers as they are now.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from homeschool.core.errors import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="the folder of an `improve` or a `generate` run")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from homeschool.engine.run import read_run

    kind = read_run(args.run)["kind"]
    makers = {"improve": _improve, "generate": _generate}
    if kind not in makers:
        raise UsageError(
            f"{args.run} is a run of `{kind}`, which has no report", hint="name one of improve or generate"
        )
    return {"run": str(args.run), **{name: str(path) for name, path in makers[kind](args.run).items()}}


def say(result: dict[str, Any]) -> str:
    return "\n".join(path for name, path in result.items() if name != "run")


def _improve(run: Path) -> dict[str, Path]:
    from homeschool.improve.report.plots import plot_svg
    from homeschool.improve.report.write import read_result, write_card, write_report

    picture = run / "picture.svg"
    papers = {"report": write_report(run), "card": write_card(run), "picture": picture}
    picture.write_text(plot_svg(read_result(run)), encoding="utf-8")
    return papers


def _generate(run: Path) -> dict[str, Path]:
    from homeschool.engine.card import write_card
    from homeschool.improve.report.generation import write_generation_report

    return {"report": write_generation_report(run), "card": write_card(run)}
