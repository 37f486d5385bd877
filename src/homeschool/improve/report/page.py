"""The few pieces of HTML that a report is made of. Words are escaped here; what is called markup is not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import Template

from homeschool.improve.report.svg import clean
from homeschool.improve.report.words import NOT_MEASURED, NOT_RECORDED, count

_LONGEST_EXCERPT = 900


def whole(title: str, body: str) -> str:
    """A page of its own: `title` is words, `body` is markup; style sheet inside, nothing asked of any network."""
    style = asset("plots.css") + asset("report.css")
    return Template(asset("report.html")).substitute(title=clean(title), style=style, body=body)


def asset(name: str) -> str:
    """A file beside this one."""
    return files("homeschool.improve.report").joinpath(name).read_text(encoding="utf-8")


def section(title: str, *content: str) -> str:
    return f"<section>\n<h2>{clean(title)}</h2>\n" + "\n".join(part for part in content if part) + "\n</section>"


def prose(words: str) -> str:
    return f"<p>{clean(words)}</p>"


def bullets(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{clean(line)}</li>" for line in lines) + "</ul>"


def figure(title: str, drawing: str, caption: str = "") -> str:
    """A titled drawing; `caption` is markup. A drawing of nothing reads "not measured"."""
    shown = drawing or f'<p class="none">{NOT_MEASURED}</p>'
    below = f"<figcaption>{caption}</figcaption>" if caption and drawing else ""
    return f"<figure>{f'<h3>{clean(title)}</h3>' if title else ''}{shown}{below}</figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = (), ours: int = -1) -> str:
    """A table of cells that are markup already; columns named in `words` are prose, row `ours` is bold."""

    def cells(row: Sequence[str], kind: str) -> str:
        return "".join(
            f"<{kind}{' class=words' if index in words else ''}>{cell}</{kind}>" for index, cell in enumerate(row)
        )

    body = "".join(
        f"<tr{' class=ours' if index == ours else ''}>{cells(row, 'td')}</tr>" for index, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(named: Mapping[str, object]) -> str:
    """Names and what they are, one a line."""
    return '<dl class="facts">' + "".join(f"<dt>{clean(k)}</dt><dd>{clean(v)}</dd>" for k, v in named.items()) + "</dl>"


def key(figures: Sequence[tuple[str, str]]) -> str:
    """The few large numbers below a headline."""
    shown = "".join(f"<div><dt>{clean(name)}</dt><dd>{clean(value)}</dd></div>" for name, value in figures)
    return f'<dl class="key">{shown}</dl>'


def kicker(parts: Sequence[object]) -> str:
    """The small line above a headline; empty parts are left out."""
    shown = " \N{MIDDLE DOT} ".join(clean(part) for part in parts if part)
    return f'<p class="kicker">{shown}</p>'


def excerpt(words: object) -> str:
    """Text of an example: stripped of outer blank lines, escaped, and said how much of it is left out."""
    text = str(NOT_MEASURED if words is None else words).strip("\n")
    more = len(text) - _LONGEST_EXCERPT
    left_out = f' <em class="soft">({count(more)} more characters)</em>' if more > 0 else ""
    return clean(text[:_LONGEST_EXCERPT]) + left_out


def note(kind: str, asked: object, answer: object, *, why: object = None, below: str = "") -> str:
    """An example: what was asked and what came back; `kind` is `kept` or `refused`, `below` is markup."""
    reason = f'<p class="why">{clean(why)}</p>' if why else ""
    shown = f'<pre><span class="asked">{excerpt(asked)}</span>\n{excerpt(answer)}</pre>'
    return f'<div class="note {kind}">{shown}{reason}{below}</div>'


def again(command: object, told: Mapping[str, object], config: object) -> str:
    """How to do it again: the command, what it was done with, and the whole config."""
    box = f'<pre class="command">{clean(command)}</pre>' if command else f'<p class="none">{NOT_RECORDED}</p>'
    shown = clean(json.dumps(config, indent=2, ensure_ascii=False))
    details = f"<details><summary>The whole config</summary><pre>{shown}</pre></details>"
    return section("Do it again", box, facts(told), details)
