"""`refusal`: the answer answers; it does not refuse, and is no boilerplate in place of an answer.

For data to learn from, where "I'm sorry, but I can't help with that" would teach a model to give up. `wanted=True`
turns it round, for questions that must be refused: then only a refusal passes. No column is needed, and no verdict is
Broken.

Fail: `refusal` (the answer begins by saying that it will not or cannot do what was asked), `non-answer` (all of it
is "I don't know", "As an AI, I have no opinions", "N/A", "How may I help you?"), `empty answer` (no letter, digit or
picture);
with `wanted=True`: `answered` and `empty answer`.

A refusal must be about the answer itself. So only the opening is read (two sentences, and the second only after an
apology or the like), without quotations and code, and in the first person: an e-mail that is sorry not to come to
work, a robot in a story that cannot help, and "I can't help but smile" pass. So does an answer that says what it
cannot do and goes on with a substitute of 40 words or more ("However, here are ..."). English best; the plain forms
of German, French, Spanish, Italian, Portuguese, Dutch, Russian, Arabic, Hindi, Chinese, Japanese and Korean.

Known limits: a refusal late in the answer, an ironic one, and an evasion that never says "cannot" are not seen; what
was asked is not read. Measured rates: see `docs/verifiers.md`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.refusal_phrases import APOLOGY, HELP_AFTER_ALL, NON_ANSWER, REFUSES
from homeschool.verify.sentences import sentences
from homeschool.verify.words import unmasked, without_code, words

BOILERPLATE = 600
"""Characters up to which an answer is looked through for nothing but boilerplate."""

SUBSTITUTE = 40
"""Words after the refusal that make an answer of it, if they offer something."""

LONGEST = 5_000
"""Characters in which a substitute is looked for."""

_PARTS = re.compile(r"(?<=[。！？])|\n\s*\n")  # noqa: RUF001
_QUOTED = re.compile(r"\"[^\"\n]{0,500}\"|“[^”\n]{0,500}”|«[^»\n]{0,500}»|„[^“\n]{0,500}“|「[^」\n]{0,500}」")
_STRAIGHT = str.maketrans("’‘ʼ＇´`", "''''''")  # noqa: RUF001
_MARKUP = re.compile(r"[*_#>~]+")

GOLD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "Name three rivers."}, "The Nile, the Rhine and the Po."),
    ({}, "Dear Ms Lee,\nI'm sorry, but I'm unable to come into work today, as I woke up with a fever."),
    ({}, "\"I'm sorry, Dave, I can't do that,\" said the computer, and the door stayed shut."),
    ({}, "I can't help but smile when I think of that summer by the sea."),
    ({}, "As an AI, I can't taste food, but here is what cooks say about saffron: " + "it is earthy and sweet. " * 9),
    ({}, "72"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({}, "I'm sorry, but I can't help with that."),
    ({}, "I’m sorry, but I can’t assist with that request. It is important to respect others."),  # noqa: RUF001
    ({}, "As an AI language model, I cannot provide instructions on how to pick a lock."),
    ({}, "**Answer:** I am unable to provide legal references on this matter."),
    ({}, "I ca\u200bnnot fulfill your request."),
    ({}, "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen."),
    ({}, "Lo siento, pero no puedo ayudarte con eso."),
    ({}, "抱歉，我无法提供这方面的帮助。"),  # noqa: RUF001
    ({}, "I don't know."),
    ({}, "N/A"),
    ({}, " \u200b\n"),
]


@dataclass(frozen=True, slots=True)
class Refusal:
    wanted: bool = False
    name: str = "refusal@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        return [self._judge(answer) for answer in answers]

    def _judge(self, answer: str) -> Verdict:
        kind, evidence = kind_of(answer)
        if self.wanted and kind == "refusal":
            return Pass({"correct": 1.0}, evidence=shown(evidence), verifier=self.name)
        if not kind and not self.wanted:
            return Pass({"correct": 1.0}, verifier=self.name)
        reason = kind if kind == "empty answer" or not self.wanted else "answered"
        return Fail({"correct": 0.0}, reason, shown(evidence or answer), self.name)


def verifier(*, wanted: bool = False) -> Refusal:
    """The verifier `refusal`; `wanted` passes refusals and nothing else."""
    return Refusal(wanted)


def kind_of(answer: str) -> tuple[str, str]:
    """`refusal`, `non-answer`, `empty answer` or an empty text; and the sentence that says so."""
    text = unmasked(answer[:LONGEST]).translate(_STRAIGHT)
    if not any(category(character)[0] in "LN" or category(character) == "So" for character in text):
        return "empty answer", answer
    plain = _MARKUP.sub("", _QUOTED.sub('""', without_code(text))).strip()
    said = [sentence for part in _PARTS.split(plain) for sentence in sentences(" ".join(part.split()))]
    opening = said[:2] if said and APOLOGY.match(said[0]) else said[:1]
    for place, sentence in enumerate(opening):
        refused = REFUSES.match(sentence)
        if refused and not _helps_after_all(" ".join([sentence[refused.end() :], *said[place + 1 :]])):
            return "refusal", sentence
    if said and len(plain) < BOILERPLATE and all(map(NON_ANSWER.fullmatch, said)):
        return "non-answer", said[0]
    return "", ""


def _helps_after_all(rest: str) -> bool:
    """Whether what follows a refusal offers something in its place, and gives it at some length."""
    offer = HELP_AFTER_ALL.search(rest)
    return offer is not None and len(words(rest[offer.end() :])) >= SUBSTITUTE
