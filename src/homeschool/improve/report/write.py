"""The report: one HTML file that states the result in a sentence, shows it in a picture and keeps back nothing.

`write_report` reads `result.json` from a run folder and writes `report.html` beside it: no JavaScript, no font, no
request to anywhere, so that it opens from a disk in ten years. What was not measured says so. Text that a model or a
user wrote is escaped where it enters (`svg.clean`); nothing else builds markup from it. `write_card` writes `card.md`,
the same facts as a model card.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeschool.core.errors import HomeschoolError
from homeschool.engine.files import replacing
from homeschool.improve.report import sections
from homeschool.improve.report.curves import WHOLE
from homeschool.improve.report.page import again, bullets, excerpt, facts, note, prose, section, whole
from homeschool.improve.report.words import (
    NOT_MEASURED,
    NOT_RECORDED,
    Result,
    at,
    between,
    caveats,
    count,
    duration,
    making,
    outcome,
    percent,
    points,
    run_name,
)

_MOST_EXAMPLES = 6


def write_report(run_folder: Path) -> Path:
    """Write `report.html` from the `result.json` of a run folder, and return its path.

    Raises HomeschoolError if there is no result yet or it cannot be read.
    """
    result = read_result(run_folder)
    return _write(run_folder / "report.html", whole(outcome(result).sentence, _body(result)))


def write_card(run_folder: Path) -> Path:
    """Write `card.md`, a model card in the format of the Hugging Face hub, and return its path. Raises as above."""
    result = read_result(run_folder)
    return _write(run_folder / "card.md", _card(result))


def read_result(run_folder: Path) -> dict[str, Any]:
    """The `result.json` of a run. Raises HomeschoolError if it is missing, broken or no JSON object."""
    path = run_folder / "result.json"
    again = "delete it and type the run's command again"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "let the run end first: type its command again"
        raise HomeschoolError(f"{run_folder} has no result.json", hint=hint) from None
    except ValueError as error:
        raise HomeschoolError(f"{path} cannot be read ({error})", hint=again) from error
    if not isinstance(result, dict):
        raise HomeschoolError(f"{path} holds {type(result).__name__}, not an object", hint=again)
    return result


def _write(path: Path, content: str) -> Path:
    with replacing(path) as aside:
        aside.write_text(content, encoding="utf-8", errors="replace")
    return path


def _body(result: Result) -> str:
    parts = (
        sections.opening(result),
        sections.levels_section(result),
        sections.controls_section(result),
        sections.numbers_section(result),
        sections.sharper_section(result),
        _before_after(result),
        _lessons(result),
        sections.making_section(result),
        sections.rounds_section(result),
        sections.health_section(result),
        _promotion(result),
        section("What to hold against these numbers", bullets(caveats(result))),
        _again(result),
    )
    return "\n".join(part for part in parts if part)


def _lessons(result: Result) -> str:
    accepted = _examples(result, "accepted")
    refused = _examples(result, "refused")
    if not accepted and not refused:
        return ""
    kept = [note("kept", lesson.get("prompt"), lesson.get("completion")) for lesson in accepted]
    thrown = [
        note("refused", lesson.get("prompt"), lesson.get("completion"), why=lesson.get("reason")) for lesson in refused
    ]
    none = '<p class="none">none</p>'
    columns = (
        f"<div><h3>Accepted: it learned from these</h3>{''.join(kept) or none}</div>"
        f"<div><h3>Refused, and why</h3>{''.join(thrown) or none}</div>"
    )
    return section("Lessons it wrote itself", f'<div class="pair">{columns}</div>')


def _before_after(result: Result) -> str:
    pairs = _examples(result, "before_after")
    if not pairs:
        return ""
    rows = "".join(
        f'<pre class="problem">{excerpt(pair.get("prompt"))}</pre><div class="pair">'
        f'<div class="note"><p class="tagline">before</p><pre>{excerpt(pair.get("before"))}</pre></div>'
        f'<div class="note kept"><p class="tagline">after</p><pre>{excerpt(pair.get("after"))}</pre></div></div>'
        for pair in pairs
    )
    return section("The same exam problem, before and after", rows)


def _examples(result: Result, kind: str) -> list[Mapping[str, Any]]:
    return list(at(result, "examples", kind) or [])[:_MOST_EXAMPLES]


def _promotion(result: Result) -> str:
    promoted = result.get("promoted")
    decision = "Not decided" if promoted is None else "Promoted" if promoted else "Nothing was promoted"
    forgetting, needed = result.get("forgetting"), result.get("items_needed")
    kept = (
        f"{points(at(forgetting, 'gain_points'))} points, 95% CI {between(at(forgetting, 'ci95'))}, "
        f"n = {count(at(forgetting, 'n'))}"
        if forgetting
        else NOT_MEASURED
    )
    items = (
        f"about {count(at(needed, 'n'))} to see a change of {at(needed, 'points'):g} points"
        if at(needed, "n")
        else NOT_MEASURED
    )
    told = {
        "checkpoint": result.get("checkpoint") or "none",
        "forgetting set": kept,
        "exam problems needed": items,
        "stopped early": result.get("stopped") or "no",
    }
    why = str(result.get("why") or "").removeprefix("promoted: ").removeprefix("not promoted: ")
    return section("What was promoted, and why", prose(f"{decision}: {why}" if why else f"{decision}."), facts(told))


def _again(result: Result) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in (result.get("versions") or {}).items())
    memory = result.get("peak_rss_mb")
    told = {
        "seed": NOT_RECORDED if result.get("seed") is None else result["seed"],
        "versions": versions or NOT_RECORDED,
        "time": duration(result.get("seconds")),
        "peak memory": NOT_MEASURED if memory is None else f"{count(memory)} MB",
    }
    return again(result.get("command"), told, result.get("config") or {})


def _card(result: Result) -> str:
    said = outcome(result)
    model, method = str(result.get("model") or "unknown"), str(result.get("method") or "unknown")
    # YAML reads JSON, and JSON quotes what a model's or a task's name may hold.
    head = {
        "base_model": model.removeprefix("hf:"),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["homeschool", "self-improvement", "synthetic-data", method],
    }
    yaml = "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items())
    rows = _card_rows(result)
    limits = "\n".join(f"- {_line(caveat)}" for caveat in caveats(result))
    return f"""---
{yaml}
---

# {_line(run_name(result))}

{_line(said.sentence)}.

## How it was made

{_line(model)} was taught {_line(result.get("task"))} by the method `{_line(method)}` of Homeschool: it wrote answers, a
verifier checked every one, and it was trained only on answers that passed. {making(result)}

{"Promoted" if result.get("promoted") else "Not promoted"}: {_line(result.get("why") or NOT_MEASURED)}

## Numbers

Share of exam problems answered exactly right, with 95% intervals; gains are paired, in percentage points.

| problems | n | before | after | gain |
|---|---|---|---|---|
{rows}

## Limits

{limits}

## Do it again

    {_line(result.get("command") or NOT_RECORDED)}
"""


def _card_rows(result: Result) -> str:
    base, final = result.get("base") or {}, result.get("final") or {}
    gains = result.get("groups_gain") or {}
    rows = [(name, at(base, "groups", name), new, gains.get(name)) for name, new in (final.get("groups") or {}).items()]
    if not any(name == WHOLE for name, *_ in rows):
        rows.append((WHOLE, base, final, result))
    return "\n".join(
        f"| {_line(name)} | {count(at(new, 'n'))} | {_card_share(old)} | {_card_share(new)} | "
        f"{_with_interval(points(at(gain, 'gain_points')), between(at(gain, 'ci95')))} |"
        for name, old, new, gain in rows
    )


def _card_share(numbers: Any) -> str:
    return _with_interval(percent(at(numbers, "accuracy"), digits=1), between(at(numbers, "ci95"), scale=100))


def _with_interval(value: str, interval: str) -> str:
    return value if interval == NOT_MEASURED else f"{value} ({interval})"


def _line(words: object) -> str:
    """Text for Markdown on one line, so that a name can neither end a table row nor open a tag."""
    return " ".join(str(words).split()).replace("|", "\\|").replace("<", "&lt;")
