"""Regular expressions from a row, run on text from a model: read as JSON Schema reads them, and never for long.

A pattern such as `(a+)+$` takes longer than the universe lasts on thirty letters `a` and a `b`, and the letters come
from a model that is paid for answers. So patterns run in the library `regex`, which can be told to give up.

They are read as ECMA 262, which JSON Schema names, and not as Python: `$` is the end of the text (Python's lets a
line feed follow) and `\\d`, `\\w` are ASCII (Python's take the digits of all scripts). Not translated: `\\D` and
`\\W` within a class, which stay Python's.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

SECONDS = 1.0
"""Wall-clock time for one pattern on one text. Patterns that do not explode need a millionth of it."""

LONGEST = 2_000
"""Characters of a pattern."""

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "D": "0-9", "W": "A-Za-z0-9_"}
_TOKEN = re.compile(r"\\.|\[\^?\]?|\]|\$|.", re.DOTALL)


class PatternTimeoutError(Exception):
    """A pattern did not come to an end in time."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """The pattern, ready to run. Raises ValueError, saying what is wrong with it."""
    import regex

    if len(pattern) > LONGEST:
        raise ValueError(f"a pattern of {len(pattern)} characters (at most {LONGEST})")
    try:
        return regex.compile(_as_python(pattern))
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern[:80]!r} is no regular expression ({error})") from None


def found(pattern: str, text: str) -> bool:
    """Whether the pattern matches somewhere in the text. Raises PatternTimeoutError after `SECONDS`."""
    try:
        return compiled(pattern).search(text, timeout=SECONDS) is not None
    except TimeoutError:
        raise PatternTimeoutError(pattern) from None


def _as_python(pattern: str) -> str:
    """An ECMA pattern for Python's dialect: the end of the text, and ASCII classes."""
    pieces: list[str] = []
    within = False
    for token in _TOKEN.findall(pattern):
        if token[0] == "\\" and token[1:] in _CLASSES:
            pieces.append(_class(token, within=within))
        elif token == "$" and not within:
            pieces.append(r"\Z")
        else:
            pieces.append(token)
            within = (within or token[0] == "[") and token != "]"
    return "".join(pieces)


def _class(token: str, *, within: bool) -> str:
    members = _CLASSES[token[1]]
    if within:
        return members if token[1].islower() else token
    return f"[{members}]" if token[1].islower() else f"[^{members}]"
