"""IFEval (Zhou et al. 2023, arXiv:2311.07911): instructions that a machine can check, judged by `constraints`.

Needs a file as published (`input_data.jsonl`): `key`, `prompt`, `instruction_id_list`, `kwargs`. They become column
`constraints`, a list of `{id, kwargs}`; arguments that are null (Parquet's way of leaving them out) are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeschool.tasks.published import Published


def problem(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a problem's columns. Raises ValueError if instructions and arguments do not pair."""
    ids, kwargs = list(record["instruction_id_list"]), list(record["kwargs"])
    if not ids or len(ids) != len(kwargs):
        raise ValueError(f"it has {len(ids)} instructions and arguments for {len(kwargs)}")
    constraints = [
        {"id": name, "kwargs": {key: value for key, value in (given or {}).items() if value is not None}}
        for name, given in zip(ids, kwargs, strict=True)
    ]
    return {"id": str(record["key"]), "prompt": record["prompt"], "constraints": constraints}


task = Published(
    "ifeval",
    (frozenset({"key", "prompt", "instruction_id_list", "kwargs"}),),
    problem,
    verify="constraints",
    template="{prompt}\n\n",
)
