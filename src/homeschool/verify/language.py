"""`language`: the answer is written in the language that was asked for.

Needs column `language` (ISO 639-1, as `de`; region and script are ignored: `zh-CN` is `zh`), or the option `language`
for all rows. A code that the detector does not know is `Broken`. Judged is what stands outside code fences and
addresses, unless that is all there is.

Fail: `empty answer`, `wrong script` (however short the text: "Hello" is not Russian), `wrong language`, and `another
language in it` where a paragraph of its own, at least 50 letters long, is clearly in another one (`whole=False`
allows that). Abstain: `too short to tell` under `least` letters (a Chinese, Japanese or Korean one counts for three),
`no words` (digits only) and `too close to tell` where the detector is not sure.

The detector is py3langid (a naive Bayes classifier over bytes, deterministic, in the process). Known limits: it takes
transliterated text (Hindi in Latin letters) for whatever it looks like, tells Bosnian, Croatian and Serbian or Malay
and Indonesian apart only by their names (they count as one here, as do the two Norwegians), and cannot see two
languages mixed within a paragraph. Measured: see `docs/verifiers.md`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.verify.answers import shown
from homeschool.verify.words import paragraphs, visible, without_code

LONGEST = 20_000
"""Characters that are read."""

TELLING = 3_000
"""Characters by which a text's language is judged: it shows itself sooner."""

PARAGRAPH = 50
"""Letters from which a paragraph's language is judged by itself."""

SURE = 0.7
"""The detector's probability from which its word is taken against the answer; 0.95 for one paragraph of several."""

SURE_OF_PARAGRAPH = 0.95

_NO_LANGUAGE = "zxx"
"""What the detector calls a text that is in none."""

_ADDRESS = re.compile(r"https?://[!-~]+|[\w.+-]{1,64}@[\w.-]{1,64}", re.ASCII)
_DENSE = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL"})
_SCRIPTS = {
    "CYRILLIC": "ru uk bg sr mk be kk ky mn tg tt ba uz az",
    "ARABIC": "ar fa ur ps ug ku az kk ky",
    "DEVANAGARI": "hi mr ne sa",
    "BENGALI": "bn as",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "MYANMAR": "my",
    "TIBETAN": "dz",
    "KHMER": "km",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "GREEK": "el",
    "HEBREW": "he",
    "ETHIOPIC": "am",
    "HANGUL": "ko",
    "CJK": "zh ja",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
}
_NOT_LATIN = frozenset(code for codes in _SCRIPTS.values() for code in codes.split()) - {
    "sr",
    "ku",
    "mn",
    "kk",
    "ky",
    "tt",
    "ba",
    "uz",
    "az",
}
_ONE_LANGUAGE = (
    {"no", "nb", "nn"},
    {"bs", "hr", "sr"},
    {"id", "ms"},
    {"zh", "yue", "wuu"},
    {"ar", "ary", "arz"},
    {"el", "grc"},
    {"he", "hbo"},
    {"ku", "sdh"},
    {"uz", "uzs"},
    {"ht", "gcf", "gcr"},
)

_GERMAN = "Der Regen hat die ganze Nacht gegen das Fenster geschlagen, und niemand konnte schlafen."
_ENGLISH = "The rain beat against the window all night long, and nobody in the house could sleep."
GOLD: list[tuple[dict[str, Any], str]] = [
    ({"language": "ru"}, "Сегодня утром шёл дождь, и мы остались дома."),
    ({"language": "en"}, _ENGLISH),
    ({"language": "de-AT"}, f"{_GERMAN}\n\n```python\nprint('the quick brown fox jumps over the lazy dog')\n```"),
    ({"language": "zh"}, "今天早上下雨了，所以我们待在家里看书。"),  # noqa: RUF001
    ({"language": "ja"}, "今朝は雨が降っていたので、家で本を読みました。"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    ({"language": "ru"}, "This morning it rained, and so we stayed at home."),
    ({"language": "ru"}, "Hello"),
    ({"language": "en"}, _GERMAN),
    ({"language": "de"}, _ENGLISH),
    ({"language": "de"}, f"{_GERMAN}\n\n{_ENGLISH}"),
    ({"language": "ja"}, "오늘 아침에는 비가 와서 집에서 책을 읽었습니다."),
    ({"language": "en"}, "---\n\u200b\u200b"),
    ({"language": "en"}, ""),
]


@dataclass(frozen=True, slots=True)
class Language:
    """`language` for every row (None: the row's column); `least` letters to judge by; `whole`: no other paragraph."""

    language: str | None = None
    least: int = 20
    whole: bool = True
    name: str = "language@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        given = self.language or row.get("language")
        try:
            wanted = code(given)
        except ValueError as error:
            broken = Broken(reason="no language", evidence=f"{shown(repr(given))} is not {error}", verifier=self.name)
            return [broken for _ in answers]
        return [self._judge(wanted, answer) for answer in answers]

    def _judge(self, wanted: str, answer: str) -> Verdict:
        text = prose(answer)
        scripts = Counter(map(_script, filter(str.isalpha, text)))
        if not scripts and not any(map(str.isalnum, text)):
            return self._fail("empty answer", shown(repr(answer)))
        if not scripts:
            return Abstain(reason="no words", evidence=shown(text), verifier=self.name)
        if _wrong_script(scripts, wanted):
            return self._fail("wrong script", f"want {wanted}, got {scripts.most_common(1)[0][0].lower()} letters")
        letters = sum(number * (3 if script in _DENSE else 1) for script, number in scripts.items())
        if letters < self.least:
            return Abstain(reason="too short to tell", evidence=f"{letters} letters", verifier=self.name)
        found, sure = most_likely(text)
        if not same_language(found, wanted):
            evidence = f"want {wanted}, got {found} ({sure:.2f})"
            if sure < SURE:
                return Abstain(reason="too close to tell", evidence=evidence, verifier=self.name)
            return self._fail("wrong language", evidence)
        for block in paragraphs(text) if self.whole else ():
            found, sure = most_likely(block)
            if (
                sum(map(str.isalpha, block)) >= PARAGRAPH
                and sure >= SURE_OF_PARAGRAPH
                and not same_language(found, wanted)
            ):
                return self._fail("another language in it", f"{found}: {shown(block, limit=100)}")
        return Pass({"correct": 1.0}, verifier=self.name)

    def _fail(self, reason: str, evidence: str) -> Fail:
        return Fail({"correct": 0.0}, reason, evidence, self.name)


def verifier(*, language: str | None = None, least: int = 20, whole: bool = True) -> Language:
    """The verifier `language`. Raises UsageError for a code that the detector does not know."""
    if language is not None:
        try:
            code(language)
        except ValueError as error:
            raise UsageError(f"language={language!r} is not {error}", hint="write `language=de`, say") from None
    return Language(language, least, whole)


def code(value: Any) -> str:
    """The ISO 639-1 code of a language tag. Raises ValueError for one that the detector does not know."""
    tag = re.split(r"[-_]", value.strip().lower())[0] if isinstance(value, str) else ""
    if tag not in _known():
        raise ValueError("the ISO 639-1 code of a language that the detector knows")
    return tag


def prose(answer: str) -> str:
    """The visible text that is read: without code fences and addresses, unless nothing else has letters."""
    text = visible(answer[:LONGEST])
    bare = _ADDRESS.sub(" ", without_code(text))
    return bare if any(map(str.isalpha, bare)) else text


def detected(text: str) -> str | None:
    """The language that a text is most likely in (ISO 639-1), or None for a text without letters."""
    text = prose(text)
    found = most_likely(text)[0] if any(map(str.isalpha, text)) else None
    return None if found == _NO_LANGUAGE else found


def most_likely(text: str) -> tuple[str, float]:
    """The likeliest language of a text and its probability. Case does not count."""
    language, probability = _identifier().classify(text[:TELLING].lower())
    return language, float(probability)


def same_language(found: str | None, wanted: str) -> bool:
    """Whether two codes name one language, as far as a detector can tell."""
    return found == wanted or any(found in group and wanted in group for group in _ONE_LANGUAGE)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(label for label in _identifier().labels if len(label) == 2) | {"nb"}


def _script(letter: str) -> str:
    """The first word of a letter's Unicode name, which is its script."""
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "UNKNOWN").partition(" ")[0]


def _wrong_script(scripts: Counter[str], wanted: str) -> bool:
    """Whether most letters are of a script that the wanted language is not written in."""
    main, number = scripts.most_common(1)[0]
    if 2 * number < sum(scripts.values()):
        return False
    if main == "LATIN":
        return wanted in _NOT_LATIN
    return main in _SCRIPTS and wanted not in _SCRIPTS[main].split()
