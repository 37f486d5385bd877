"""The unit at the end of a quantity: `72 clips`, `5.4 \\text{ cents}`, `90^\\circ`, `9 (apples)`, `5cm`.

Units are read so that the number before them is found, and compared only where both sides name one of the measures
in the table below: `5 cm` is not `5 m` and `6 am` is not `6 pm`, while `72 clips` is `72 hair clips`. Nothing is
converted: 100 cm is not 1 m.
"""

from __future__ import annotations

import re

_MEASURES = {
    "mm": "mm millimeter millimetre",
    "cm": "cm centimeter centimetre",
    "m": "m meter metre",
    "km": "km kilometer kilometre",
    "inch": "in inch inche",
    "foot": "ft foot feet",
    "yard": "yd yard",
    "mile": "mi mile",
    "mg": "mg milligram",
    "g": "g gram",
    "kg": "kg kilogram",
    "lb": "lb pound",
    "oz": "oz ounce",
    "ml": "ml milliliter millilitre",
    "liter": "l liter litre",
    "second": "s sec second",
    "minute": "min minute",
    "hour": "h hr hour",
    "day": "day",
    "week": "week",
    "month": "month",
    "year": "yr year",
    "cent": "cent",
    "dollar": "dollar",
    "euro": "euro",
    "degree": "degree deg",
    "radian": "radian rad",
    "mph": "mph",
    "am": "am a.m a.m.",
    "pm": "pm p.m p.m.",
}
_NAMED = {alias: name for name, aliases in _MEASURES.items() for alias in aliases.split()}
_NO_UNIT = re.compile(r"and|or|not|sin|cos|tan|cot|sec|csc|log|exp|sqrt|arcsin|arccos|arctan|sinh|cosh|tanh|pi")
_SMALL = frozenset({"a", "an", "at", "by", "in", "of", "on", "per", "to"})

_POWER = r"(?:\s?\^\s?\{?[23]\}?)?"
_MARKED = re.compile(rf"\s*\\(?:text|mathrm|mbox|textrm|textbf|textit|operatorname)\s?\{{([^{{}}\d]*)\}}{_POWER}$")
_DEGREES = re.compile(r"\s*\^\s?\{?\s?\\circ\s?\}?\s?[CF]?$")
_BRACKETED = re.compile(r"(?<=[0-9])\s+\(([^()\d]*[A-Za-z][^()\d]*)\)$")
_WORDS = re.compile(rf"(?<=[\d)}}a-z])\s+([A-Za-z][A-Za-z.' -]*){_POWER}$")
_GLUED = re.compile(rf"(?<=\d)([A-Za-z]{{2,}}){_POWER}$")


def split_unit(text: str) -> tuple[str, str]:
    """The quantity without the unit at its end, and the unit as it was written (empty if there is none)."""
    text = text.strip()
    if degrees := _DEGREES.search(text):
        return text[: degrees.start()], "degree"
    if (marked := _MARKED.search(text) or _BRACKETED.search(text)) and not any(
        map(_NO_UNIT.fullmatch, marked[1].split())
    ):
        body = text[: marked.start()]
        return (body, text[marked.start() :]) if re.search(r"[\w)}]$", body) else (text, "")
    words = _WORDS.search(text)
    # A bare word is a unit only of something that is clearly a quantity.
    if words and re.search(r"[\d\\]", text[: words.start()]) and all(map(_is_word, words[1].split())):
        return text[: words.start()], text[words.start() :]
    glued = _GLUED.search(text)
    if glued and {glued[1], glued[1].removesuffix("s")} & _NAMED.keys():
        return text[: glued.start()], text[glued.start() :]
    return text, ""


def units_differ(left: str, right: str) -> bool:
    """Whether two units, as `split_unit` gives them, are two different measures."""
    one, two = _measure(left), _measure(right)
    return bool(one and two and one != two)


def _is_word(word: str) -> bool:
    """Two letters may be a product of variables, so that short words are units only if they are known ones."""
    bare = word.strip(".").lower()
    return not _NO_UNIT.fullmatch(bare) and (len(bare) > 2 or bare in _SMALL or (len(bare) == 2 and bare in _NAMED))


def _measure(unit: str) -> tuple[str, str] | None:
    """The measure and its power, or None for anything that is not exactly one of the table."""
    power = "".join(re.findall(r"\^\s?\{?([23])", unit))
    word = re.sub(r"\\[a-z]+|[\\{}()^23]", "", unit).strip().lower()
    name = _NAMED.get(word) or _NAMED.get(word.removesuffix("s"))
    return (name, power) if name else None
