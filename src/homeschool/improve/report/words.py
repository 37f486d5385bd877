"""What a result says, in words: numbers as people read them, and the one sentence that states the outcome.

The sentence is honest by construction: "taught itself" needs an interval above zero *and* a promotion; everything
else is said as what it is. A number that was not measured reads "not measured", never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "not measured"
NOT_RECORDED = "not recorded"
_MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"
_ARROW = f"{_SPACE}\N{RIGHTWARDS ARROW}{_SPACE}"

Result = Mapping[str, Any]


def at(record: Any, *keys: str) -> Any:
    """The value at a path of keys, or None where the path ends early."""
    for key in keys:
        if not isinstance(record, Mapping):
            return None
        record = record.get(key)
    return record


def short_name(model: Any) -> str:
    """A model as a person calls it: the last part of a path or of `hf:ORG/NAME`."""
    return str(model).rstrip("/").rpartition("/")[2] if model else "the model"


def percent(share: float | None, *, digits: int | None = None) -> str:
    """A share of 0..1 as `68%`; small ones keep a decimal (`1.4%`), so that 0 is only said of 0."""
    if share is None:
        return NOT_MEASURED
    if digits is None:
        digits = 1 if 0 < share < 0.0995 or 0.9905 < share < 1 else 0
    return f"{100 * share:.{digits}f}%"


def points(value: float | None) -> str:
    """Percentage points with their sign: `+56.1`."""
    if value is None:
        return NOT_MEASURED
    return f"{value:+.1f}".replace("-", _MINUS) if abs(value) >= 0.05 else "0.0"


def between(limits: Sequence[float] | None, *, scale: float = 1.0) -> str:
    """An interval as `52.0 to 60.1`."""
    if not limits:
        return NOT_MEASURED
    return " to ".join(f"{scale * limit:.1f}".replace("-", _MINUS) for limit in limits)


def count(number: float | None) -> str:
    return NOT_MEASURED if number is None else f"{number:,.0f}"


def short(number: float | None) -> str:
    """A quantity in two or three figures: `0.42`, `95.1`, `1,240`, `3.1 M`."""
    if number is None:
        return NOT_MEASURED
    if abs(number) >= 1e6:
        return f"{number / 1e6:.1f} M"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}" if abs(number) >= 1 else f"{number:.2g}"


def duration(seconds: float | None) -> str:
    """`3.2 s`, `112 s`, `12 min`, `2.2 h`, number and unit on one line."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < 120:
        return f"{seconds:.{0 if seconds >= 10 else 1}f}{_SPACE}s"
    return f"{seconds / 60:.0f}{_SPACE}min" if seconds < 7200 else f"{seconds / 3600:.1f}{_SPACE}h"


def chance(p_value: float | None) -> str:
    """A p-value: `p = 0.03`, `p < 0.001`."""
    if p_value is None:
        return NOT_MEASURED
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}" if p_value < 0.1 else f"p = {p_value:.2f}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The headline: before and after in the group that it is about, and what may be said of them."""

    before: float | None
    after: float | None
    n: int | None
    where: str
    """On which problems."""
    statement: str
    evidence: str

    @property
    def sentence(self) -> str:
        return f"{self.statement} ({self.evidence})" if self.evidence else self.statement


def outcome(result: Result) -> Outcome:
    """The headline of a result, from its measured numbers alone."""
    group = result.get("headline")
    old, new = (_sitting(result.get(name), group) for name in ("base", "final"))
    before, after = at(old, "accuracy"), at(new, "accuracy")
    gain, limits = result.get("gain_points"), result.get("ci95")
    paired = at(result, "groups_gain", group, "n") if group else result.get("n")
    n = paired if paired is not None else at(new, "n")
    if None in (before, after, gain) or not limits or n == 0:
        return Outcome(before, after, n, _where(group), _statement(result, None), "")
    size = f"n = {count(n)}".replace(" ", _SPACE)
    evidence = f"{points(gain)} points, 95% CI {between(limits)}, {size}"
    return Outcome(before, after, n, _where(group), _statement(result, (before, after)), evidence)


def _sitting(exam: Any, group: str | None) -> Any:
    return at(exam, "groups", group) if group else exam


def _where(group: str | None) -> str:
    if not group:
        return "on held-out problems"
    known = {"never shown": "on problems it was never shown", "shown": "on the kinds of problem it was shown"}
    return known.get(
        group, f"on problems of the group \N{LEFT DOUBLE QUOTATION MARK}{group}\N{RIGHT DOUBLE QUOTATION MARK}"
    )


def _statement(result: Result, shares: tuple[float, float] | None) -> str:
    """The outcome in words; `shares` are before and after, None if the gain is not known."""
    model, task = short_name(result.get("model")), result.get("task") or "the task"
    limits, promoted, where = result.get("ci95"), result.get("promoted"), _where(result.get("headline"))
    if shares is None or not limits:
        return f"Whether {model} improved at {task} was not measured"
    change = f"{percent(shares[0])}{_ARROW}{percent(shares[1])} {where}"
    if limits[0] > 0:
        return f"{model} {'taught itself' if promoted else 'gained but was not promoted at'} {task}: {change}"
    if limits[1] < 0:
        return f"{model} got worse at {task}{'' if promoted else ' and nothing was promoted'}: {change}"
    if promoted:
        return f"{model} was promoted at {task} though no gain could be shown: {change}"
    scored = f"scored {percent(shares[0])} before and {percent(shares[1])} after"
    return f"Nothing was gained, nothing was promoted: {model} {scored} {where}"


def run_name(result: Result) -> str:
    """The run by the last part of its folder: where it lies on one machine tells a reader nothing."""
    return str(result.get("run") or "run").rstrip("/").rpartition("/")[2]


def making(result: Result) -> str:
    """What the run did, in one or two sentences: rounds, answers, lessons, time."""
    rounds = result.get("rounds") or []
    if not rounds:
        return "No round was finished."
    asked, passed, kept = (total(rounds, name) for name in ("asked", "passed", "kept"))
    spent = f" The whole took {duration(result['seconds'])}" if result.get("seconds") is not None else ""
    memory = (
        f" and {result['peak_rss_mb'] / 1024:.1f}{_SPACE}GB of memory" if spent and result.get("peak_rss_mb") else ""
    )
    wrote = f"In {len(rounds)} round{'s' if len(rounds) != 1 else ''} it wrote {count(asked)} answers"
    learned = f"passed {count(passed)}, and {count(kept)} were kept as lessons" if passed else "passed none of them"
    return f"{wrote}; the verifier {learned}.{spent}{memory}" + ("." if spent else "")


def total(rounds: Sequence[Result], name: str) -> float | None:
    """The sum of a count over the rounds that have it; None if none has."""
    known = [record[name] for record in rounds if record.get(name) is not None]
    return sum(known) if known else None


def tally(rounds: Sequence[Result], name: str) -> dict[str, int]:
    """Counts by reason (`dropped`, `failed`) over all rounds, in order of first appearance."""
    counts: dict[str, int] = {}
    for record in rounds:
        for reason, number in (record.get(name) or {}).items():
            counts[reason] = counts.get(reason, 0) + (number or 0)
    return counts


def caveats(result: Result) -> list[str]:
    """What a careful reader should hold against these numbers; only what is true of this run."""
    said = [
        f"One seed ({NOT_RECORDED if result.get('seed') is None else result['seed']}). The intervals say how far "
        "other exam problems would move the numbers, not how far another seed would.",
        "The gate looks at its own problems after each round, so the small dots were used for decisions; "
        "the exam was not.",
    ]
    if not result.get("controls"):
        said.append("No control was run: whether the verifier made the difference was not measured (--controls).")
    for name in ("base", "final"):
        broken = at(result, name, "broken")
        if broken:
            said.append(f"{count(broken)} exam problems of the {name} model could not be judged and are left out.")
    needed, worth = at(result, "items_needed", "n"), at(result, "items_needed", "points")
    n = at(result, "final", "n")
    if needed and n and needed > n:
        said.append(
            f"To see a change of {worth:g} points reliably the exam would need {count(needed)} problems; "
            f"it has {count(n)}. Smaller changes than the intervals show may be there unseen."
        )
    if len(at(result, "base", "groups") or {}) > 2:
        said.append("Intervals of groups and levels are not corrected for their number.")
    if result.get("stopped"):
        said.append(f"The run stopped early: {result['stopped']}.")
    return said
