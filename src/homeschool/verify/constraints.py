"""`constraints`: the answer follows every machine-checkable instruction of its row (IFEval, arXiv:2311.07911).

Needs column `constraints`, a list of `{"id": "length_constraints:number_words", "kwargs": {"relation": "at least",
"num_words": 300}}` (`kwargs` may be left out or hold None for what an instruction does not take; JSON text is read
too), or IFEval's own two columns `instruction_id_list` and `kwargs`. The ids are the 25 of IFEval (`instructions`) and
those of `more_instructions`.

Pass only if all are followed; a Fail's reason names the first one broken, its evidence says how. Scores: `correct`,
`share` (followed / all) and one score for each id. An empty answer follows nothing, and neither does one that only
repeats the prompt (column `prompt`). An unknown id or a wrong argument is `Broken`, naming it.

`loose=True` is IFEval's second accuracy: an instruction is also followed if it would be without the first line, the
last line, the asterisks, or any mixture of these. Only the strict one is safe to learn from.

Known limits: form is judged, not sense. Seven hundred times `a` is 700 words, and only `all_of` with a verifier of
content helps. Measured: see `docs/verifiers.md`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from homeschool.core.errors import nearest
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.instructions import IFEVAL
from homeschool.verify.more_instructions import MORE
from homeschool.verify.words import only_echoes, visible

LONGEST = 200_000
"""An answer of more characters is not read."""

INSTRUCTIONS = {**IFEVAL, **MORE}
Check = tuple[str, Callable[[str], str]]
"""An id, and what is wrong with a text by it (nothing: an empty text)."""


def _one(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"constraints": [{"id": name, "kwargs": kwargs}]}


_IFEVAL_ROW = {
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{}, {"relation": "at least", "num_words": 5, "num_bullets": None}],
}
_LIST = _one("detectable_format:number_bullet_lists", num_bullets=2)
_FORBIDDEN = _one("keywords:forbidden_words", forbidden_words=["nickname"])
_REPEAT = _one("combination:repeat_prompt", prompt_to_repeat="Name a colour.")
GOLD: list[tuple[dict[str, Any], str]] = [
    (_LIST, "Two things:\n* tea\n- milk"),
    (_IFEVAL_ROW, "The lazy dog sleeps all day."),
    (_FORBIDDEN, "Her name is Ann."),
    (_REPEAT, "Name a colour.\n\nBlue."),
    (_one("detectable_format:json_format"), '```json\n{"a": [1, 2]}\n```'),
    (_one("change_case:english_lowercase"), "the quick brown fox jumps over the lazy dog."),
    (_one("language:response_language", language="de"), "Heute morgen regnete es, und wir blieben zu Hause."),
    (_one("json:keys", keys=["name", "age"]), '{"name": "Ann", "age": 7}'),
    (_one("count:words", least=2, most=4), "three short words"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    (_IFEVAL_ROW, "The lazy dog, it sleeps all day."),
    (_IFEVAL_ROW, "The lazy dog sleeps."),
    (_IFEVAL_ROW, "a\u200bb\u200bc\u200bd\u200be"),
    (_LIST, "Two things:\n* tea"),
    (_FORBIDDEN, "Her nickname is Ann."),
    (_FORBIDDEN, "Her nick\u200bname is Ann."),
    (_FORBIDDEN, "Her niсkname is Ann."),  # noqa: RUF001
    (_REPEAT, "Name a colour.\n"),
    (_one("detectable_format:json_format"), '{"a": [1, 2}'),
    (_one("change_case:english_lowercase"), "The quick brown fox jumps over the lazy dog."),
    (_one("language:response_language", language="de"), "This morning it rained and we stayed at home."),
    (_one("json:keys", keys=["name", "age"]), '{"name": "Ann"}'),
    (_one("count:words", least=2, most=4), "five words are too many"),
    ({**_one("count:words", least=2), "prompt": "Write two words."}, "Write two words. Write two words."),
]


@dataclass(frozen=True, slots=True)
class Constraints:
    loose: bool = False
    name: str = "constraints@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        try:
            checks = [_check(name, kwargs) for name, kwargs in _stated(row.columns)]
        except ValueError as error:
            broken = Broken(reason="constraints cannot be read", evidence=shown(str(error)), verifier=self.name)
            return [broken for _ in answers]
        prompt = row.get("prompt")
        return [self._judge(checks, prompt if isinstance(prompt, str) else "", answer) for answer in answers]

    def _judge(self, checks: list[Check], prompt: str, answer: str) -> Verdict:
        if len(answer) > LONGEST:
            return self._nothing("answer too long", f"{len(answer)} characters")
        text = visible(answer)
        if not text.strip():
            return self._nothing("empty answer", shown(repr(answer)))
        if only_echoes(text, prompt):
            return self._nothing("only repeats the prompt", shown(text))
        faults = [(name, self._fault(check, text)) for name, check in checks]
        scores = dict.fromkeys((name for name, _ in faults), 1.0)
        for name, fault in faults:
            scores[name] = 0.0 if fault else scores[name]
        scores["share"] = sum(not fault for _, fault in faults) / len(faults)
        scores["correct"] = float(scores["share"] == 1.0)
        broken = [(name, fault) for name, fault in faults if fault]
        if not broken:
            return Pass(scores, verifier=self.name)
        return Fail(scores, f"not followed: {broken[0][0]}", shown(broken[0][1]), self.name)

    def _fault(self, check: Callable[[str], str], text: str) -> str:
        """What is wrong; if loose, nothing is as soon as one reading of the text is right."""
        first = check(text)
        if not first or not self.loose:
            return first
        others = [reading for reading in readings(text) if reading.strip()]
        return "" if any(not check(reading) for reading in others) else first

    def _nothing(self, reason: str, evidence: str) -> Fail:
        return Fail({"correct": 0.0, "share": 0.0}, reason, evidence, self.name)


def verifier(*, loose: bool = False) -> Constraints:
    """The verifier `constraints`."""
    return Constraints(loose)


def readings(text: str) -> list[str]:
    """IFEval's seven other readings of an answer: without its first line, last line, both, and each without `*`."""
    lines = text.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [*cut, *(part.replace("*", "") for part in (text, *cut))]


def _stated(columns: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The ids and arguments in a row. Raises ValueError, saying what is wrong."""
    if columns.get("constraints") is not None:
        stated = _parsed(columns["constraints"])
        if not all(isinstance(each, Mapping) and isinstance(each.get("id"), str) for each in stated):
            raise ValueError("column `constraints` is not a list of {id, kwargs}")
        pairs = [(each["id"], each.get("kwargs")) for each in stated]
    elif columns.get("instruction_id_list") is not None:
        ids, kwargs = _parsed(columns["instruction_id_list"]), _parsed(columns.get("kwargs"))
        if len(ids) != len(kwargs):
            raise ValueError(f"{len(ids)} instruction ids but {len(kwargs)} kwargs")
        pairs = list(zip(ids, kwargs, strict=True))
    else:
        raise ValueError("neither column `constraints` nor `instruction_id_list` is there")
    if not pairs:
        raise ValueError("the list of constraints is empty")
    return [(name, {} if kwargs is None else kwargs) for name, kwargs in pairs]


def _parsed(value: Any) -> list[Any]:
    """A list, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"not JSON: {shown(value, limit=80)}") from None
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise ValueError(f"not a list: {shown(repr(value), limit=80)}")
    return list(value)


def _check(name: Any, kwargs: Any) -> Check:
    """One instruction with its arguments read. Raises ValueError, naming it."""
    if not isinstance(name, str) or name not in INSTRUCTIONS:
        raise ValueError(f"unknown instruction {name!r}: {nearest(str(name), INSTRUCTIONS)}")
    if not isinstance(kwargs, Mapping):
        raise ValueError(f"kwargs of {name} are not a mapping: {shown(repr(kwargs), limit=80)}")
    try:
        return name, partial(INSTRUCTIONS[name].check, **INSTRUCTIONS[name].read(kwargs))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
