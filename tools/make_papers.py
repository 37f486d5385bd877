"""Write docs/papers.md, every method with its paper and its file, from the docstrings of the methods: `make docs`.

What is listed is what `homeschool list` finds, and the loop's methods besides. Methods of other packages that happen to
be installed are left out, so that the page is the same on every machine; a test holds the committed page to this.
"""

from __future__ import annotations

import re
from pathlib import Path

from homeschool.core.discover import Listing, implementations

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "papers.md"

SHELVES = (
    ("Recipes", "homeschool.recipes", "recipe", "Make rows: `homeschool generate NAME`."),
    ("Verifiers", "homeschool.verify", "verifier", "Judge answers: `--with NAME`, or `verify: NAME` in a config."),
    ("Curators", "homeschool.curate", "curator", "Clean and select what passed."),
    ("Objectives", "homeschool.train", "objective", "What training minimises: `homeschool train NAME`."),
    ("Strategies", "homeschool.decode", "strategy", "How tokens are drawn from a local checkpoint."),
    ("Loop methods", "homeschool.improve", "recipe", "What a round of `homeschool improve` does: `method: NAME`."),
    ("Tasks", "homeschool.tasks", "task", "Problems, and the verifier that judges them: `homeschool evaluate NAME`."),
    ("Reproductions", "homeschool.reproduce", "reproduce", "A claim held against a run: `homeschool reproduce NAME`."),
)
"""Heading, package, the attribute that makes a file a method, and what the shelf is for."""

HEAD = """# Methods and their papers

<!-- written by `make docs` from the files' docstrings: do not edit -->

One method, one file. The paper is the first that the file names; a file without one is engineering or our own task.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(section(*shelf) for shelf in SHELVES)])


def section(heading: str, package: str, attribute: str, purpose: str) -> str:
    """One shelf: its heading, its purpose and a table of its methods."""
    lines = [f"## {heading}", "", purpose, "", "| name | what it does | paper | file |", "|---|---|---|---|"]
    for method in implementations(package, attribute):
        file = Path("src", *package.split("."), f"{method['name']}.py")
        if (ROOT / file).is_file():
            lines.append(line(method, file))
    return "\n".join([*lines, ""])


def line(method: Listing, file: Path) -> str:
    summary = method["summary"].replace("|", "\\|")
    cells = (f"`{method['name']}`", summary, paper(method["paper"]), f"[{file.name}](../{file.as_posix()})")
    return f"| {' | '.join(cells)} |"


def paper(name: str) -> str:
    """A link for an arXiv id, else the name as it is."""
    return f"[arXiv:{name}](https://arxiv.org/abs/{name})" if re.fullmatch(r"\d{4}\.\d{4,5}", name) else name


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))
