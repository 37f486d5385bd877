"""`citation`: each sentence of an answer is supported by the documents it cites (ALCE, arXiv:2305.14627).

Column `documents` is a list of texts, or of `{title, text}`; `[1]` in an answer cites the first, `[2]` the second, and
`[1, 3]` two of them. Citations stand in the sentence they belong to, or right after it.

*Without a model*, for every sentence: the documents it cites exist; what it quotes in double quotation marks (two words
or more) stands in them, up to white space and case; so does every number, and every name (a capitalised word that does
not begin the sentence). Then at least `least` of its words of four letters or more must stand in them too, each by its
first six letters: a crude reading, which takes a sentence that says the opposite in the same words for supported.
*With a model in role `judge`* that last question is put to it, sentence by sentence: do the documents say this?

Fail, with the first of: `no answer found`, `cites no such document`, `sentence without a citation` (not with
`uncited="allow"`), `quotation not in the source`, `number not in the source`, `name not in the source`, `not
supported`. Broken: `no documents`, and what a judge may do wrong (see `jury`). Headings and lines without a word are no
sentences.

Scores, as the paper has them: `citation_recall`, the share of sentences that are supported; `citation_precision`, the
share of citations that are of use: a citation is of none if its sentence is not supported, or if it does not support it
alone and the others do without it. An answer passes if all its sentences are supported, whatever the precision. The
threshold `least=0.6` is a choice, not a measurement: agreement with people was not measured here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context
from homeschool.core.records import Completion, ModelCard, Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.jury import Unread, ask_judge, judge_card, material, once_each, stated
from homeschool.verify.sentences import sentences

_CITED = re.compile(r"\s?\[(\d{1,4}(?:\s?[,;]\s?\d{1,4})*)\]")
_LEADING = re.compile(r"(?:\s?\[\d{1,4}(?:\s?[,;]\s?\d{1,4})*\])+")
_AFTER_STOP = re.compile(r"(?<=[.!?])(?=\[\d)")
_QUOTED = re.compile(r"[\"“]([^\"“”]{3,500})[\"”]")
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_NAME = re.compile(r"(?<![:#\"“] )(?<![\w\"“])[A-Z][\w'’-]+")  # noqa: RUF001
_WORD = re.compile(r"[^\W\d_]{4,}")
_STEM = 6

Support = Callable[[str, Sequence[int]], Awaitable["bool | Unread"]]
"""Whether the documents of these numbers (from 1) support a sentence."""

_DOCUMENTS = [
    {"title": "Radium", "text": "Marie Curie discovered radium in 1898, together with her husband Pierre Curie."},
    "The Nobel Prize in Chemistry of 1911 was awarded to Marie Curie. It carried 140,000 kronor.",
]
GOLD: list[tuple[dict[str, Any], str]] = [
    ({"documents": _DOCUMENTS}, "Radium was discovered by Marie Curie in 1898 [1]."),
    ({"documents": _DOCUMENTS}, "Curie discovered radium. [1] The Nobel Prize of 1911 was awarded to Marie Curie.[2]"),
    ({"documents": _DOCUMENTS}, "# Marie Curie\n- She was awarded the 1911 prize in chemistry [1, 2]"),
    ({"documents": _DOCUMENTS}, 'The prize "carried 140,000  kronor" [2].'),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"documents": _DOCUMENTS}, "Radium was discovered by Marie Curie in 1899 [1]."),
    ({"documents": _DOCUMENTS}, "Radium was discovered by Marie Meitner [1]."),
    ({"documents": _DOCUMENTS}, "Radium was discovered by Marie Curie."),
    ({"documents": _DOCUMENTS}, "Marie Curie discovered radium [3]."),
    ({"documents": _DOCUMENTS}, "Marie Curie discovered radium [0]."),
    ({"documents": _DOCUMENTS}, "Marie Curie discovered radium [2]."),
    ({"documents": _DOCUMENTS}, 'The prize "carried 150 kronor" [2].'),
    ({"documents": _DOCUMENTS}, "Marie Curie discovered radium [1]. Bananas are yellow."),
    ({"documents": _DOCUMENTS}, ""),
]


@dataclass(frozen=True, slots=True)
class Sentence:
    """Its text without citations, and the documents it cites, each once, counted from 1."""

    text: str
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Citation:
    least: float = 0.6
    uncited: Literal["fail", "allow"] = "fail"
    max_tokens: int = 512
    name: str = "citation@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        documents = documents_of(row.get("documents"))
        if not documents:
            why = "column `documents` is missing, empty, or no list of texts"
            return [Broken(reason="no documents", evidence=why, verifier=self.name) for _ in answers]
        card = judge_card(ctx)

        async def judged(sentence: str, cited: Sequence[int]) -> bool | Unread:
            if ctx is None or card is None:
                return overlap(sentence, _joined(documents, cited)) >= self.least
            return await self._entailed(sentence, {f"document {n}": documents[n - 1] for n in cited}, ctx, card)

        return await once_each(answers, lambda answer: self._verdict(answer, documents, judged), ctx)

    async def _verdict(self, answer: str, documents: Sequence[str], judged: Support) -> Verdict:
        found = [each for each in sentences_of(answer) if each.cited or self.uncited == "fail"]
        if not sentences_of(answer):
            return Fail({"citation_recall": 0.0, "citation_precision": 0.0}, "no answer found", verifier=self.name)
        supported = useful = 0
        problems: list[tuple[str, str]] = []
        for sentence in found:
            problem = exact_problem(sentence, documents)
            fine = False if problem else await judged(sentence.text, sentence.cited)
            if isinstance(fine, Unread):
                return fine.broken(self.name)
            if not fine:
                problems.append((problem or "not supported", sentence.text))
                continue
            supported += 1
            for number in sentence.cited:
                use = await _of_use(number, sentence, judged)
                if isinstance(use, Unread):
                    return use.broken(self.name)
                useful += use
        cited = sum(len(sentence.cited) for sentence in found)
        scores = {
            "citation_recall": supported / len(found) if found else 1.0,
            "citation_precision": useful / cited if cited else float(not problems),
        }
        if problems:
            reason, text = problems[0]
            return Fail(scores, reason, f"{len(problems)} of {len(found)} sentences: {shown(text)!r}", self.name)
        return Pass(scores, evidence=f"{supported} sentences, {cited} citations", verifier=self.name)

    async def _entailed(
        self, sentence: str, documents: Mapping[str, str], ctx: Context, card: ModelCard
    ) -> bool | Unread:
        prompt = PROMPT.format(material=material({**documents, "sentence": sentence}))
        found = await ask_judge(ctx, card, prompt, votes=1, read=_yes, max_tokens=self.max_tokens)
        return found if isinstance(found, Unread) else found.read[0]


def verifier(*, least: float = 0.6, uncited: Literal["fail", "allow"] = "fail", max_tokens: int = 512) -> Citation:
    """The verifier `citation`. Raises UsageError for a share that is none."""
    if not 0 < least <= 1:
        raise UsageError(f"least={least} is no share of words", hint="write for example least=0.6")
    return Citation(least, uncited, max_tokens)


def documents_of(column: Any) -> list[str]:
    """The documents as texts, a title on a line of its own; empty if any is no document."""
    if not isinstance(column, (list, tuple)):
        return []
    texts: list[str] = []
    for each in column:
        text = each.get("text") if isinstance(each, Mapping) else each
        if not isinstance(text, str):
            return []
        title = each.get("title") if isinstance(each, Mapping) else None
        texts.append(f"{title}\n{text}" if isinstance(title, str) and title else text)
    return texts


def sentences_of(answer: str) -> list[Sentence]:
    """The sentences of an answer, with what each cites; citations that begin a sentence belong to the one before."""
    found: list[Sentence] = []
    for line in answer.splitlines():
        if line.lstrip().startswith("#"):
            continue
        for text in sentences(_AFTER_STOP.sub(" ", line)):
            leading = _LEADING.match(text)
            if leading and found:
                earlier = found.pop()
                found.append(Sentence(earlier.text, _each_once((*earlier.cited, *_numbers_in(leading.group())))))
                text = text[leading.end() :]
            bare = " ".join(_CITED.sub(" ", text).split())
            if re.search(r"[^\W_]{2}", bare):
                found.append(Sentence(bare, _each_once(_numbers_in(text))))
    return found


def exact_problem(sentence: Sentence, documents: Sequence[str]) -> str:
    """What is wrong with a sentence that can be told without reading it; empty if nothing is."""
    if not sentence.cited:
        return "sentence without a citation"
    if not all(1 <= number <= len(documents) for number in sentence.cited):
        return "cites no such document"
    source = _joined(documents, sentence.cited)
    plain = " ".join(source.split()).casefold()
    quotes = [quote for quote in _QUOTED.findall(sentence.text) if len(quote.split()) > 1]
    if not all(" ".join(quote.split()).casefold().strip(" .,;") in plain for quote in quotes):
        return "quotation not in the source"
    if not _numbers(sentence.text) <= _numbers(source):
        return "number not in the source"
    known = set(re.findall(r"[\w'’-]+", plain)) | set(re.findall(r"\w+", plain))  # noqa: RUF001
    return "" if all(_bare(name) in known for name in names_in(sentence.text)) else "name not in the source"


def names_in(sentence: str) -> list[str]:
    """Capitalised words that do not begin the sentence, a quotation or what follows a colon."""
    start = re.match(r"\W*", sentence)
    first = start.end() if start else 0
    return [found.group() for found in _NAME.finditer(sentence) if found.start() > first]


def overlap(sentence: str, source: str) -> float:
    """The share of the sentence's words of four letters or more that the source has too; 1 if there are none."""
    words, known = _stems(sentence), _stems(source)
    return len(words & known) / len(words) if words else 1.0


async def _of_use(number: int, sentence: Sentence, judged: Support) -> bool | Unread:
    """Whether a citation of a supported sentence supports it alone, or the others do not without it."""
    others = [each for each in sentence.cited if each != number]
    if not others:
        return True
    alone = await judged(sentence.text, [number])
    if isinstance(alone, Unread) or alone:
        return alone
    without = await judged(sentence.text, others)
    return without if isinstance(without, Unread) else not without


def _yes(answer: Completion) -> bool | None:
    return {"yes": True, "no": False}.get(stated(answer.text, "Supported", "yes|no").lower())


def _joined(documents: Sequence[str], cited: Sequence[int]) -> str:
    return "\n".join(documents[number - 1] for number in cited)


def _numbers_in(text: str) -> tuple[int, ...]:
    return tuple(int(number) for group in _CITED.findall(text) for number in re.findall(r"\d+", group))


def _each_once(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def _bare(name: str) -> str:
    return re.sub(r"['’]s?$", "", name.casefold())  # noqa: RUF001


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(text.casefold())}


PROMPT = """\
{material}

Do the documents say what the sentence says? Everything that the sentence states must be stated by them or follow from
them; what you know beside them does not count. Say in one sentence why. Then end with one line that holds the verdict
and nothing else, one of these two:

Supported: yes
Supported: no"""
