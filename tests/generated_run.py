"""A small folder of a generation run, made by hand as the engine writes it, hostile texts and all."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from homeschool.core.identity import canonical, digest
from homeschool.core.records import Completion, Row
from homeschool.core.verdict import Fail, Pass
from homeschool.engine.rows import write_rows
from homeschool.engine.run import Run

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'|`\n## [x](javascript:y) {{ 7*7 }} ../../secret"
SHARD = 8

SETTINGS: dict[str, Any] = {
    "recipe": "two_steps",
    "options": {"samples": 2, "style": "short", "note": "a b"},
    "source": "problems.jsonl",
    "rows": "d" * 24,
    "roles": {
        "generator": {"name": "http://localhost:8000/v1#small", "fingerprint": "f" * 24},
        "judge": {"name": "nano", "fingerprint": "e" * 24},
    },
    "with": "math@1",
    "seed": 3,
}


def answer(text: str, key: str, *, finish: str = "stop", tokens: int = 3) -> Completion:
    ids, sampling = tuple(range(tokens)), {"temperature": 1.0}
    return Completion(text, finish, token_ids=ids, key=key, model="small", sampling=sampling)


def sources(count: int, *, hostile: bool = False) -> list[Row]:
    same = {"license": "MIT", **({"page": HOSTILE} if hostile else {})}
    return [Row.source({"prompt": f"What is {n} + {n}?", "level": n % 3, **same}) for n in range(count)]


def make_run(folder: Path, *, rows: int = 20, hostile: bool = False, finished: bool = True) -> list[Row]:
    """Write a run over `rows` source rows, every fifth of them dropped; returns its source rows."""
    settings = SETTINGS | ({"source": HOSTILE, "options": {"style": HOSTILE}} if hostile else {})
    drawn = sources(rows, hostile=hostile)
    with Run.open(folder, kind="generate", settings=settings) as run:
        for number, start in enumerate(range(0, rows, SHARD)):
            _shard(run, number, drawn[start : start + SHARD], hostile=hostile)
        if finished:
            run.save_json("funnel.json", _funnel(run, settings))
    return drawn


def _shard(run: Run, number: int, rows: list[Row], *, hostile: bool) -> None:
    kept, lost, reasons = [], [], Counter[str]()
    for row in rows:
        place = int(row["prompt"].split()[2])
        question = {"prompt": [{"role": "user", "content": row["prompt"]}], "sampling": {"temperature": 1.0}}
        text = HOSTILE if hostile else f"{place} + {place} = {2 * place // 4}"
        first = answer(text, digest("first", place), tokens=1 + place % 7)
        second = answer("ok", digest("second", place), finish="length" if place % 4 == 1 else "stop")
        run.answers.commit([first, second], max_tokens=64, questions=[canonical(question)] * 2)
        child = row.derive(step="two_steps", calls=[first, second], completion=text)
        if place % 5:
            kept.append(child.judged(Pass({"correct": 1.0}, verifier="math@1")))
            continue
        reason, detail = ("wrong answer", "") if place % 10 else ("raised ValueError: boo", "Traceback: line 1\nboo")
        reason = f"{reason} {HOSTILE}" if hostile else reason
        told = {"rule": "math", "reason": reason, "detail": detail}
        judged = child.judged(Fail(reason="wrong answer", evidence=text, verifier="math@1"))
        lost.append(replace(judged, columns={**judged.columns, **told}))
        reasons[f"math: {reason}"] += 1
    write_rows(run.path("rows", f"{number:05}.parquet"), kept)
    write_rows(run.path("dropped", f"{number:05}.parquet"), lost)
    spent = {"calls": 2 * len(rows), "prompt_tokens": 10 * len(rows), "completion_tokens": 7 * len(rows)}
    counts = {"rows_in": len(rows), "rows": len(kept), "dropped": len(lost), "reasons": dict(reasons)}
    run.save_json(f"shards/{number:05}.json", {**counts, "licenses": {"MIT": len(rows)}, "calls": {"generator": spent}})


def _funnel(run: Run, settings: dict[str, Any]) -> dict[str, Any]:
    shards = [json.loads(path.read_bytes()) for path in sorted((run.folder / "shards").iterdir())]
    rows_in = sum(shard["rows_in"] for shard in shards)
    reasons = sum((Counter(shard["reasons"]) for shard in shards), Counter[str]())
    model = {"template": "", **settings["roles"]["generator"]}
    source = {"name": settings["source"], "digest": "d" * 24, "licenses": {"MIT": rows_in}, "notes": {"symlink": 2}}
    return {
        "rows_in": rows_in,
        "rows": sum(shard["rows"] for shard in shards),
        "dropped": dict(reasons),
        "unfinished": 0,
        "roles": {"generator": {"calls": 2 * rows_in, "prompt_tokens": 10 * rows_in, "completion_tokens": 7 * rows_in}},
        "prices": {"generator": [1.0, 4.0]},
        "cost_usd": rows_in * 38e-6,
        "source": source,
        "recipe": {
            "name": "two_steps",
            "digest": "c" * 24,
            "summary": "Draft, then check.",
            "paper": "Self-Refine (arXiv:2303.17651)",
        },
        "models": {"generator": model, "judge": {"template": "t", **settings["roles"]["judge"]}},
    }
