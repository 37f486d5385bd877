"""Follow one row of a generation run: from the source through every step, question and answer to its verdicts.

A run may have millions of rows, so a row is found by its history alone, and only its own file is then read. What cannot
be told is said: a source that has moved, an answer that no store of the run has, a step that was never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import Row
from homeschool.engine.look import Spot, mentions, read_columns, row_files, stored_answers
from homeschool.engine.rows import read_rows

PIPED = "source.jsonl"
"""Where a run keeps rows that came through standard input."""
_TASK_ROWS = 256


def trace_generated(run: Path, start: str, *, record: Mapping[str, Any]) -> dict[str, Any]:
    """The life of the row whose id begins with `start`; `record` is the run's run.json.

    Keys: `row` (its id), `columns`, `lineage` (sources first, each `{id, step, file, parents}`), `sources` (each
    `{id, name, columns, why}`, `columns` None where `why` says so), `answers` (each `{key, row, model, question, text,
    reasoning, refusal, tool_calls, tokens, finish_reason}`, `text` None if no store has it), `places` (each `{file,
    kept, rule, reason, detail, verdicts}`) and `children` (each `{id, file, kept}`). The id of a source row is followed
    forward. Raises UsageError if no row fits, or several do.
    """
    found, spots = _match(run, start)
    own = [spot for spot in spots if spot.history["id"] == found]
    rows = [_row_at(spot) for spot in own]
    ancestry = _Ancestry(run)
    ancestry.add(found, own)
    sources = [] if rows and rows[0].provenance.step == "source" else _sources(run, record, ancestry.roots)
    columns: Mapping[str, Any] = rows[0].columns if rows else next((s["columns"] for s in sources), None) or {}
    dropped = {"rule", "reason", "detail"} if own and own[0].file.parent.name == "dropped" else set[str]()
    return {
        "row": found,
        "columns": {name: value for name, value in columns.items() if name not in dropped},
        "lineage": ancestry.steps,
        "sources": sources,
        "answers": _answers(run, ancestry.calls),
        "places": [_place(run, spot, row) for spot, row in zip(own, rows, strict=True)],
        "children": [
            {"id": spot.history["id"], "file": _file(run, spot), "kept": _is_kept(spot)}
            for spot in spots
            if found in spot.history["parents"]
        ],
    }


def _match(run: Path, start: str) -> tuple[str, list[Spot]]:
    """The one id that begins with `start`, and every place that names it."""
    spots = list(mentions(run, [start])) if start else []
    ids = sorted({name for s in spots for name in (s.history["id"], *s.history["parents"]) if name.startswith(start)})
    if not ids:
        raise UsageError(
            f"no row of this run has an id that begins with {start!r}", hint=f"ids look like {_example(run)}"
        )
    if len(ids) > 1:
        raise UsageError(f"{start!r} begins {len(ids)} ids, as {ids[0]} and {ids[1]}", hint="give more of it")
    return ids[0], spots


def _example(run: Path) -> str:
    """An id of the run; empty if it has no rows."""
    for file in (*row_files(run, "rows"), *row_files(run, "dropped")):
        for history in read_columns(file, ["_provenance"]):
            return history["_provenance"]["id"]
    return ""


@dataclass(slots=True)
class _Ancestry:
    """The steps above a row and the answers that went into them, oldest first."""

    run: Path
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    roots: list[str] = field(default_factory=list[str])
    """Ids that no file of the run has as a row: source rows, or steps that were not written."""
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Row and answer key."""

    def add(self, name: str, spots: Sequence[Spot]) -> None:
        """The row `name`, which stands at `spots`, below its parents."""
        if any(step["id"] == name for step in self.steps):
            return
        if not spots:
            self.roots.append(name)
            self.steps.append({"id": name, "step": "source", "file": None, "parents": []})
            return
        history = spots[0].history
        parents = history["parents"]
        above = list(mentions(self.run, parents)) if parents else []
        for parent in parents:
            self.add(parent, [spot for spot in above if spot.history["id"] == parent])
        file = _file(self.run, spots[0])
        self.steps.append({"id": name, "step": history["step"], "file": file, "parents": parents})
        self.calls += [(name, key) for key in history["calls"]]


def _row_at(spot: Spot) -> Row:
    return read_rows(spot.file)[spot.index]


def _file(run: Path, spot: Spot) -> str:
    return str(spot.file.relative_to(run))


def _is_kept(spot: Spot) -> bool:
    return spot.file.parent.name == "rows"


def _place(run: Path, spot: Spot, row: Row) -> dict[str, Any]:
    refused = {} if _is_kept(spot) else {name: row.get(name, "") for name in ("rule", "reason", "detail")}
    verdicts = [verdict.to_dict() for verdict in row.verdicts]
    return {"file": _file(run, spot), "kept": _is_kept(spot), **refused, "verdicts": verdicts}


def _answers(run: Path, calls: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """What was asked and what came back, in the order in which the rows were made of it."""
    stored = stored_answers(run, [key for _, key in calls])
    told: list[dict[str, Any]] = []
    for row, key in calls:
        entry: dict[str, Any] = {"key": key, "row": row}
        if key not in stored:
            told.append({**entry, "text": None})
            continue
        completion, question = stored[key]
        told.append(
            {
                **entry,
                "model": completion.model,
                "question": question,
                "text": completion.text,
                "reasoning": completion.reasoning,
                "refusal": completion.refusal,
                "tool_calls": [dict(call) for call in completion.tool_calls],
                "tokens": completion.tokens,
                "finish_reason": completion.finish_reason,
            }
        )
    return told


def _sources(run: Path, record: Mapping[str, Any], wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Each of the rows `wanted`, as the source has it."""
    settings = record["settings"]
    name, found, why = str(settings.get("source")), dict[str, Row](), ""
    try:
        for row in _rows_of(run, settings, seed=record.get("seed", 0)):
            if row.id in wanted:
                found[row.id] = row
                if len(found) == len(wanted):
                    break
        why = "no row of the source has this id: it changed, or a step in between was not written"
    except HomeschoolError as error:
        why = error.message
    return [
        {
            "id": each,
            "name": name,
            "columns": dict(found[each].columns) if each in found else None,
            "why": "" if each in found else why,
        }
        for each in wanted
    ]


def _rows_of(run: Path, settings: Mapping[str, Any], *, seed: int) -> Iterable[Row]:
    """The source rows of a run, opened again."""
    from homeschool.engine.sources.open import open_source
    from homeschool.tasks.load import load_task

    name, limit = str(settings.get("source")), settings.get("limit")
    if name == "-":
        name = str(run / PIPED)
    elif name.isidentifier() and not Path(name).exists():
        return load_task(name, seed=seed).draw(None, limit or _TASK_ROWS, seed)
    return islice(open_source(name).rows(), limit)
