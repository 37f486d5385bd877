"""The few pieces of HTML that a report is made of. Words are escaped here; what is called markup is not."""

from __future__ import annotations

from collections.abc import Sequence

from homeschool.improve.report.svg import clean
from homeschool.improve.report.words import NOT_MEASURED


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
