"""The program in an answer: what a chat model wraps in Markdown, and what a base model goes on writing, made whole.

`program_of(answer, row)` is what `tests` runs. It reads two columns, both optional: `entry_point`, the name that the
tests call, and `prefix`, the program text that a base model was asked to continue (HumanEval's prompt). In this order:

1. A text that begins as deep as the body in `prefix` continues it, and ends at its first line at the left margin:
   there the function is over.
2. Of several Markdown fences the last one that defines `entry_point`; without that column the last one that defines
   anything, else the last. A fence that is never closed goes to the end. Fences of another language than Python count
   only if there are no others.
3. Outside a fence, where `entry_point` is defined at the left margin: from the first line of code before that to where
   prose begins, or a fence that closes what was never opened.
4. Else what there is (the fence, or the text) continues `prefix`, after its indentation, lost in its first line (as
   servers strip it) or in all of them, is put back. Without `prefix` it stands as it is.

A whole program is put after what stands in `prefix` before `entry_point` (imports, helpers), which it may rely on.

Everything is text here: nothing is compiled, so no answer can hurt, and the cost is linear in its length. What is no
program comes back as it is and fails where it is run. Nothing is repaired that the model wrote wrongly: tabs stay tabs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent, indent
from typing import Any

from homeschool.core.records import Row

_FENCE = re.compile(r"(?P<item>[-*>][ ]|\d{1,2}[.)][ ])?[ ]{0,8}(?P<mark>`{3,}|~{3,})[ \t]*(?P<about>[^`]*)")
_PYTHON = frozenset({"", "python", "py", "python3", "py3", "python2", "ipython"})
_CODE = re.compile(
    r"(?:async )?def \w+|class \w+\s*[:(]|import \w|from [\w.]+ import |@\w|try:"
    r"|\w+(?:, ?\w+)*(?:: ?[\w\[\], .]+)? ?=[^=]"
)
_DEFINES = re.compile(r"^(?:(?:async\s+)?def|class)\s+\w+", re.MULTILINE)
_PROSE = re.compile(r"(?!\w+(?:, ?\w+)+ ?=)[A-Z][\w']*(?:[,:]?\s+[A-Za-z`'\"]|[:!]?\s*$)|[-*] |\d+\. |##+ |\*\*")
_FUTURE = re.compile(r"^from __future__ import .*\n?", re.MULTILINE)
_BEGIN, _DONE = "[BEGIN]", "[DONE]"


def program_of(answer: str, row: Row | Mapping[str, Any]) -> str:
    """The program to be judged, ending in a newline; only white space if the answer has none. Never raises.

    `row` is a row or its columns.
    """
    prefix, entry = _text(row.get("prefix")), _text(row.get("entry_point"))
    text = _marked(_plain_lines(answer))
    if prefix and _goes_on(text, prefix, entry):
        return _ended(_continued(prefix, text))
    blocks = _fenced(text)
    code = _chosen(blocks, entry) if blocks else text
    loose = _before_fence(text)
    if entry and _defines(code, entry):
        return _whole(code if blocks else _unwrapped(code, entry), prefix=prefix, entry=entry)
    if entry and _defines(loose, entry):
        return _whole(_unwrapped(loose, entry), prefix=prefix, entry=entry)
    return _ended(_continued(prefix, code) if prefix else code)


def helpers_of(prefix: str, entry_point: str) -> str:
    """What stands in `prefix` before it defines `entry_point`: imports and helpers. All of it, if it does not."""
    prefix = _plain_lines(prefix)
    places = list(_definition(entry_point).finditer(prefix))
    return prefix[: places[-1].start()] if places else prefix


@dataclass(frozen=True, slots=True)
class _Block:
    code: str
    python: bool


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _marked(text: str) -> str:
    """What stands between MBPP's marks, where there are any."""
    start = text.rfind(_BEGIN)
    text = text[start + len(_BEGIN) :].removeprefix("\n") if start >= 0 else text
    return text.partition(_DONE)[0]


def _fenced(text: str) -> list[_Block]:
    """The fenced blocks in order, each without the indentation it has in a list."""
    blocks: list[_Block] = []
    opening: re.Match[str] | None = None
    held: list[str] = []
    margin = 0
    for line in text.split("\n"):
        match = _FENCE.fullmatch(line.lstrip())
        if opening is None:
            opening, held, margin = match, [], len(line) - len(line.lstrip())
        elif match and not match["about"].strip() and match["mark"].startswith(opening["mark"]):
            blocks.append(_block(opening, held, margin=margin))
            opening = None
        else:
            held.append(line)
    if opening is not None and any(line.strip() for line in held):
        blocks.append(_block(opening, held, margin=margin))
    return blocks


def _block(opening: re.Match[str], lines: list[str], *, margin: int) -> _Block:
    """A block whose lines lose the indentation of their fence, or all that they share if a list's mark is before it."""
    shared = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    cut = shared if opening["item"] else min(margin, shared)
    language = re.split(r"[\s{,:]", opening["about"].strip().lstrip("{.").lower())[0].rstrip("}")
    return _Block("\n".join(line[cut:] for line in lines), language in _PYTHON)


def _chosen(blocks: list[_Block], entry: str) -> str:
    pool = [block.code for block in blocks if block.python] or [block.code for block in blocks]
    # A function may be indented as a whole; a body without its function keeps its margin.
    level = [code if _defines(code, entry) or not _defines(dedent(code), entry) else dedent(code) for code in pool]
    defining = [code for code in level if _defines(code, entry)]
    return (defining or level)[-1]


def _goes_on(text: str, prefix: str, entry: str) -> bool:
    """Whether `text` begins inside the body that `prefix` leaves open."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    margin = _margin(_plain_lines(prefix))
    deep = bool(margin) and first.startswith((margin, "\t")) and not _FENCE.fullmatch(first.lstrip())
    return deep and not (entry and _definition(entry).match(first.lstrip()))


def _definition(name: str) -> re.Pattern[str]:
    name = re.escape(name)
    return re.compile(rf"^(?:(?:async\s+)?def\s+{name}\s*\(|class\s+{name}\s*[:(]|{name}\s*=[^=])", re.MULTILINE)


def _defines(code: str, entry: str) -> bool:
    """Whether `code` defines `entry` at the left margin; any function or class, if no name is given."""
    return bool((_definition(entry) if entry else _DEFINES).search(code))


def _before_fence(text: str) -> str:
    """`text` up to its first fence."""
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines) if _FENCE.fullmatch(line.lstrip())), len(lines))
    return "\n".join(lines[:end])


def _unwrapped(text: str, entry: str) -> str:
    """A program that stands between prose without a fence: from its first line of code to the prose after it."""
    lines = text.split("\n")
    defined = text.count("\n", 0, next(_definition(entry).finditer(text)).start())
    start = next((number for number, line in enumerate(lines[:defined]) if _CODE.match(line)), defined)
    inside = ""
    for number in range(start, len(lines)):
        line = lines[number]
        if number > defined and not inside and _PROSE.match(line):
            return "\n".join(lines[start:number])
        inside = _still_inside(inside, line)
    return "\n".join(lines[start:])


def _still_inside(quote: str, line: str) -> str:
    '''The triple quote (""" or \'\'\') that is open at the end of `line`, if `quote` was open at its start.'''
    for mark in re.findall(r'"""|\'\'\'', line):
        if not quote:
            quote = mark
        elif mark == quote:
            quote = ""
    return quote


def _whole(code: str, *, prefix: str, entry: str) -> str:
    """A program that defines its entry point, after the imports and helpers it was shown."""
    if not prefix:
        return _ended(code)
    future = "".join(_ended(line) for line in _FUTURE.findall(code))
    return _ended(f"{future}{_ended(helpers_of(prefix, entry))}\n{_FUTURE.sub('', code)}")


def _continued(prefix: str, text: str) -> str:
    """`prefix` and the body that `text` goes on with."""
    prefix = _plain_lines(prefix)
    if not prefix.endswith("\n"):
        first, newline, rest = text.partition("\n")
        return prefix + first + newline + _body(rest)
    return prefix + _body(_indented(text.lstrip("\n"), _margin(prefix)))


def _margin(prefix: str) -> str:
    """The indentation of a body that begins after `prefix`."""
    last = next((line for line in reversed(prefix.split("\n")) if line.strip()), "")
    space = last[: len(last) - len(last.lstrip())]
    return space + "    " if last.rstrip().endswith(":") else space


def _indented(text: str, margin: str) -> str:
    """A body that lost the indentation of its first line, or of all of them, with it."""
    if not margin or not text.strip() or text[0] in " \t":
        return text
    first, *rest = text.split("\n")
    code = [line for line in rest if line.strip()]
    opens = first.rstrip().endswith(":")
    kept = bool(code) and code[0].startswith(margin + " " if opens else margin)
    return f"{margin}{text}" if kept else indent(text, margin)


def _body(text: str) -> str:
    """`text` up to its first line at the left margin; closing brackets, and texts in triple quotes, may stand there."""
    inside = ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not inside and line.strip() and line[0] not in " \t)]}":
            return "\n".join(lines[:number])
        inside = _still_inside(inside, line)
    return text


def _ended(text: str) -> str:
    return text.rstrip() + "\n"
