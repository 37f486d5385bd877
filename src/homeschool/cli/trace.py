"""Follow one row of a run: back to its source, every question and verdict, forward to what it led to.

`homeschool trace ROW --run DIR`, where ROW is a row's id or the start of it. Without `--run`, the newest folder in
`runs/` that holds a run is taken.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from homeschool.core.errors import UsageError

RUNS = Path("runs")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("row", help="a row's id, or the start of it")
    parser.add_argument("--run", type=Path, help="the run's folder (default: the newest in runs/)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from homeschool.improve.trace import trace

    folder = args.run or newest(RUNS)
    return {"run": str(folder), **trace(folder, args.row)}


def newest(runs: Path) -> Path:
    """The run folder that was begun last."""
    found = sorted(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise UsageError(f"there is no run in {runs}/", hint="name one: --run DIR")
    return found[-1].parent


def say(result: dict[str, Any]) -> str:
    lines = [f"row {result['row']} of {result['run']}"]
    lines += [f"  {name}: {value!r}" for name, value in result["columns"].items()]
    lines.append("from")
    lines += [f"  {step['step']}  {step['id']}  {step['file'] or ''}".rstrip() for step in result["lineage"]]
    lines += _said_generated(result) if "sources" in result else []
    for place in result["places"]:
        fate = "kept" if place["kept"] else f"dropped by {place['rule']}: {place['reason']}"
        judged = ", ".join(f"{verdict['status']} ({verdict['verifier']})" for verdict in place["verdicts"])
        lines.append(f"in {place['file']}: {fate}" + (f"; {judged}" if judged else ""))
        lines += _indented(place.get("detail") or "")
    lines += _said_learnt(result) if "trained" in result else []
    return "\n".join(lines)


def _said_generated(result: dict[str, Any]) -> list[str]:
    """The source rows, every question and its answer, and what became of a source row."""
    lines: list[str] = []
    for source in result["sources"]:
        lines.append(f"source row {source['id']} of {source['name']}" + (f": {source['why']}" if source["why"] else ""))
        lines += [f"  {name}: {value!r}" for name, value in (source["columns"] or {}).items()]
    for answer in result["answers"]:
        if answer["text"] is None:
            lines.append(f"answer {answer['key']}: no store of this run has it")
            continue
        lines.append(f"asked {answer['model']}" + _drawn(answer["question"]))
        lines += _asked(answer["question"])
        lines.append(f"answered ({answer['tokens']} tokens, {answer['finish_reason']})")
        for text in (answer["reasoning"], answer["text"], answer["refusal"], *map(str, answer["tool_calls"])):
            lines += _indented(text)
    for child in result["children"]:
        lines.append(f"became {child['id']} in {child['file']}: {'kept' if child['kept'] else 'dropped'}")
    return lines


def _drawn(question: dict[str, Any] | None) -> str:
    """How the answer was drawn, and what it was bound to."""
    if question is None:
        return " (what, is not on record)"
    sampling = {name: value for name, value in (question.get("sampling") or {}).items() if value}
    drawn = [f"{name} {value}" for name, value in sampling.items()]
    drawn += [name for name in ("schema", "tools") if question.get(name)]
    return f" ({', '.join(drawn)})" if drawn else ""


def _asked(question: dict[str, Any] | None) -> list[str]:
    prompt = (question or {}).get("prompt") or ""
    if isinstance(prompt, str):
        return _indented(prompt)
    return [line for message in prompt for line in _indented(f"{message['role']}: {message.get('content') or ''}")]


def _indented(text: str) -> list[str]:
    """Text of a model or a page: each line by itself, without what a terminal would obey."""
    shown = ("".join(letter if letter.isprintable() else " " for letter in line) for line in text.splitlines())
    return [f"  {line}" for line in shown]


def _said_learnt(result: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for entry in result["trained"]:
        name = f"{entry['arm']} round {entry['round']}"
        lines.append(f"learnt in {name}: {entry['steps']} steps, {entry['checkpoint']}, {entry['decision']}")
    for exam in result["exams"]:
        if "statuses" in exam:
            lines.append(f"exam {exam['exam']}: {', '.join(exam['statuses'])}")
        else:
            about = "all problems" if exam["level"] is None else f"level {exam['level']}"
            lines.append(f"exam {exam['exam']}, {about}: {100 * exam['accuracy']:.1f}% (n = {exam['n']})")
    return lines
