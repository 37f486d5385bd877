"""The numbers of a generation run as they stand in its folder: what went in, what came out, what it cost.

A finished run has them in `funnel.json`. One that was killed or still goes on has the records of its finished shards,
which add up to the same shape. Who describes a run (card, report) reads it here and says what is missing.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homeschool.core.errors import HomeschoolError
from homeschool.engine.look import count_rows, row_files
from homeschool.engine.run import read_run

FUNNEL = "funnel.json"
_YAML_PLAIN = re.compile(r"[A-Za-z][\w./-]*")
_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def read_summary(run_folder: Path) -> dict[str, Any]:
    """`funnel.json` and `finished: True`, or the sums over the finished shards and `finished: False`.

    Keys: `rows_in, rows, dropped {reason: n}, unfinished, roles {role: {calls, prompt_tokens, completion_tokens}},
    prices, cost_usd, source, recipe, models`; None or empty for what is not on record. Raises UsageError if the folder
    is no run, HomeschoolError if a record is damaged.
    """
    settings = read_run(run_folder)["settings"]
    found = _load(run_folder / FUNNEL)
    summary = _known(settings) | (found if found is not None else _sums(run_folder, settings))
    return summary | {"finished": found is not None}


def read_shards(run_folder: Path) -> list[dict[str, Any]]:
    """The records of the finished shards, in order, each with its `shard`, the name of its files."""
    paths = sorted((run_folder / "shards").glob("*.json"))
    return [{"shard": path.stem, **(_load(path) or {})} for path in paths]


def command(record: Mapping[str, Any]) -> str:
    """The command of a run on one line, from its run.json, for a shell to read."""
    settings = record["settings"]
    options = [f"{name}={_yaml(value)}" for name, value in (settings.get("options") or {}).items()]
    roles = {role: model.get("name", "") for role, model in (settings.get("roles") or {}).items()}
    words = ["homeschool", "generate", str(settings.get("recipe")), *options, "--source", str(settings.get("source"))]
    if settings.get("limit"):
        words += ["--rows", str(settings["limit"])]
    for role, model in roles.items():
        words += ["--model", model] if role == "generator" else ["--role", f"{role}={model}"]
    if settings.get("with"):
        words += ["--with", str(settings["with"]).partition("@")[0]]
    return " ".join(_shell(word) for word in [*words, "--seed", str(record.get("seed", 0))])


def limits(record: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """What a careful reader should hold against the rows, in plain sentences; only what is true of this run."""
    said: list[str] = []
    if not summary["finished"]:
        said.append("The run has not ended: these are the rows of its finished shards.")
    if summary["unfinished"]:
        waiting = f"{summary['unfinished']:,} source rows"
        said.append(f"{waiting} got no answer, so nothing came of them yet; the same command asks again.")
    verifier = record["settings"].get("with")
    if verifier:
        said.append(f"The verifier {verifier} saw what it is made to see. Nothing else about the rows was checked.")
    else:
        said.append("No verifier ran: whether the answers are right was checked by nothing but the recipe itself.")
    cut = sum(number for reason, number in summary["dropped"].items() if "truncated" in reason)
    said.append(
        f"{cut:,} rows were dropped because an answer was cut at its token limit." * bool(cut)
        or "No row was dropped because an answer was cut at its token limit."
    )
    said.append("Near duplicates, overlap with test sets, personal data, bias and harmful content were not looked for.")
    said += _limits_of_source(summary["source"], summary["rows_in"])
    remote = sorted({model["name"] for model in summary["models"].values() if "://" in str(model.get("name"))})
    if remote:
        names = ", ".join(remote)
        said.append(f"{names}: a model behind an address is known by its name alone; what answers there may change.")
    said.append("The terms of the models were not read: they may restrict what their answers are used for.")
    return said


def paper_of(summary: Mapping[str, Any]) -> str:
    """The recipe's paper as people cite it; a bare number is arXiv's."""
    paper = str(summary["recipe"].get("paper") or "")
    return f"arXiv:{paper}" if re.fullmatch(r"\d{4}\.\d{4,5}", paper) else paper


def licences_agree(summary: Mapping[str, Any]) -> str:
    """The one licence, as an SPDX id, that all source rows are under; empty if they differ or any is unknown."""
    licences = {name: number for name, number in (summary["source"].get("licenses") or {}).items() if number}
    [only] = licences if len(licences) == 1 else [""]
    return only if licences.get(only) == summary["rows_in"] and only.lower() != "unknown" else ""


def _limits_of_source(source: Mapping[str, Any], rows_in: int | None) -> list[str]:
    said: list[str] = []
    licences = source.get("licenses") or {}
    unknown = (rows_in or 0) - sum(number for name, number in licences.items() if name and name.lower() != "unknown")
    if unknown > 0:
        said.append(f"The licence of {unknown:,} of {rows_in or 0:,} source rows is not known.")
    notes = source.get("notes") or {}
    if notes:
        told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(notes.items()))
        said.append(f"Passed over in the source: {told}.")
    return said


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the settings tell before any shard is done."""
    return {
        "rows_in": None,
        "rows": None,
        "dropped": {},
        "unfinished": 0,
        "roles": {},
        "prices": {},
        "cost_usd": None,
        "source": {"name": settings.get("source"), "digest": settings.get("rows")},
        "recipe": {"name": settings.get("recipe")},
        "models": settings.get("roles") or {},
    }


def _sums(run_folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    shards = read_shards(run_folder)
    if not shards:
        return {"rows": sum(map(count_rows, row_files(run_folder, "rows")))}
    dropped, licences = Counter[str](), Counter[str]()
    roles: dict[str, Counter[str]] = {}
    for shard in shards:
        dropped.update(shard.get("reasons") or {})
        licences.update(shard.get("licenses") or {})
        for role, spent in (shard.get("calls") or {}).items():
            roles.setdefault(role, Counter()).update(
                {name: spent.get(name, 0) for name in ("calls", "prompt_tokens", "completion_tokens")}
            )
    return {
        "rows_in": sum(shard.get("rows_in", 0) for shard in shards),
        "rows": sum(shard.get("rows", 0) for shard in shards),
        "dropped": dict(dropped),
        "roles": {role: dict(spent) for role, spent in roles.items()},
        "source": _known(settings)["source"] | {"licenses": dict(licences)},
    }


def _load(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
        why = "no object"
    except ValueError as error:
        why = str(error)
    raise HomeschoolError(f"{path} is damaged ({why})", hint="move it away and type the run's command again")


def _yaml(value: Any) -> str:
    """A value as `key=value` takes it: YAML, in which JSON can say everything."""
    plain = isinstance(value, str) and _YAML_PLAIN.fullmatch(value) and value.lower() not in _YAML_WORDS
    return value if plain else json.dumps(value)


def _shell(word: str) -> str:
    """A word for a shell, on one line whatever it holds."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(
        letter if letter.isprintable() else f"\\U{ord(letter):08x}"
        for letter in word.replace("\\", "\\\\").replace("'", "\\'")
    )
    return f"$'{escaped}'"


def top(counts: Mapping[str, int], most: int) -> tuple[Sequence[tuple[str, int]], int, int]:
    """The `most` frequent of `counts`, then how many others there are and their sum."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = ordered[most:]
    return ordered[:most], len(rest), sum(number for _, number in rest)
