"""Follow one row through a run: back to the problem it came from, forward to what learnt from it and how that did.

Everything is read from the run's folder, so it works on a finished run, a killed one, and one that someone sent you.
A row is named by its id or the start of it (ids stand in `_provenance` of every row, and in every exam item).
Refused: a start that fits no row or several.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.records import Provenance, Row
from homeschool.engine.answers import AnswerStore
from homeschool.engine.rows import read_rows
from homeschool.engine.run import read_run
from homeschool.evaluate.exam import Exam, Item, read_items
from homeschool.improve.trace_generated import trace_generated

_ROUND = re.compile(r"(?P<arm>.+)-(?P<round>\d+)")
_ANY_LENGTH = 1 << 40


@dataclass(frozen=True, slots=True)
class _Place:
    """One row as it stands in one file."""

    file: Path
    row: Row

    @property
    def kept(self) -> bool:
        return self.file.parent.name == "rows"


def trace(run: Path, row_id: str) -> dict[str, Any]:
    """The life of the row whose id begins with `row_id`, in the run folder `run`.

    Keys: `row` (its id), `columns`, `lineage` (source first, each `{id, step, file}`), `answers` (what the model said,
    one for every call that went into it), `places` (each `{file, kept, rule, reason, verdicts}`), `trained` (each round
    that learnt from it, with its decision) and `exams` (each sitting, over the problems of the row's level if it has
    one, or the row itself if it is an exam problem). Raises UsageError if no row fits, or several do. For a run of
    `generate` see `trace_generated`.
    """
    record = read_run(run)
    if record["kind"] == "generate":
        return trace_generated(run, row_id, record=record)
    settings = record["settings"]
    rows = _rows(run)
    sittings = _sittings(run)
    found = _match(row_id, {*rows, *(item.id for exam in sittings.values() for item in exam.items)})
    places = rows.get(found, [])
    if not places:
        item = next(item for exam in sittings.values() for item in exam.items if item.id == found)
        columns: dict[str, Any] = {"prompt": item.prompt, "group": item.group, "level": item.level}
        history = Provenance(found)
    else:
        columns = dict(places[0].row.columns)
        history = places[0].row.provenance
    return {
        "row": found,
        "columns": columns,
        "lineage": _lineage(run, history, rows),
        "answers": _answers(run, history.calls),
        "places": [_told(run, place) for place in places],
        "trained": [entry for place in places if place.kept for entry in _trained(run, place, settings)],
        "exams": _exams(found, columns.get("level"), sittings),
    }


def _rows(run: Path) -> dict[str, list[_Place]]:
    """Every row of the run by id; the verified arm before the controls, which may hold the same row."""
    found: dict[str, list[_Place]] = {}
    files = [file for folder in ("rows", "dropped") for file in (run / folder).glob("*.parquet")]
    for file in sorted(files, key=lambda file: (not file.stem.startswith("verified"), file)):
        for row in read_rows(file):
            found.setdefault(row.id, []).append(_Place(file, row))
    return found


def _sittings(run: Path) -> dict[str, Exam]:
    files = sorted((run / "exam").glob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
    return {file.stem: read_items(file) for file in files}


def _match(start: str, ids: set[str]) -> str:
    fits = sorted(one for one in ids if one.startswith(start))
    if not fits or not start:
        example = min(ids, default="")
        raise UsageError(f"no row of this run has an id that begins with {start!r}", hint=f"ids look like {example}")
    if len(fits) > 1:
        raise UsageError(f"{start!r} begins {len(fits)} ids, as {fits[0]} and {fits[1]}", hint="give more of it")
    return fits[0]


def _lineage(run: Path, history: Provenance, rows: dict[str, list[_Place]]) -> list[dict[str, Any]]:
    """From the row back along first parents, source first. A problem that was drawn and not written has no file."""
    chain: list[dict[str, Any]] = []
    while True:
        places = rows.get(history.id, [])
        file = str(places[0].file.relative_to(run)) if places else None
        chain.append({"id": history.id, "step": history.step, "file": file})
        if not history.parents:
            return chain[::-1]
        above = rows.get(history.parents[0])
        history = above[0].row.provenance if above else Provenance(history.parents[0], step="problem")


def _answers(run: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """What the model said, from the answer store; an answer that was cut short stands in the columns only."""
    path = run / "answers.db"
    if not keys or not path.exists():
        return []
    with AnswerStore(path) as store:
        stored = store.lookup(keys, max_tokens=_ANY_LENGTH)
    return [
        {"key": key, "text": stored[key].text, "tokens": len(stored[key].token_ids), "model": stored[key].model}
        for key in keys
        if key in stored
    ]


def _told(run: Path, place: _Place) -> dict[str, Any]:
    refused = {} if place.kept else {name: place.row.get(name) for name in ("rule", "reason")}
    return {
        "file": str(place.file.relative_to(run)),
        "kept": place.kept,
        **refused,
        "verdicts": [verdict.to_dict() for verdict in place.row.verdicts],
    }


def _trained(run: Path, place: _Place, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """The rounds whose training had this lesson in its pool: its own, and those after it as far as the pool goes."""
    named = _ROUND.fullmatch(place.file.stem)
    if named is None:
        return []
    first, pool = int(named["round"]), settings.get("collect", {}).get("pool", 1)
    entries: list[dict[str, Any]] = []
    for number in range(first, first + pool):
        path = run / "rounds" / f"{named['arm']}-{number:02}.json"
        record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if record.get("train"):
            told = {name: record["train"][name] for name in ("checkpoint", "steps", "loss")}
            entries.append({"arm": named["arm"], "round": number, **told, "decision": record["decision"]})
    return entries


def _exams(row_id: str, level: int | None, sittings: dict[str, Exam]) -> list[dict[str, Any]]:
    """Each sitting: the row's own item if it is an exam problem, else accuracy over the problems of its level."""
    told: list[dict[str, Any]] = []
    for name, exam in sittings.items():
        own = next((item for item in exam.items if item.id == row_id), None)
        if own is not None:
            told.append({"exam": name, "answers": list(own.answers), "statuses": list(own.statuses)})
            continue
        items = [item for item in exam.judged if level is None or item.level == level]
        if items:
            told.append({"exam": name, "level": level, "n": len(items), "accuracy": _accuracy(items)})
    return told


def _accuracy(items: Sequence[Item]) -> float:
    """The share of all judged answers that passed."""
    statuses = [status for item in items for status in item.statuses if status != "broken"]
    return statuses.count("pass") / len(statuses)
