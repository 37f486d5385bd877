"""What a generation run leaves for people beside its rows: the funnel, the rows in TRL's format, the dataset card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from homeschool.core.errors import HomeschoolError, StoppedError
from homeschool.core.protocols import Model
from homeschool.engine.board import Prices, cost
from homeschool.engine.card import write_card
from homeschool.engine.export import write_trl
from homeschool.engine.generate import Funnel, read_funnel
from homeschool.engine.run import Run, alone

if TYPE_CHECKING:
    from homeschool.engine.sources.source import Source


def write_papers(
    run: Run,
    source: Source,
    *,
    recipe: Mapping[str, Any],
    models: Mapping[str, Model],
    prices: Prices,
    part: Funnel,
) -> str | None:
    """Write `funnel.json`, `data.jsonl` and `card.md`; why there is no `data.jsonl`, or an empty text if there is.

    `recipe` is what is known of it (name, digest, summary, paper); `part` is what this process has done. A run of which
    shards are missing has no `funnel.json`, and while other processes may be at work on them nothing is written: None.
    """
    with alone(run.folder):
        total, whole = Funnel(), True
        for number in range(part.shards):
            known = read_funnel(run, number)
            whole = whole and known is not None
            if known is not None:
                total.merge(known)
        if whole:
            prices = prices or _prices_before(run)
            run.save_json("funnel.json", _funnel(total, source, recipe=recipe, models=models, prices=prices))
        elif run.part.of > 1:
            return None
        why_not = ""
        try:
            write_trl(run.folder)
        except StoppedError:
            raise
        except HomeschoolError as error:  # the rows are none of TRL's kinds; they are in Parquet all the same
            why_not = str(error)
        write_card(run.folder)
        return why_not


def _prices_before(run: Run) -> Prices:
    """The same command without prices does not make it unknown what the run cost."""
    known = (run.load_json("funnel.json") or {}).get("prices") or {}
    return {role: (inward, outward) for role, (inward, outward) in known.items()}


def _funnel(
    total: Funnel, source: Source, *, recipe: Mapping[str, Any], models: Mapping[str, Model], prices: Prices
) -> dict[str, Any]:
    told = total.to_dict()
    return {
        "rows_in": total.rows_in,
        "rows": total.rows,
        "dropped": told["reasons"],
        "unfinished": 0,
        "roles": told["calls"],
        "prices": {role: list(price) for role, price in prices.items()},
        "cost_usd": cost(total.calls, prices),
        "source": {
            "name": source.name,
            "digest": source.digest,
            "licenses": told["licenses"],
            "notes": dict(source.notes),
        },
        "recipe": dict(recipe),
        "models": {
            role: {"name": model.card.name, "fingerprint": model.card.fingerprint, "template": model.card.template}
            for role, model in models.items()
        },
    }
