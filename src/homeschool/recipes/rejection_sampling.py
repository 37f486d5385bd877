"""Rejection sampling: ask several times, keep what passes the verifier.

Paper: Yuan et al. 2023, "Scaling Relationship on Learning Mathematical Reasoning with Large Language Models" (rejection
sampling fine-tuning, arXiv 2308.01825). The same step is the E-step ("generate") of ReST-EM, Singh et al. 2023, "Beyond
Human Data" (arXiv 2312.06585).

For one problem x: draw y_1..y_k from p(y | x), judge them as one group, and keep {y_i : verdict(x, y_i) = Pass}.

Values: RFT draws k = 100 at temperature 0.7; ReST-EM 32 (mathematics) and 64 (code) at top-k 40 and 0.7. Ours are k = 8
at temperature 1, because a round here is one of several and on-policy samples are wanted; both are arguments.

Left out, because they are curators and hold for any recipe: RFT's choice of *distinct* reasoning paths (exact dedup),
ReST-EM's cap per problem. An answer cut at `max_tokens` was never finished, so it is dropped before it is judged: a
verifier that finds an early number in it would teach the model to go on forever.
Measured: not by itself; as the first half of `improve`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from homeschool.core.errors import UsageError, unknown
from homeschool.core.protocols import Context
from homeschool.core.records import Dropped, Row
from homeschool.core.verdict import Pass

STEP = "rejection_sampling"


class Sampler(Protocol):
    """A Recipe that always returns a list, one entry per answer in sample order, so that others can build on it."""

    def __call__(self, row: Row, ctx: Context) -> Awaitable[list[Row | Dropped]]: ...


def recipe(
    *,
    prompt_column: str = "prompt",
    template: str = "{prompt}",
    chat: bool = False,
    samples: int = 8,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    stop: str | Sequence[str] = (),
) -> Sampler:
    """The recipe: a row with a prompt in; a child for each answer that passes out.

    A child has `prompt`, `completion`, its `tokens` and its `surprise` (minus its log-probability, in nats; None if the
    model does not tell). A row may carry its own `max_tokens` and `stop`.
    `template` turns a text prompt into what is asked; with `chat` it becomes one user message. A prompt that is a list
    of messages is asked as it is. Raises UsageError for values that cannot give distinct samples.
    """
    if samples < 1:
        raise UsageError(f"samples must be at least 1, not {samples}", hint="set samples=8")
    if temperature == 0 and samples > 1:
        raise UsageError(
            f"at temperature 0 all {samples} samples are the same answer", hint="set samples=1, or temperature=1.0"
        )
    if "{prompt}" not in template:
        raise UsageError(f"the template {template!r} has no place for the prompt", hint="write {prompt} in it")

    async def rejection_sampling(row: Row, ctx: Context) -> list[Row | Dropped]:
        prompt = _prompt(row, prompt_column, template=template, chat=chat)
        limit = row.get("max_tokens") or max_tokens
        ends = row.get("stop") or stop
        answers = await ctx.ask(prompt, n=samples, temperature=temperature, top_p=top_p, max_tokens=limit, stop=ends)
        finished = [answer for answer in answers if answer.finish_reason != "length"]
        judged = iter(await ctx.verify(row, [answer.text for answer in finished]) if finished else [])
        results: list[Row | Dropped] = []
        for answer in answers:
            surprise = None if answer.logprobs is None else -math.fsum(answer.logprobs)
            columns = {
                "prompt": prompt,
                "completion": answer.text,
                "tokens": len(answer.token_ids),
                "surprise": surprise,
            }
            if answer.finish_reason == "length":
                child = row.derive(step=STEP, calls=[answer], **columns)
                results.append(Dropped(child, "truncated", STEP))
                continue
            verdict = next(judged)
            child = row.derive(step=STEP, calls=[answer], verdicts=[verdict], **columns)
            if isinstance(verdict, Pass):
                results.append(child)
            else:
                results.append(Dropped(child, f"{verdict.status}: {verdict.reason}".rstrip(": "), STEP))
        return results

    return rejection_sampling


def _prompt(row: Row, column: str, *, template: str, chat: bool) -> str | list[Mapping[str, Any]]:
    if column not in row:
        raise unknown("prompt column", column, row.columns)
    prompt = row[column]
    if not isinstance(prompt, str):
        return list(prompt)
    text = template.replace("{prompt}", prompt)
    return [{"role": "user", "content": text}] if chat else text
