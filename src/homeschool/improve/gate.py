"""The gate: what a round's model must show before it takes the place of the last one, and what a run must show.

Two questions with two rules, both paired on the same items:

- *After a round*: is the new model significantly worse, on the dev problems or on the forgetting set? Then it is
  rolled back. Otherwise it goes on, since a small step need not be significant on its own.
- *After the run*: is it significantly better than the base on the exam, which no decision has looked at before, and
  has it forgotten nothing? Only then is it promoted.
"""

from __future__ import annotations

from dataclasses import dataclass

from homeschool.evaluate.exam import Comparison, Exam, compare


@dataclass(frozen=True, slots=True)
class Decision:
    accepted: bool
    why: str


def after_round(*, dev: tuple[Exam, Exam] | None, recall: tuple[Exam, Exam] | None) -> Decision:
    """Go on with the new model, or roll back? Each pair is (before, after); recall's `before` is the base model."""
    said: list[str] = []
    for name, pair in (("dev", dev), ("forgetting set", recall)):
        if pair is None:
            continue
        change = compare(*pair)
        if change.ci95[1] < 0:
            return Decision(False, f"significantly worse on the {name}: {describe(change)}")
        said.append(f"{name} {describe(change)}")
    return Decision(True, "; ".join(said) or "no held-out problems to compare on")


def after_run(gain: Comparison, forgetting: Comparison | None, *, about: str) -> Decision:
    """Is the last accepted model promoted over the base? `about` names the problems that `gain` is measured on."""
    if gain.n == 0:
        return Decision(False, f"not promoted: there is no exam on {about} to show a gain with")
    if gain.ci95[0] <= 0:
        need = "" if gain.items_needed is None else f"; a gain of 2 points would need about {gain.items_needed} items"
        return Decision(False, f"not promoted: no gain shown on {about}, {describe(gain)}{need}")
    if forgetting is not None and forgetting.ci95[1] < 0:
        return Decision(False, f"not promoted: it forgot, {describe(forgetting)} on the forgetting set")
    return Decision(True, f"promoted: {describe(gain)} on {about}")


def describe(change: Comparison) -> str:
    low, high = change.ci95
    return f"{change.gain_points:+.1f} points (95% CI {low:+.1f} to {high:+.1f}, n = {change.n})"
