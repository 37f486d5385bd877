"""The dataset card of a generation run: what the rows are, what became of the others, what they cost, what to doubt.

`card.md` opens with the YAML that the Hugging Face hub reads and then says the same in plain words. It holds no clock
time, so equal runs have equal cards. Numbers that nobody measured read "not measured". Text from a source, a model or a
reason is data: it is escaped, so that no name can end a table or open a tag.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homeschool.engine.board import money
from homeschool.engine.export import FILE
from homeschool.engine.files import replacing
from homeschool.engine.run import read_run
from homeschool.engine.summary import command, licences_agree, limits, paper_of, read_summary, top

NOT_MEASURED = "not measured"
NOT_RECORDED = "not recorded"
COUNTED = "An answer counts for each row that used it, whether a model gave it or the store did at no cost."
_MOST_REASONS = 40
_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]
_LARGER = [(10**8, "10M<n<100M"), (10**9, "100M<n<1B")]
_HUB_LICENCES = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear
    bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0
    cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0
    gpl-3.0 isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail osl-3.0 pddl
    postgresql unlicense wtfpl zlib
"""
"""The licence names that the hub knows; any other is `other` with its name beside it."""
_MARKDOWN = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")


def write_card(run_folder: Path) -> Path:
    """Write `card.md` from a run's records, finished or not, and return its path. Raises as `read_summary`."""
    record, summary = read_run(run_folder), read_summary(run_folder)
    path = run_folder / "card.md"
    parts = [
        _front_matter(summary),
        _opening(record, summary, trl=(run_folder / FILE).exists()),
        _rows(summary),
        _cost(summary),
        _makers(summary),
        _licences(summary),
        "## Limits\n\n" + "\n".join(f"- {plain(sentence)}" for sentence in limits(record, summary)),
        _again(record),
    ]
    with replacing(path) as aside:
        aside.write_text("\n\n".join(parts) + "\n", encoding="utf-8", errors="replace")
    return path


def plain(words: object) -> str:
    """Text for Markdown, on one line and without meaning to it."""
    one_line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(words)).split())
    return _MARKDOWN.sub(r"\\\1", html.escape(one_line, quote=False))


def number(value: float | None, missing: str = NOT_MEASURED) -> str:
    return missing if value is None else f"{value:,.0f}"


def rows_of(value: int | None, what: str = "row") -> str:
    """A number of rows in words."""
    return f"{number(value)} {what}{'' if value == 1 else 's'}"


def _front_matter(summary: Mapping[str, Any]) -> str:
    recipe = re.sub(r"[^a-z0-9_.-]+", "-", str(summary["recipe"].get("name")).lower()).strip("-")
    size = next((name for most, name in _SIZES + _LARGER if (summary["rows"] or 0) < most), "n>1B")
    head: dict[str, Any] = {
        **_licence(licences_agree(summary)),
        "task_categories": ["text-generation"],
        "size_categories": [size],
        "tags": ["homeschool", "synthetic", recipe],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "rows/*.parquet"}]}],
    }
    # YAML reads JSON, and JSON quotes whatever a name may hold.
    return "---\n" + "\n".join(f"{name}: {json.dumps(value)}" for name, value in head.items()) + "\n---"


def _licence(spdx: str) -> dict[str, str]:
    """The licence as the hub wants it."""
    name = spdx.lower()
    bare = name.removesuffix("-only").removesuffix("-or-later")
    for known in (name, bare):
        if known in _HUB_LICENCES.split():
            return {"license": known}
    return {"license": "other", **({"license_name": name} if name else {})}


def _opening(record: Mapping[str, Any], summary: Mapping[str, Any], *, trl: bool) -> str:
    recipe, source = summary["recipe"], summary["source"]
    models = ", ".join(plain(model.get("name")) for model in summary["models"].values()) or "no model"
    about = f" ({plain(recipe['summary']).rstrip('.')})" if recipe.get("summary") else ""
    paper = f" The recipe follows {plain(paper_of(summary))}." if recipe.get("paper") else ""
    made = (
        f"{rows_of(summary['rows'])} that the recipe {plain(recipe.get('name'))}{about} made from "
        f"{rows_of(summary['rows_in'], 'source row')} of {plain(source.get('name'))}, with {models}.{paper}"
    )
    shape = (
        "`rows/*.parquet` holds the rows: their columns, and in `_provenance` each row's history (id, parents, the "
        "answers it was made of, verdicts). `dropped/*.parquet` holds what was dropped, each with its rule and reason."
    )
    also = f" `{FILE}` holds the rows once more, in TRL's format." if trl else ""
    version = plain((record.get("versions") or {}).get("homeschool", NOT_RECORDED))
    title = f"# {plain(recipe.get('name'))} on {plain(source.get('name'))}"
    origin = f"Made by Homeschool {version}. All of it was written by models or stood in the source."
    return "\n\n".join([title, made, shape + also, origin])


def _rows(summary: Mapping[str, Any]) -> str:
    reasons, others, rest = top(summary["dropped"], _MOST_REASONS)
    lines = [("source rows", number(summary["rows_in"]))]
    lines += [(f"dropped: {plain(reason)}", number(count)) for reason, count in reasons]
    lines += [(f"dropped: {others:,} other reasons", number(rest))] if others else []
    lines += [("no answer yet", number(summary["unfinished"]))] if summary["unfinished"] else []
    lines.append(("**rows kept**", f"**{number(summary['rows'])}**"))
    words = (
        "A source row may become several rows, kept or dropped, and several may become one; then these numbers do not "
        "add up to the first.\n\n"
        "Nothing was left out without being counted here."
    )
    return "## From source to rows\n\n" + _table(("", "rows"), lines) + "\n\n" + words


def _cost(summary: Mapping[str, Any]) -> str:
    roles, prices = summary["roles"], summary["prices"] or {}
    lines = [
        (
            plain(role),
            number(spent.get("calls")),
            number(spent.get("prompt_tokens")),
            number(spent.get("completion_tokens")),
            " / ".join(money(price) for price in prices[role]) if prices.get(role) else NOT_RECORDED,
        )
        for role, spent in roles.items()
    ]
    head = ("role", "answers", "tokens in", "tokens out", "price per million in / out")
    counted = _table(head, lines) if lines else f"Answers and tokens: {NOT_MEASURED}."
    return f"## What it cost\n\n{counted}\n\nCost in US dollars: {money(summary['cost_usd'])}. {COUNTED}"


def _makers(summary: Mapping[str, Any]) -> str:
    recipe, source = summary["recipe"], summary["source"]
    lines = [
        (
            plain(role),
            plain(model.get("name")),
            plain(model.get("fingerprint") or NOT_RECORDED),
            plain(model.get("template") or "none"),
        )
        for role, model in summary["models"].items()
    ]
    models = _table(("role", "model", "fingerprint", "chat template"), lines) if lines else "No model was asked."
    return (
        f"## What made it\n\n{models}\n\n"
        f"- Recipe and its prompts: {plain(recipe.get('name'))}, {plain(recipe.get('digest') or NOT_RECORDED)}\n"
        f"- Source: {plain(source.get('name'))}, {plain(source.get('digest') or NOT_RECORDED)}\n\n"
        "The numbers beside the names are hashes: of weights, of templates, of the recipe's file with its prompts, and "
        "of the source's content."
    )


def _licences(summary: Mapping[str, Any]) -> str:
    found = sorted((summary["source"].get("licenses") or {}).items(), key=lambda pair: (-pair[1], pair[0]))
    if not found:
        return f"## Licences of the source\n\n{NOT_RECORDED[0].upper()}{NOT_RECORDED[1:]}."
    lines = [(plain(name or "unknown"), number(count)) for name, count in found]
    return "## Licences of the source\n\n" + _table(("licence (SPDX)", "source rows"), lines)


def _again(record: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{plain(name)} {plain(version)}" for name, version in (record.get("versions") or {}).items())
    return (
        f"## Make it again\n\n    {command(record)}\n\n"
        f"Seed {plain(record.get('seed', NOT_RECORDED))}; made with {versions or NOT_RECORDED}. A model on a GPU, in a "
        "live batch or behind an address may answer differently another time; the stored answers of this folder give "
        "the same rows again."
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
