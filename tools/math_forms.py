"""How `math` judges other writings of gold answers, and answers that are nearly right.

    python tools/math_forms.py ../shared/data/math/math500_even.jsonl

For every gold answer of the file: the rewritings of `math_equivalent` keep its value and must pass, the changes of
`math_near` do not and must fail. Prints a row for each rewriting (how many, how many judged right) and every wrong
verdict; exit 1 if there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from math_equivalent import Form, equivalent_forms
from math_near import near_misses

from homeschool.core.records import Row
from homeschool.verify.math import verifier


def read_golds(path: Path) -> list[str]:
    """The gold answers of a file of solutions that end in "The answer is: X"."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["answer"].rpartition("The answer is:")[2].strip() for row in rows]


def distinct(forms: Iterable[Form]) -> list[Form]:
    """The forms, each answer to a gold answer once: golds repeat, and rewritings meet."""
    first: dict[tuple[str, str], Form] = {}
    for form in forms:
        first.setdefault((form.gold, form.answer), form)
    return list(first.values())


async def misjudged(forms: Sequence[Form], right: str) -> list[tuple[Form, str]]:
    """The forms whose verdict is not `right`, each with what was said of it."""
    judge, wrong = verifier(), list[tuple[Form, str]]()
    for start in range(0, len(forms), 500):
        part = forms[start : start + 500]
        judged = await asyncio.gather(*(judge(Row.source({"answer": form.gold}), [form.answer]) for form in part))
        for form, [verdict] in zip(part, judged, strict=True):
            if verdict.status != right:
                wrong.append((form, f"{verdict.status} {verdict.reason} {verdict.evidence}"))
    return wrong


def report(title: str, forms: Sequence[Form], wrong: Sequence[tuple[Form, str]]) -> None:
    """One line for each rewriting, one for all, and one for each wrong verdict."""
    sys.stdout.write(f"{title:44}{'forms':>7}{'right':>7}\n")
    for name in dict.fromkeys(form.name for form in forms):
        made = sum(form.name == name for form in forms)
        sys.stdout.write(f"  {name:42}{made:7}{made - sum(form.name == name for form, _ in wrong):7}\n")
    sys.stdout.write(f"  {'all':42}{len(forms):7}{len(forms) - len(wrong):7}\n")
    for form, said in wrong:
        sys.stdout.write(f"  WRONG {form.name}: gold {form.gold!r}, answer {form.answer!r}: {said}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("file", type=Path)
    golds = read_golds(parser.parse_args().file)
    found = 0
    for title, forms, right in (
        ("equivalent, must pass", distinct(equivalent_forms(golds)), "pass"),
        ("near misses, must fail", distinct(near_misses(golds)), "fail"),
    ):
        wrong = asyncio.run(misjudged(forms, right))
        report(title, forms, wrong)
        found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
