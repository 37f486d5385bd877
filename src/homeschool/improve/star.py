"""STaR: a model that learns from its own reasoning, where it led to the right answer.

Zelikman et al. 2022, "STaR: Bootstrapping Reasoning With Reasoning", arXiv:2203.14465. One outer loop:

    for each problem x: draw rationales and answers (r, y) ~ M_{n-1}(. | x)
    keep those that the verifier passes
    rationalise: for each x with none, draw again with the answer y* as a hint, keep what passes, drop the hint
    train on what was kept, from the base model M_0 again (`collect.restart`), to get M_n

Left out, and why: few-shot prompts (the prompt is the user's own); greedy decoding with one sample (we draw `samples`
at `temperature`, as rejection-sampling fine-tuning does, arXiv:2308.01825); 20% more steps each loop (the training
budget is in the config, in tokens, so that arms can be compared at equal compute).

`rationalise: false` is rejection-sampling fine-tuning; with `restart: false` besides it is expert iteration. The
quickstart is that: its problems have no labelled answers to hint with, only a calculator that checks lines.

Pitfall: a rationale written with the answer in sight can argue backwards from it. A hinted lesson is kept only if it
passes the same verifier as any other, and its step is `rationalise`, so that it can be counted and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from homeschool.core.protocols import Context, Recipe
from homeschool.core.records import Dropped, Row
from homeschool.improve.settings import CollectConfig
from homeschool.recipes import rejection_sampling


def recipe(config: CollectConfig, *, samples: int) -> Recipe:
    """The STaR step for one problem: draw, verify, and where nothing passed, rationalise."""
    draw = rejection_sampling.recipe(samples=samples, temperature=config.temperature, max_tokens=config.max_tokens)
    again = rejection_sampling.recipe(samples=config.cap, temperature=config.temperature, max_tokens=config.max_tokens)

    async def star(row: Row, ctx: Context) -> Sequence[Row | Dropped]:
        drawn = await draw(row, ctx)
        passed = any(isinstance(outcome, Row) for outcome in drawn)
        if passed or not config.rationalise or row.get("answer") is None:
            return drawn
        hinted = row.derive(step="hint", prompt=_hinted(row["prompt"], row["answer"]))
        with_hint = await again(hinted, ctx)
        return [*drawn, *(_without_hint(outcome, row["prompt"]) for outcome in with_hint)]

    return star


def _hinted(prompt: Any, answer: Any) -> Any:
    """The prompt with the answer before it: text before text, or before the first message's text."""
    if isinstance(prompt, str):
        return HINT.format(answer=answer) + prompt
    first, *rest = prompt
    return [{**first, "content": HINT.format(answer=answer) + first["content"]}, *rest]


def _without_hint(outcome: Row | Dropped, prompt: Any) -> Row | Dropped:
    """A lesson as if it had been asked without the hint; what was refused stays as it was asked, and is marked."""
    if isinstance(outcome, Dropped):
        marked = outcome.row.derive(step=HINTED).judged(*outcome.row.verdicts)
        return Dropped(marked, outcome.reason, outcome.rule)
    return outcome.derive(step=HINTED, prompt=prompt).judged(*outcome.verdicts)


HINTED = "rationalise"
"""The step of every answer that was written with the right one in sight."""

HINT = "Hint: the final answer is {answer}.\n\n"
