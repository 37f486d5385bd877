"""`judge`: another model's opinion (LLM as a judge, arXiv:2306.05685, Zheng et al. 2023).

The model in role `judge` (`--role judge=MODEL`) is shown the row's `prompt`, its source text (`source` or `context`),
its `reference` if it has one, and one answer, and scores it by a rubric: the option `rubric`, else column `rubric`,
else the one at the foot of this file. With `pairs=true` it compares two answers instead, in both orders: the paper
found that judges favour a place (GPT-4 kept its opinion in 65% of swapped pairs), so a winner is one that wins in both.

    judge(rubric="...", scale=5, votes=3, pass_at=4, pairs=false, max_tokens=1024)

*Scores.* `judge` is the score from 0 (lowest of the scale) to 1. An answer passes at `pass_at` points of the scale
(three quarters of the way up, unless given). With one vote the judge reasons greedily and ends in `Score: N`; with more
it does so `votes` times, and the mean counts. A judge whose card offers log-probabilities is first asked, with several
votes, for the number alone, and the expected score over the digits drawn counts, each with its own probability,
renormalised (G-Eval, arXiv:2303.16634): digits that were not drawn are left out, because a completion carries the
log-probabilities of its own tokens only. Scales above 9 are not asked so: `10` may be two tokens.

*Pairs.* Column `reference`: each answer is compared with it. Without: the group must be two answers. Pass for the
winner of both orders, Fail (`the other is better`) for the loser, Abstain (`no winner`) where the orders disagree;
score `win`.

Broken, never a score: no model in the role (`no judge`), `judge refused`, `judge was cut off`, `judge is unreadable`
(the last line is no verdict), `judge cannot be asked` (too long for it), `no prompt`, `no pair`. How the answer is kept
from talking to the judge stands in `jury`. Known limits: judges favour long answers and their own; a judge is as good
as its agreement with people, which nobody has measured here: it needs a capable model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context
from homeschool.core.records import Completion, ModelCard, Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.jury import Unread, ask_judge, judge_card, material, no_judge, once_each, stated, words_of

_DIRECT_SCALE = 9
_DIRECT_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Judge:
    rubric: str = ""
    scale: int = 5
    votes: int = 1
    pass_at: float = 4.0
    pairs: bool = False
    max_tokens: int = 1024
    name: str = "judge@1"

    @property
    def grouped(self) -> bool:
        return self.pairs

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        card = judge_card(ctx)
        if ctx is None or card is None:
            return [no_judge(self.name) for _ in answers]
        if not words_of(row.get("prompt")).strip() and not self._rubric(row):
            return [self._broken("no prompt", "the row has neither a prompt nor a rubric") for _ in answers]
        if self.pairs and not words_of(row.get("reference")).strip():
            return await self._compared(row, answers, ctx, card)
        opinion = self._against_reference if self.pairs else self._scored
        return await once_each(answers, lambda answer: opinion(row, answer, ctx, card), ctx)

    async def _scored(self, row: Row, answer: str, ctx: Context, card: ModelCard) -> Verdict:
        told = material({**_about(row), "reference": words_of(row.get("reference")), "answer": answer})
        asked = {"rubric": self._rubric(row) or RUBRIC, "high": self.scale, "material": told}
        found = None
        if self.votes > 1 and self.scale <= _DIRECT_SCALE and "logprobs" in card.capabilities:
            found = await self._expected(DIRECT.format(**asked), ctx, card)
        if found is None:
            found = await self._voted(WRITTEN.format(**asked), ctx, card)
        if isinstance(found, Unread):
            return found.broken(self.name)
        score, how = found
        scores = {"judge": (score - 1) / (self.scale - 1)}
        evidence = shown(f"{score:.2f} of {self.scale} ({how})", limit=400)
        if score >= self.pass_at:
            return Pass(scores, evidence=evidence, verifier=self.name)
        return Fail(scores, "scored low", evidence, self.name)

    async def _expected(self, prompt: str, ctx: Context, card: ModelCard) -> tuple[float, str] | None:
        """The expected score, and how it came about; None if the judge does not answer with a digit alone."""
        found = await ask_judge(
            ctx, card, prompt, votes=self.votes, read=self._digit, max_tokens=_DIRECT_TOKENS, logprobs=True
        )
        if isinstance(found, Unread):
            return None
        weights = dict(found.read)
        how = ", ".join(f"p({score}) = {math.exp(weight):.3f}" for score, weight in sorted(weights.items()))
        return expected_score(weights), how

    async def _voted(self, prompt: str, ctx: Context, card: ModelCard) -> tuple[float, str] | Unread:
        """The mean of votes that were reasoned, and how it came about."""
        found = await ask_judge(ctx, card, prompt, votes=self.votes, read=self._score, max_tokens=self.max_tokens)
        if isinstance(found, Unread):
            return found
        said = " ".join(found.words[-300:].split())
        return sum(found.read) / len(found.read), f"votes {', '.join(map(str, found.read))}: {said!r}"

    def _digit(self, answer: Completion) -> tuple[int, float] | None:
        """A score that is the answer's first token, with its log-probability."""
        digit = answer.text.strip()
        # White space before it could be a token of its own, and then the first log-probability is not the digit's.
        if len(digit) != 1 or not answer.text.startswith(digit) or not answer.logprobs:
            return None
        return (int(digit), answer.logprobs[0]) if digit.isdecimal() and 1 <= int(digit) <= self.scale else None

    def _score(self, answer: Completion) -> int | None:
        number = (
            stated(answer.text, "Score", rf"[0-9]{{1,2}}(?=$|\W)(?:\s?/\s?{self.scale})?").partition("/")[0].strip()
        )
        return int(number) if number and 1 <= int(number) <= self.scale else None

    async def _compared(self, row: Row, answers: Sequence[str], ctx: Context, card: ModelCard) -> list[Verdict]:
        if len(answers) != 2:
            why = f"{len(answers)} answers and no column `reference`: two answers make a pair"
            return [self._broken("no pair", why) for _ in answers]
        first, second = answers
        won = await self._duel(row, first, second, ctx, card)
        return [self._of_duel(won, 1), self._of_duel(won, -1)]

    async def _against_reference(self, row: Row, answer: str, ctx: Context, card: ModelCard) -> Verdict:
        return self._of_duel(await self._duel(row, answer, words_of(row["reference"]), ctx, card), 1)

    async def _duel(self, row: Row, first: str, second: str, ctx: Context, card: ModelCard) -> int | Unread:
        """1 if the first answer wins in both orders, -1 if the second does, else 0."""
        if first.strip() == second.strip():
            return 0
        orders = await ctx.gather(
            self._preferred(row, first, second, ctx, card), self._preferred(row, second, first, ctx, card)
        )
        for order in orders:
            if isinstance(order, Unread):
                return order
        here, swapped = orders
        return here if here == -swapped else 0

    async def _preferred(self, row: Row, a: str, b: str, ctx: Context, card: ModelCard) -> int | Unread:
        """1 if more than half of the votes are for the answer shown first, -1 if for the other, else 0."""
        told = material({**_about(row), "answer A": a, "answer B": b})
        prompt = PAIR.format(rubric=self._rubric(row) or RUBRIC, material=told)
        found = await ask_judge(ctx, card, prompt, votes=self.votes, read=_winner, max_tokens=self.max_tokens)
        if isinstance(found, Unread):
            return found
        winner, count = Counter(found.read).most_common(1)[0]
        return winner if 2 * count > len(found.read) else 0

    def _of_duel(self, won: int | Unread, side: int) -> Verdict:
        if isinstance(won, Unread):
            return won.broken(self.name)
        if won == 0:
            return Abstain({"win": 0.5}, "no winner", "the two orders do not agree on one", self.name)
        if won == side:
            return Pass({"win": 1.0}, verifier=self.name)
        return Fail({"win": 0.0}, "the other is better", "in both orders", self.name)

    def _rubric(self, row: Row) -> str:
        return self.rubric or words_of(row.get("rubric")).strip()

    def _broken(self, reason: str, evidence: str) -> Broken:
        return Broken(reason=reason, evidence=evidence, verifier=self.name)


def verifier(
    *,
    rubric: str = "",
    scale: int = 5,
    votes: int = 1,
    pass_at: float | None = None,
    pairs: bool = False,
    max_tokens: int = 1024,
) -> Judge:
    """The verifier `judge`. Raises UsageError for a scale that is not 1 to 2..10, no votes, or an unreachable pass."""
    if not 2 <= scale <= 10:
        raise UsageError(f"scale={scale} is no scale for a judge", hint="write scale=5 for 1 to 5, or scale=10")
    if votes < 1 or max_tokens < 1:
        raise UsageError(f"votes={votes}, max_tokens={max_tokens}: nothing would be said", hint="give 1 or more")
    least = 1 + 0.75 * (scale - 1) if pass_at is None else pass_at
    if not 1 <= least <= scale:
        raise UsageError(f"pass_at={least} is not on the scale 1 to {scale}", hint=f"write pass_at={scale - 1}")
    return Judge(rubric, scale, votes, least, pairs, max_tokens)


def expected_score(weights: dict[int, float]) -> float:
    """sum p(s) s / sum p(s) over scores s with the log-probabilities `weights`, of which there is at least one."""
    most = max(weights.values())
    shares = {score: math.exp(weight - most) for score, weight in weights.items()}
    return sum(score * share for score, share in shares.items()) / sum(shares.values())


def _about(row: Row) -> dict[str, str]:
    source = words_of(row.get("source")) or words_of(row.get("context"))
    return {"question": words_of(row.get("prompt")), "source text": source}


def _winner(answer: Completion) -> int | None:
    return {"a": 1, "b": -1, "tie": 0}.get(stated(answer.text, "Winner", "A|B|tie").lower())


RUBRIC = """\
Correct: what it states is true, and its result is right.
Complete: it answers all of the question.
Relevant: it answers the question that was asked, and nothing beside it.
Faithful: where there is a source text, it states nothing that the source does not support.
Clear: it can be followed. Length by itself is no merit."""

WRITTEN = """\
You judge an answer by these criteria:

{rubric}

{material}

Go through the criteria one by one, and say for each, in one sentence, how well the answer meets it. Then end with one
line that holds the overall score from 1 (meets none) to {high} (meets all) and nothing else, in this form:

Score: N"""

DIRECT = """\
You judge an answer by these criteria:

{rubric}

{material}

How well does the answer meet the criteria, from 1 (none) to {high} (all)? Answer with the number alone."""

PAIR = """\
You compare two answers to the same question by these criteria:

{rubric}

{material}

Go through the criteria one by one, and say for each, in one sentence, which answer meets it better. The order in which
they are shown means nothing. Then end with one line that holds the verdict and nothing else, one of these three:

Winner: A
Winner: B
Winner: tie"""
