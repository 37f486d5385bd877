"""The report of a generation run: one HTML file that shows what went in, what came out, and why the rest did not.

It reads the run's folder, finished or not, and writes `report.html` beside its rows, in the look of an `improve`
report: no JavaScript, no font, no request to anywhere, no clock time. Rows, reasons and names are other people's text
and are escaped where they enter (`svg.clean`); nothing builds markup from them. What was not measured says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homeschool.core.records import Row
from homeschool.engine.board import money
from homeschool.engine.card import COUNTED, rows_of
from homeschool.engine.files import replacing
from homeschool.engine.run import read_run
from homeschool.engine.summary import command, limits, paper_of, read_shards, read_summary, top
from homeschool.improve.report.page import (
    again,
    bullets,
    facts,
    figure,
    key,
    kicker,
    note,
    prose,
    section,
    table,
    whole,
)
from homeschool.improve.report.plots import bars, columns
from homeschool.improve.report.survey import (
    EXAMPLES,
    Lengths,
    answer_of,
    answers,
    by_shard,
    dropped_examples,
    histogram,
    lengths,
    spread_rows,
    words_of,
)
from homeschool.improve.report.svg import clean
from homeschool.improve.report.words import NOT_MEASURED, NOT_RECORDED, count, percent, short, short_name

Summary = Mapping[str, Any]

SAMPLES = 10
_REASONS = 8
_SHOWN_APART = frozenset({"prompt", "completion", "messages", "chosen", "rejected", "text", "completions"})
_DROP = frozenset({"rule", "reason", "detail", "traceback"})


def write_generation_report(run_folder: Path) -> Path:
    """Write `report.html` of a run and return its path. Raises UsageError if the folder is no run."""
    record, summary = read_run(run_folder), read_summary(run_folder)
    sizes = lengths(run_folder)
    parts = (
        _opening(run_folder, record, summary),
        _funnel(summary),
        _samples(run_folder, sizes),
        _dropped(run_folder, summary),
        _answers(run_folder, sizes),
        _cost(run_folder, summary),
        _makers(record, summary),
        section("What to hold against these rows", bullets(limits(record, summary))),
        _again(record),
    )
    path = run_folder / "report.html"
    with replacing(path) as aside:
        page = whole(_headline(summary), "\n".join(part for part in parts if part))
        aside.write_text(page, encoding="utf-8", errors="replace")
    return path


def _headline(summary: Summary) -> str:
    so_far = "" if summary["finished"] else " so far"
    return f"{rows_of(summary['rows'])} from {rows_of(summary['rows_in'], 'source row')}{so_far}"


def _opening(run_folder: Path, record: Mapping[str, Any], summary: Summary) -> str:
    recipe, source = summary["recipe"].get("name"), short_name(summary["source"].get("name"))
    models = ", ".join(_called(model) for model in summary["models"].values()) or "no model"
    above = kicker(["Homeschool report", run_folder.resolve().name, recipe, source, f"seed {record.get('seed', 0)}"])
    checked = record["settings"].get("with")
    verifier = f"the verifier {checked} checked the answers" if checked else "no verifier checked the answers"
    words = f"The recipe {recipe} made them from {source} with {models}; {verifier}."
    paper = paper_of(summary)
    spent = summary["roles"].values()
    figures = [
        ("source rows", count(summary["rows_in"])),
        ("rows kept", count(summary["rows"])),
        ("answers", count(_sum(spent, "calls"))),
        ("tokens written", short(_sum(spent, "completion_tokens"))),
        ("cost", money(summary["cost_usd"])),
    ]
    return "\n".join(
        (
            f"<header>{above}",
            f"<h1>{clean(_headline(summary))}</h1>",
            prose(f"{words}{f' The recipe follows {paper}.' if paper else ''}"),
            f"{key(figures)}</header>",
        )
    )


def _called(model: Mapping[str, Any]) -> str:
    """A model as a person calls it: of `http://HOST/v1#MODEL` the last part."""
    return short_name(str(model.get("name") or "").rpartition("#")[2])


def _sum(spent: Any, name: str) -> int | None:
    known = [each[name] for each in spent if each.get(name) is not None]
    return sum(known) if known else None


def _funnel(summary: Summary) -> str:
    rows_in, kept = summary["rows_in"], summary["rows"]
    if kept is None or rows_in is None:
        return section("What became of the source rows", f'<p class="none">{NOT_MEASURED}</p>')
    lost = sum(summary["dropped"].values())
    steps = [("source rows", rows_in), ("dropped", lost)]
    steps += [("without an answer yet", summary["unfinished"])] if summary["unfinished"] else []
    shown = [(name, number, count(number)) for name, number in [*steps, ("rows kept", kept)]]
    reasons, others, rest = top(summary["dropped"], _REASONS)
    why = [(name, number, _share(number, lost)) for name, number in reasons]
    why += [(f"{others:,} other reasons", rest, _share(rest, lost))] if others else []
    cards = (
        figure("From source rows to rows", bars(shown, label="rows", result=True)),
        figure("Why rows were dropped", bars(why, label="drops"), "Shares are of all drops.")
        if why
        else figure("Why rows were dropped", '<p class="soft">No row was dropped.</p>'),
    )
    words = (
        "Every source row is in one of these bars. It may become several rows, kept or dropped, and several may become "
        "one; then the numbers do not add up to the first."
    )
    return section("What became of the source rows", prose(words), _cards(cards))


def _share(number: int, of: int) -> str:
    return f"{count(number)} \N{MIDDLE DOT} {percent(number / of) if of else ''}"


def _cards(figures: Sequence[str]) -> str:
    return '<div class="cards">' + "".join(each for each in figures if each) + "</div>"


def _samples(run_folder: Path, sizes: Lengths) -> str:
    rows = spread_rows(run_folder, "rows", SAMPLES)
    if not rows:
        return section("The rows", '<p class="none">No row was kept.</p>')
    spread = "all of them" if sizes.rows <= SAMPLES else f"{len(rows)} of them, at even distances from the first on"
    same = f"{count(sizes.copies)} of {rows_of(sizes.rows)} ({percent(sizes.copies / sizes.rows)})"
    words = f"Here are {spread}. {same} are copies, letter for letter, of the prompt and answer of a row before."
    return section("The rows", prose(words), *(_row(row, kind="kept") for row in rows))


def _row(row: Row, *, kind: str) -> str:
    """A row as an example: what was asked, what came back, and in small print everything else."""
    columns = row.columns
    asked, made = columns.get("prompt"), answer_of(columns)
    if columns.get("chosen") is not None and columns.get("rejected") is not None:
        made = f"chosen: {words_of(columns['chosen'])}\n\nrejected: {words_of(columns['rejected'])}"
    rest = {name: value for name, value in columns.items() if name not in _SHOWN_APART | _DROP}
    small = [f"{name}: {_short(value)}" for name, value in rest.items()]
    small += [f"{verdict.status} ({verdict.verifier or 'recipe'})" for verdict in row.verdicts]
    below = f"<p class=tagline>{clean(' · '.join([*small, row.id]))}</p>"
    detail = columns.get("detail") or columns.get("traceback") if kind == "refused" else ""
    if detail:
        below += f"<details><summary>What happened</summary><pre>{clean(str(detail)[-2000:])}</pre></details>"
    shown = "" if asked is None else words_of(asked)
    return note(kind, shown, "" if made is None else words_of(made), below=below)


def _short(value: Any) -> str:
    words = f"{value:.4g}" if isinstance(value, float) else " ".join(words_of(value).split())
    return words if len(words) <= 80 else f"{words[:79]}\N{HORIZONTAL ELLIPSIS}"


def _dropped(run_folder: Path, summary: Summary) -> str:
    reasons, others, rest = top(summary["dropped"], _REASONS)
    if not reasons:
        return ""
    examples = dropped_examples(run_folder, [reason for reason, _ in reasons])
    blocks: list[str] = []
    for reason, number in reasons:
        rows = "".join(_row(row, kind="refused") for row in examples[reason])
        blocks.append(f"<h3>{clean(_short(reason))} <small>({count(number)})</small></h3>{rows}")
    if others:
        blocks.append(f"<p class=soft>{count(rest)} more rows were dropped for {count(others)} other reasons.</p>")
    words = f"The first {EXAMPLES} rows that were dropped for each of the most frequent reasons."
    return section("Dropped, and why", prose(words), *blocks)


def _answers(run_folder: Path, sizes: Lengths) -> str:
    told = answers(run_folder)
    rows = f"Over {rows_of(sizes.rows)}; the last bar holds all longer ones."
    stored = f"Over {count(told.number)} answers behind {rows_of(told.rows)}, kept and dropped, spread over the run."
    endings, others, rest = top(told.endings, 6)
    ends = [(name, number, _share(number, told.number)) for name, number in endings]
    ends += [(f"{others} other endings", rest, _share(rest, told.number))] if others else []
    cards = (
        figure("Length of answers, in characters", _columns(sizes.answered, "answers by length"), clean(rows)),
        figure("Length of prompts, in characters", _columns(sizes.asked, "prompts by length"), clean(rows)),
        figure("Tokens of each model's answer", _columns(told.tokens, "answers by tokens"), clean(stored)),
        figure("How the model's answers ended", bars(ends, label="endings") if ends else "", clean(stored)),
    )
    return section("How long the answers are", _cards(cards))


def _columns(counts: Mapping[int, int], label: str) -> str:
    return columns([(name, float(number)) for name, number in histogram(counts)], label=label)


def _cost(run_folder: Path, summary: Summary) -> str:
    kept, roles, prices = summary["rows"], summary["roles"], summary["prices"] or {}
    rows = [
        [
            clean(role),
            clean(_called(summary["models"].get(role) or {})),
            count(spent.get("calls")),
            short(spent["calls"] / kept) if kept and spent.get("calls") is not None else NOT_MEASURED,
            count(spent.get("prompt_tokens")),
            count(spent.get("completion_tokens")),
            " / ".join(money(price) for price in prices[role]) if prices.get(role) else NOT_RECORDED,
        ]
        for role, spent in roles.items()
    ]
    head = ["role", "model", "answers", "answers per row", "tokens in", "tokens out", "price per million in / out"]
    shown = table(head, rows) if rows else f'<p class="none">Answers and tokens: {NOT_MEASURED}.</p>'
    cost = summary["cost_usd"]
    each = f", {money(cost / kept)} for every row that was kept" if cost is not None and kept else ""
    words = f"Cost in US dollars: {money(cost)}{each}. {COUNTED}"
    return section("What they cost", prose(words), shown, _along(run_folder))


def _along(run_folder: Path) -> str:
    """How the run went, shard by shard, in the order of the source."""
    shards = read_shards(run_folder)
    if len(shards) < 2:
        return ""
    kept = by_shard(shards, lambda shard: shard.get("rows", 0), lambda shard: shard.get("rows_in", 0))
    tokens = by_shard(shards, _tokens, lambda shard: shard.get("rows", 0))
    cards = (
        figure("Rows kept for each source row, by shard", columns(kept, label="rows kept for each source row")),
        figure("Tokens written for each row kept, by shard", columns(tokens, label="tokens for each row kept")),
    )
    return _cards(cards)


def _tokens(shard: Mapping[str, Any]) -> float:
    return sum(spent.get("completion_tokens", 0) for spent in (shard.get("calls") or {}).values())


def _makers(record: Mapping[str, Any], summary: Summary) -> str:
    recipe, source = summary["recipe"], summary["source"]
    licences = sorted((source.get("licenses") or {}).items(), key=lambda pair: (-pair[1], pair[0]))
    told = {
        "recipe": f"{recipe.get('name')}, {recipe.get('digest') or NOT_RECORDED}",
        "source": f"{source.get('name')}, {source.get('digest') or NOT_RECORDED}",
        "licences": ", ".join(f"{name or 'unknown'} ({count(number)})" for name, number in licences) or NOT_RECORDED,
        "verifier": record["settings"].get("with") or "none",
    }
    for role, model in summary["models"].items():
        template = f", chat template {model['template']}" if model.get("template") else ""
        told[f"model ({role})"] = f"{model.get('name')}, {model.get('fingerprint') or NOT_RECORDED}{template}"
    words = "The long names are hashes: of the recipe's file with its prompts, the source, weights and templates."
    return section("What made them", prose(words), facts(told))


def _again(record: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in (record.get("versions") or {}).items())
    told = {"seed": record.get("seed", NOT_RECORDED), "versions": versions or NOT_RECORDED}
    return again(command(record), told, record["settings"])
