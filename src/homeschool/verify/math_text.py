"""LaTeX and plain mathematics in one spelling, so that every sign that makes a shape is one character to `math_shape`.

Only spellings change here, never a value: \\dfrac12 becomes \\frac{1}{2}, `**` becomes ^, \\leq becomes one sign,
\\left and thin spaces go. Refused (UnreadableError) are brackets that do not match or are deeper than 20, characters
that no formula has, and every letter or digit that is not ASCII: Arabic digits look like 42 to `int` and to few who
read the answer.
"""

from __future__ import annotations

import re

from homeschool.verify.numbers import braced_fractions

NESTED = 20
"""Brackets deeper than this are not read."""
OPENING, CLOSING = "([{⦃", ")]}⦄"
"""⦃ and ⦄ stand for the \\{ and \\} of a set; { and } only group."""
AND, OR, UNION = "&", "@", "#"
"""Characters that no formula has, for the words and for \\cup."""

_UNICODE = str.maketrans(
    {
        "−": "-",  # noqa: RUF001
        "×": "\\times ",  # noqa: RUF001
        "·": "\\cdot ",
        "⋅": "\\cdot ",
        "÷": "/",
        "π": "\\pi ",
        "θ": "\\theta ",
        "∞": "\\infty ",
        "√": "\\sqrt ",
        "°": "^\\circ ",
        "²": "^2",
        "³": "^3",
        "½": "\\frac{1}{2}",
        "¼": "\\frac{1}{4}",
        "¾": "\\frac{3}{4}",
        "≤": "\\le ",
        "≥": "\\ge ",
        "≠": "\\ne ",
        "≈": "\\approx ",
        "±": "\\pm ",
        "∪": "\\cup ",  # noqa: RUF001
        "∈": "\\in ",
        "~": " ",
        "\xa0": " ",
    }
)
_END = "(?![A-Za-z])"
_REWRITES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rf"\\(?:left|right|[bB]igg?[lr]?){_END}\.?", ""),
        (r"\\(?:hspace\*?\{[^{}]*\}|(?:qquad|quad|textstyle|limits)(?![A-Za-z])|[ ;:])", " "),
        (r"\\[!,]|\\?[$€£]", ""),
        (r"(?<=\d)\{,\}(?=\d)", ","),
        (rf"\\(?:\{{|lbrace{_END})", "⦃"),
        (rf"\\(?:\}}|rbrace{_END})", "⦄"),
        (rf"\\langle{_END}", "("),
        (rf"\\rangle{_END}", ")"),
        (rf"\\lbrack{_END}", "["),
        (rf"\\rbrack{_END}", "]"),
        (rf"\\[lr]?vert{_END}", "|"),
        (rf"\\(?:leqslant|leqq|leq|le){_END}|<=", "≤"),
        (rf"\\(?:geqslant|geqq|geq|ge){_END}|>=", "≥"),
        (rf"\\lt{_END}", "<"),
        (rf"\\gt{_END}", ">"),
        (rf"\\(?:neq|ne){_END}|!=", "≠"),
        (rf"\\approx{_END}", "≈"),
        (rf"\\in{_END}", "∈"),
        (rf"\\cup{_END}", UNION),
        (rf"\\pm{_END}|\+/-", "±"),
        (rf"\\mp{_END}", "∓"),
        (rf",?\s*\\text\{{\s*(?:,\s*)?and\s*\}}\s*|,?\s+and\s+|\s*\\(?:wedge|land){_END}\s*", AND),
        (rf",?\s*\\text\{{\s*(?:,\s*)?or\s*\}}\s*|,?\s+or\s+|\s*\\(?:vee|lor){_END}\s*", OR),
        (r"\*\*", "^"),
        (rf"\\(?:cdot|times|ast){_END}", "*"),
        (rf"\\div{_END}", "/"),
    )
]
_FUNCTIONS = "sqrt|pi|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|ln|log|exp|theta|alpha|beta|gamma"
_BARE = re.compile(rf"(?<![\\A-Za-z])({_FUNCTIONS}){_END}")
_INFINITY = re.compile(rf"(?<![\\A-Za-z])(?:infinity|infty|inf|oo){_END}")
_NOWHERE = re.compile(r"[`&\"@#?\x00-\x08\x0b-\x1f\x7f]|\.\.")


class UnreadableError(Exception):
    """The text is no mathematics that is known here."""


def ascii_only(span: str) -> str:
    """`span` with the signs of mathematics as LaTeX. Raises UnreadableError if anything else is not ASCII."""
    span = span.translate(_UNICODE)
    if not span.isascii():
        raise UnreadableError(span)
    return span


def one_spelling(span: str) -> str:
    """`span` in the one spelling that shapes and leaves are read from. Raises UnreadableError."""
    if _NOWHERE.search(span) or "\\\\" in span:
        raise UnreadableError(span)
    # Inside \text{...} a word stays a word.
    words = re.split(r"(\\(?:text|mathrm|mbox|textrm|textbf|textit)\s?\{[^{}]*\})", _joined(span))
    words[::2] = [_INFINITY.sub(r"\\infty ", _BARE.sub(r"\\\1 ", part)) for part in words[::2]]
    span = braced_fractions("".join(words)).strip()
    _check_brackets(span)
    return span


def split(text: str, separators: str) -> tuple[list[str], list[str]]:
    """The pieces of `text` between those of `separators` that stand outside all brackets, and these separators."""
    pieces, found, depth = [""], list[str](), 0
    for character in text:
        depth += (character in OPENING) - (character in CLOSING)
        if depth == 0 and character in separators:
            found.append(character)
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces], found


def encloses(text: str) -> bool:
    """Whether the first bracket of `text` is closed by its last character."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character in OPENING) - (character in CLOSING)
        if depth == 0:
            return 0 < place == len(text) - 1
    return False


def _joined(span: str) -> str:
    for pattern, replacement in _REWRITES:
        span = pattern.sub(replacement, span)
    return span


def _check_brackets(text: str) -> None:
    """TeX groups must close in order; ( may be closed by ], as in [0, 1)."""
    depth, groups = 0, list[int]()
    for character in text:
        depth += (character in OPENING) - (character in CLOSING)
        if character == "{":
            groups.append(depth)
        elif character == "}" and (not groups or groups.pop() != depth + 1):
            raise UnreadableError(text)
        if not 0 <= depth <= NESTED:
            raise UnreadableError(text)
    if depth or groups or not text:
        raise UnreadableError(text)
