"""A claim: what was said, what was seen, and whether it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def claim(
    what: str,
    *,
    target: float,
    measured: float | None,
    ci95: Sequence[float] | None,
    n: int | None,
    paper: float | None = None,
    by_interval: bool = False,
) -> dict[str, Any]:
    """One line of a reproduction's table. It holds if what was measured reaches the target, or with `by_interval`
    if the whole interval does; `paper` is None where no paper has the number."""
    seen = ci95[0] if by_interval and ci95 is not None else measured
    holds = seen is not None and seen >= target
    return {
        "what": what,
        "paper": paper,
        "target": target,
        "measured": measured,
        "ci95": list(ci95) if ci95 is not None else None,
        "n": n,
        "holds": holds,
    }


def below_verified(found: Mapping[str, Any], *, target: float, by_interval: bool = False) -> list[dict[str, Any]]:
    """For each control of a result: how many points it ends below the verified arm."""
    claims: list[dict[str, Any]] = []
    for control in found["controls"]:
        versus = control["versus_verified"]
        low, high = versus["ci95"]
        claims.append(
            claim(
                f"{control['name']}: points below the verified arm",
                target=target,
                measured=-versus["difference_points"],
                ci95=[-high, -low],
                n=versus["n"],
                by_interval=by_interval,
            )
        )
    return claims
