"""`rubric`: a checklist of yes-or-no items, each `yes` shown by a quotation, and one overall grade.

The model in role `judge` (`--role judge=MODEL`) is shown the row's `prompt`, its source text (`source` or `context`)
and one answer, and answers, as JSON, `yes` or `no` to every item, with the words of the answer that show it, and an
overall grade from 1 to 5. A `yes` counts only if its quotation really stands in the answer, up to white space and case:
a judge that is kind, or was talked into it, must still find the words. A quotation shorter than 8 characters shows
nothing, unless it is the whole answer.

    rubric(items=["states the result", "names the unit"], pass_at=0.8, max_tokens=1024)

Items are the option `items`, else column `rubric`: a list of texts, or a text with one item a line. An answer passes if
the share of items that count is at least `pass_at`. Scores: `item_1`, `item_2`, ... (0 or 1), `share`, and `global`
(the grade, from 0 to 1; it decides nothing). `evidence` names the items that do not count.

Broken: `no judge`, `no rubric`, and what a judge may do wrong (see `jury`). Known limit: what is missing cannot be
quoted, so put items as things that are there ("states the price", not "does not forget the price"). The idea of items
in place of one number is old in grading; how well they agree with people is not measured here: it needs a capable
model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context
from homeschool.core.records import ModelCard, Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.jury import Unread, ask_typed, judge_card, material, no_judge, once_each, words_of

GRADES = 5
SHORTEST = 8
"""Characters of a quotation that shows something."""


@dataclass(frozen=True, slots=True)
class Rubric:
    items: tuple[str, ...] = ()
    pass_at: float = 0.8
    max_tokens: int = 1024
    name: str = "rubric@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        items = self.items or items_of(row.get("rubric"))
        if not items:
            why = "neither the option `items` nor column `rubric` holds any"
            return [Broken(reason="no rubric", evidence=why, verifier=self.name) for _ in answers]
        card = judge_card(ctx)
        if ctx is None or card is None:
            return [no_judge(self.name) for _ in answers]
        return await once_each(answers, lambda answer: self._checked(row, items, answer, ctx, card), ctx)

    async def _checked(self, row: Row, items: Sequence[str], answer: str, ctx: Context, card: ModelCard) -> Verdict:
        source = words_of(row.get("source")) or words_of(row.get("context"))
        told = material({"question": words_of(row.get("prompt")), "source text": source, "answer": answer})
        listed = "\n".join(f"item_{number}: {item}" for number, item in enumerate(items, start=1))
        prompt = PROMPT.format(items=listed, material=told, grades=GRADES)
        found = await ask_typed(ctx, card, prompt, schema=schema_of(len(items)), max_tokens=self.max_tokens)
        if isinstance(found, Unread):
            return found.broken(self.name)
        scores: dict[str, float] = {}
        missing: list[str] = []
        for number, item in enumerate(items, start=1):
            said = found[f"item_{number}"]
            yes = said["met"] == "yes" and quoted(said["quote"], answer)
            scores[f"item_{number}"] = float(yes)
            if not yes:
                missing.append(f"{item} ({'no such words' if said['met'] == 'yes' else 'no'})")
        share = sum(scores.values()) / len(items)
        scores |= {"share": share, "global": (found["grade"] - 1) / (GRADES - 1)}
        evidence = shown(f"not met: {'; '.join(missing)}", limit=400) if missing else ""
        if share >= self.pass_at:
            return Pass(scores, evidence=evidence, verifier=self.name)
        return Fail(scores, "too few items met", evidence, self.name)


def verifier(*, items: Sequence[str] = (), pass_at: float = 0.8, max_tokens: int = 1024) -> Rubric:
    """The verifier `rubric`. Raises UsageError for a share that is none."""
    if not 0 < pass_at <= 1:
        raise UsageError(f"pass_at={pass_at} is no share of the items", hint="write for example pass_at=0.8")
    return Rubric(tuple(items), pass_at, max_tokens)


def items_of(column: Any) -> tuple[str, ...]:
    """The items in a column: a list of texts, or a text with one a line, with or without bullets."""
    if isinstance(column, str):
        column = [line.strip().lstrip("-*•").strip() for line in column.splitlines()]
    if not isinstance(column, (list, tuple)):
        return ()
    return tuple(item.strip() for item in column if isinstance(item, str) and item.strip())


def quoted(quote: str, answer: str) -> bool:
    """Whether `quote` stands in `answer`, up to white space and case, and is long enough to show something."""
    words, whole = _plain(quote), _plain(answer)
    return len(words) >= min(SHORTEST, len(whole)) > 0 and words in whole


def schema_of(count: int) -> Mapping[str, Any]:
    """The JSON Schema of a filled-in checklist: every field required and no other, as servers want it."""
    quote = {"type": "string"}
    item = _closed({"quote": quote, "met": {"type": "string", "enum": ["yes", "no"]}})
    items: dict[str, Any] = {f"item_{number}": item for number in range(1, count + 1)}
    return _closed({**items, "grade": {"type": "integer", "minimum": 1, "maximum": GRADES}})


def _closed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold().strip("\"'“”‘’ ")  # noqa: RUF001


PROMPT = """\
You check an answer against a list of items:

{items}

{material}

For every item say whether the answer meets it: "yes" or "no". For a "yes" copy into "quote" the words of the answer
that show it, exactly as they stand there and without the "| " before a line; for a "no" leave "quote" empty. An item of
which you can quote nothing is a "no". In "grade" give the answer as a whole 1 (useless) to {grades} (could not be
better). Answer with JSON only."""
