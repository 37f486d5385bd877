"""An exam: problems put to a model once, each answer judged, every item kept, so that any number can be traced.

`sit` asks and judges. An `Exam` is the items, and all its numbers are read off them: accuracy with Wilson's interval,
by group and by level, and pass@k where several samples were drawn. `compare` sets two sittings of the same problems
side by side. The first answer to an item is *the* answer; further samples serve pass@k alone.

What is at fault is kept apart: an answer cut off at its token limit is a Fail (`truncated`) that no verifier sees;
an item whose verdict is Broken says nothing about the model, so it is counted in `broken` and left out of `n`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.identity import canonical, seed_of
from homeschool.core.protocols import Model, Verifier
from homeschool.core.records import Completion, Message, Request, Row, Sampling
from homeschool.core.verdict import Fail, Verdict
from homeschool.engine.answers import AnswerStore
from homeschool.engine.ask import ask_all
from homeschool.engine.files import replacing
from homeschool.engine.progress import Stage
from homeschool.engine.tally import Tally
from homeschool.evaluate.statistics import (
    items_needed,
    mcnemar,
    paired_bootstrap,
    paired_interval,
    pass_at_k,
    wilson,
)

_JUDGED_AT_ONCE = 64
_POINTS_WORTH_SEEING = 2
"""The smallest change that an exam is asked to see, in percentage points, when it says how many items it needs."""


@dataclass(frozen=True, slots=True)
class Item:
    """One problem, the answers to it, and what the verifier said of each; the four tuples go answer by answer."""

    id: str
    """The id of the problem's row: what pairs this item with the same one of another sitting."""
    group: str
    level: int | None
    prompt: str
    answers: tuple[str, ...]
    statuses: tuple[str, ...]
    reasons: tuple[str, ...]
    tokens: tuple[int, ...]

    @property
    def correct(self) -> bool:
        return self.statuses[0] == "pass"

    @property
    def broken(self) -> bool:
        return self.statuses[0] == "broken"

    def pass_at(self, k: int) -> float | None:
        """The unbiased chance that `k` answers hold a right one; None with fewer than `k` that could be judged."""
        judged = [status for status in self.statuses if status != "broken"]
        return pass_at_k(len(judged), judged.count("pass"), k=k) if len(judged) >= k else None


@dataclass(frozen=True, slots=True)
class Exam:
    """The items of one sitting, in problem order, and the numbers they give. Shares and intervals are in 0..1."""

    items: tuple[Item, ...]

    @property
    def judged(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if not item.broken)

    @property
    def broken(self) -> int:
        return len(self.items) - self.n

    @property
    def n(self) -> int:
        return len(self.judged)

    @property
    def accuracy(self) -> float | None:
        """The share of judged items whose first answer passed; None if none could be judged."""
        return sum(item.correct for item in self.judged) / self.n if self.n else None

    @property
    def ci95(self) -> tuple[float, float] | None:
        return wilson(sum(item.correct for item in self.judged), self.n) if self.n else None

    def by_group(self) -> dict[str, Exam]:
        """The exam by heading, in order of appearance, then by level (`level 3`), easiest first."""
        names = list(dict.fromkeys(item.group for item in self.items if item.group))
        parts = {name: Exam(tuple(item for item in self.items if item.group == name)) for name in names}
        for level in sorted({item.level for item in self.items if item.level is not None}):
            parts[f"level {level}"] = Exam(tuple(item for item in self.items if item.level == level))
        return parts

    def only(self, name: str) -> Exam:
        """The part under one heading or level; an empty exam if there is none."""
        return self.by_group().get(name, Exam(()))

    @property
    def samples(self) -> int:
        """Answers per item: the most, if items differ."""
        return max((len(item.statuses) for item in self.items), default=0)

    def pass_at(self, k: int) -> dict[str, float | None]:
        """The mean pass@k of each group and level, and of `all`; None where no item has `k` judged answers."""
        parts = {"all": self, **self.by_group()}
        return {name: _mean([item.pass_at(k) for item in part.items]) for name, part in parts.items()}

    def pass_at_change(self, before: Exam, *, seed: int = 0) -> dict[str, dict[str, dict[str, Any]]]:
        """The change of mean pass@k since `before`, k being the samples both have, paired on items.

        Tango's interval where every item is solved or not, else the bootstrap's.

        Returns `{k: {group: {gain_points, ci95, n}}}`. A group without one item that has `k` judged answers in both
        exams is left out.
        """
        k = min(self.samples, before.samples)
        gains: dict[str, dict[str, Any]] = {}
        for name, part in {"all": self, **self.by_group()}.items():
            old = before if name == "all" else before.only(name)
            scores = [(a.pass_at(k), b.pass_at(k)) for a, b in _matched(old, part)] if k > 1 else []
            known = [(a, b) for a, b in scores if a is not None and b is not None]
            if known:
                old_scores, new_scores = [a for a, _ in known], [b for _, b in known]
                # With k of k samples an item is solved or not; resampling gives no width where none of them changed.
                binary = set(old_scores) | set(new_scores) <= {0.0, 1.0}
                change = (
                    paired_interval(list(map(bool, old_scores)), list(map(bool, new_scores)))
                    if binary
                    else paired_bootstrap(old_scores, new_scores, seed=seed)
                )
                limits = [100 * change.low, 100 * change.high]
                gains[name] = {"gain_points": 100 * change.difference, "ci95": limits, "n": len(known)}
        return {str(k): gains} if gains else {}

    def to_dict(self) -> dict[str, Any]:
        """What reports and `result.json` hold; `pass_at` only where several samples were drawn.

        A level also names the `group` that all its items share, if one does.
        """
        groups = {name: _numbers(part) for name, part in self.by_group().items()}
        for name, part in self.by_group().items():
            shared = {item.group for item in part.items}
            if name not in shared and len(shared) == 1 and shared != {""}:
                groups[name]["group"] = shared.pop()
        summary = {**_numbers(self), "broken": self.broken, "groups": groups}
        return summary | ({"pass_at": {str(self.samples): self.pass_at(self.samples)}} if self.samples > 1 else {})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sittings of the same problems: what changed, item by item. Gain and interval are in percentage points."""

    gain_points: float
    ci95: tuple[float, float]
    p_value: float
    """McNemar's exact test, two-sided."""
    improved: int
    """Items right after and not before."""
    worsened: int
    n: int
    items_needed: int | None
    """Items an exam needs to see a gain of 2 points in 4 of 5 sittings, if as many items turn both ways as here."""
    items_needed_half: int | None
    """The same for half of this gain; None if there was none. Both are None without a common item."""

    def to_dict(self) -> dict[str, Any]:
        needed = {"points": _POINTS_WORTH_SEEING, "n": self.items_needed, "half_gain_n": self.items_needed_half}
        named = {name: value for name, value in asdict(self).items() if not name.startswith("items_needed")}
        return {**named, "ci95": list(self.ci95), "items_needed": needed}


class Progress(TypedDict, total=False):
    """Where `ask_all` tells how far it is; both are passed on as they are."""

    tally: Tally | None
    stage: Stage | None


async def sit(
    model: Model,
    problems: Sequence[Row],
    verifier: Verifier,
    *,
    store: AnswerStore | None,
    sampling: Sampling,
    samples: int = 1,
    seed: int = 0,
    render: Callable[[Row], str | tuple[Message, ...]] | None = None,
    **progress: Unpack[Progress],
) -> Exam:
    """Put `problems` to `model`, `samples` answers each, and judge them; items come back in problem order.

    `sampling` is used as given (temperature 0 is the greedy exam) but for a problem's columns `max_tokens` and `stop`.
    `render` makes a problem's prompt; without it, its column `prompt` is the prompt. A killed sitting asks only for
    the answers that the store lacks. Raises UsageError for no problems, for two of the same id, and for several
    samples at temperature 0, which are one answer.
    """
    _check(problems, sampling, samples)
    requests = [
        Request(
            prompt=render(row) if render else _prompt(row["prompt"]),
            sampling=replace(
                sampling,
                max_tokens=row.get("max_tokens") or sampling.max_tokens,
                stop=tuple(row.get("stop") or sampling.stop),
            ),
            seed=seed_of(seed, "exam", row.id),
            n=samples,
        )
        for row in problems
    ]
    answers = await ask_all(model, requests, store=store, **progress)
    turns = asyncio.Semaphore(_JUDGED_AT_ONCE)

    async def item(row: Row, completions: Sequence[Completion]) -> Item:
        async with turns:
            verdicts = await _judge(row, completions, verifier=verifier)
        return _item(row, completions, verdicts=verdicts)

    pairs = zip(problems, answers, strict=True)
    return Exam(tuple(await asyncio.gather(*(item(row, completions) for row, completions in pairs))))


def compare(before: Exam, after: Exam) -> Comparison:
    """What changed between two sittings, over the items that both have and both could judge.

    Without one such item nothing is known, and the comparison says so: n = 0, an interval from -100 to 100.
    """
    pairs = [(a, b) for a, b in _matched(before, after) if not (a.broken or b.broken)]
    if not pairs:
        return Comparison(0.0, (-100.0, 100.0), 1.0, 0, 0, n=0, items_needed=None, items_needed_half=None)
    old, new = [first.correct for first, _ in pairs], [second.correct for _, second in pairs]
    n = len(pairs)
    improved = sum(not a and b for a, b in zip(old, new, strict=True))
    worsened = sum(a and not b for a, b in zip(old, new, strict=True))
    interval = paired_interval(old, new)
    # Items that would turn either way without any gain: twice the rarer kind. A true gain comes on top of them.
    churn, half, worth = 2 * min(improved, worsened) / n, abs(interval.difference) / 2, _POINTS_WORTH_SEEING / 100
    return Comparison(
        gain_points=100 * interval.difference,
        ci95=(100 * interval.low, 100 * interval.high),
        p_value=mcnemar(worsened, improved),
        improved=improved,
        worsened=worsened,
        n=n,
        items_needed=items_needed(min(1.0, churn + worth), worth),
        items_needed_half=items_needed(min(1.0, churn + half), half) if half else None,
    )


def write_items(path: Path, exam: Exam) -> None:
    """One line of JSON per item, written aside and renamed: the same exam gives the same bytes."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        file.writelines(canonical(asdict(item)) + "\n" for item in exam.items)


def read_items(path: Path) -> Exam:
    """The inverse of `write_items`. Raises HomeschoolError naming the line that is not an item."""
    items: list[Item] = []
    with path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            try:
                items.append(_read(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                hint = "delete the file and run the same command again"
                raise HomeschoolError(f"line {number} of {path} is not an exam item ({error})", hint=hint) from error
    return Exam(tuple(items))


def _prompt(prompt: str | Sequence[Mapping[str, Any]]) -> str | tuple[Message, ...]:
    """A column's text, or its messages, as a request has them."""
    return prompt if isinstance(prompt, str) else tuple(map(Message.from_dict, prompt))


def _check(problems: Sequence[Row], sampling: Sampling, samples: int) -> None:
    if not problems:
        raise UsageError("the exam has no problems", hint="name a problem file with at least one line")
    ids = [row.id for row in problems]
    twice = next((row_id for row_id in ids if ids.count(row_id) > 1), None) if len(set(ids)) < len(ids) else None
    if twice:
        raise UsageError(f"the exam holds problem {twice} twice", hint="remove the second one from the problem file")
    if samples > 1 and sampling.temperature == 0:
        raise UsageError(f"{samples} samples at temperature 0 are one answer", hint="set a temperature such as 1.0")


async def _judge(row: Row, completions: Sequence[Completion], *, verifier: Verifier) -> list[Verdict]:
    """One verdict per answer; only whole answers reach the verifier, as one group."""
    verdicts: list[Verdict] = [Fail(reason="truncated")] * len(completions)
    whole = [index for index, completion in enumerate(completions) if completion.finish_reason != "length"]
    said = await verifier(row, [completions[index].text for index in whole]) if whole else []
    for index, verdict in zip(whole, said, strict=True):
        verdicts[index] = verdict
    return verdicts


def _item(row: Row, completions: Sequence[Completion], *, verdicts: Sequence[Verdict]) -> Item:
    prompt = row["prompt"]
    return Item(
        id=row.id,
        group=row.get("group") or "",
        level=row.get("level"),
        prompt=prompt if isinstance(prompt, str) else canonical(prompt),
        answers=tuple(completion.text for completion in completions),
        statuses=tuple(verdict.status for verdict in verdicts),
        reasons=tuple(verdict.reason for verdict in verdicts),
        tokens=tuple(len(completion.token_ids) for completion in completions),
    )


def _read(record: Mapping[str, Any]) -> Item:
    answerwise = {name: tuple(record[name]) for name in ("answers", "statuses", "reasons", "tokens")}
    return Item(record["id"], record["group"], record["level"], record["prompt"], **answerwise)


def _numbers(exam: Exam) -> dict[str, Any]:
    return {"accuracy": exam.accuracy, "n": exam.n, "ci95": list(exam.ci95) if exam.ci95 else None}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _matched(before: Exam, after: Exam) -> list[tuple[Item, Item]]:
    """The same item of both sittings, in the order of `before`."""
    others = {item.id: item for item in after.items}
    return [(item, others[item.id]) for item in before.items if item.id in others]
