"""Where sentences end: the decision procedure of Punkt (Kiss and Strunk, 2006, doi:10.1162/coli.2006.32.4.485).

IFEval counts sentences with NLTK's Punkt model for English, so the same number must come out here; but that model is
a download of its own, and what it learnt (abbreviations, which words are also written small) is mostly common
knowledge. Punkt asks, at each token that ends in `.`, `?` or `!`:

- `?` and `!` always end a sentence; so does `.`, after anything but an abbreviation, an initial, a number or an
  ellipsis.
- After an abbreviation or an ellipsis, one ends only if the next word is written large and is known to be written
  small elsewhere (`etc. However`), or often starts a sentence.
- After a number (`1. Apples`) one ends unless the next word is written small; after an initial (`J. Smith`) only if
  the next word is known to be written small elsewhere, as names are not.

Left out: collocations (`No. 5`), and the learnt statistics of spelling, for which a list of common words stands in.
Measured against NLTK's own model: see `docs/verifiers.md`.
"""

from __future__ import annotations

import itertools
import re

_ABBREVIATED = """
adm ala ariz aug ave bros calif co col colo conn corp cos ct dec dr feb fla fri ga gen ill inc jan jr ky lt ltd maj
mich minn mr mrs ms nev nov oct ok okla pa ph.d prof rep reps sen sep sept sr st tenn tues va vs vt wash wed wis yr
a.m d.c l.a m.b.a n.c n.h n.j n.m n.y p.m s.c u.k u.n u.s u.s.a u.s.s.r w.va
"""
"""As the published model has them, which learnt them from newspapers: `e.g.` and `fig.` are not among them."""

_INITIALS = frozenset("cdefghklmnprstvw")
"""Letters that the published model takes for initials whatever comes next, for the same reason."""

_AFTER_NUMBERS = frozenset({"business", "credit", "financing", "international", "leisure", "letters", "review", "who"})
"""Words that the published model thinks to belong to the number before them (`2. Who`), likewise."""

_COMMON_WORDS = """
a about above according across after again against all almost along already also although always among an and
another any anyone are around as at because been before behind below besides both but by can could despite did
do does done due during each either else even every everyone finally first for from had has have having he hence
her here hers his how however i if in indeed instead into is it its itself just last later least less like
likewise many may maybe meanwhile might more moreover most much must my neither never nevertheless next no none
nor not nothing now of off often on once one only or other others otherwise our over overall perhaps rather
sales separately she should similarly since so some someone sometimes soon still such than that the their them
then there therefore these they thing things this those though through thus to today together too under unless
until upon us use used using very was we well were what when where whether which while who why will with within
without would yes yet you your
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_COMMON = frozenset(_COMMON_WORDS.split())
_MARK = re.compile(r"[.?!](?=$|[?!)\"“”;}\]*:@'({\[])")
_CLOSING = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
_NUMBER = re.compile(r"-?[.,]?\d[\d,.\-]*\.")
_INITIAL = re.compile(r"[^\W\d]\.")
_INSIDE = re.compile(r"--+|[(\"`{\[:;&#*@)}\],](?=.)")


def sentences(text: str) -> list[str]:
    """The sentences of a text, stripped, none empty. A text without an end mark is one sentence."""
    pieces: list[str] = []
    start = 0
    tokens = list(re.finditer(r"\S+", text))
    for token, following in itertools.zip_longest(tokens, tokens[1:]):
        marks = list(_MARK.finditer(token[0]))
        if not marks:
            continue
        end = marks[-1].end()
        at_end = end == len(token[0])
        if at_end and following is None:
            break
        if _ends(token[0][:end], following[0] if at_end and following else ""):
            pieces.append(text[start : token.start() + end])
            start = following.start() if at_end and following else token.start() + end
    pieces.append(text[start:])
    return [piece.strip() for piece in _realigned(pieces) if piece.strip()]


def _ends(marked: str, following: str) -> bool:
    """Whether a sentence ends at a token that ends in `.`, `?` or `!`; before a bracket nothing is `following`."""
    token = _INSIDE.split(marked)[-1] or marked
    if token[-1] != ".":
        return True
    large = following[:1].isupper()
    first = re.split(r"[\W_]+", following.lower(), maxsplit=1)[0]
    known = first in _COMMON
    if _INITIAL.fullmatch(token):
        letter = token[0].lower()
        return letter not in _INITIALS and not following[:1].islower() and (known or not large or letter in "ab")
    if _NUMBER.fullmatch(token):
        return not following[:1].islower() and first not in _AFTER_NUMBERS
    if token.endswith("..") or token[:-1].lower() in _ABBREVIATIONS:
        return large and known
    return True


def _realigned(pieces: list[str]) -> list[str]:
    """Quotes and brackets that close a sentence, moved from the head of the next to its end."""
    moved = [pieces[0]]
    for piece in pieces[1:]:
        closing = _CLOSING.match(piece)
        if closing:
            moved[-1] += closing[0]
            piece = piece[closing.end() :]
        moved.append(piece)
    return moved
