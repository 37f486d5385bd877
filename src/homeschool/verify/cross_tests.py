"""`cross_tests`: programs judged by tests that a model wrote too, where many of both agree (CodeT).

Paper: Chen et al. 2022, "CodeT: Code Generation with Generated Tests" (arXiv 2207.10397). Dual execution agreement: run
all programs x on all sampled tests y; programs that pass exactly the same tests are one consensus set
S = (S_x, S_y), and f(S) = |S_x| |S_y|. The paper ranks by f; the authors' released code takes sqrt(|S_x|) |S_y|, which
`root=True` does here. The programs of the best set pass; the others fail, `outside the consensus`. Where the best ties,
or no test counts, there is no opinion: Abstain.

Ours beyond the paper, because a model's tests are often empty and agreement on them is worth nothing. A test counts
only if it fails on a stub (a function without a body) and, where the program that most agree on passes it, fails by an
assertion on a mutant of that program. (A mutant that raises is killed by any call, and one that returns None by any
look at the result: these are no merit.) A test that is sampled twice counts once; a program
that is sampled twice counts twice, as in the paper. And a set that passes less than `least` of the tests that count is
no consensus, however many programs are in it: then there is no opinion on any.

Tests come from column `sampled_tests` (a text or a list of texts: asserts, functions `test_...`, with or without a
Markdown fence), else the model in the role `generator` is asked for `samples` of them, with column `prompt`. The first
`per_sample` tests of each are used (paper: 5 of each of 100 samples). Without either the row is Broken, `no tests`.

It judges a group: with one answer, that answer is its own consensus, if a test counts. Verdicts: Pass; Fail with
`no program` or `outside the consensus`; Abstain with `no test counts`, `too few tests agree` or `the best sets tie`;
Broken with `no tests` or `sandbox`. Measured: not measured (needs a capable model).
"""

from __future__ import annotations

import ast
import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.execution import Limits, Outcome
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Abstain, Broken, Fail, Pass, Verdict
from homeschool.sandbox.isolation import marked
from homeschool.verify.answers import shown
from homeschool.verify.matrix import Run, outcomes
from homeschool.verify.mutants import mutants, parsed, stub
from homeschool.verify.program import program_of
from homeschool.verify.suites import at_fault, split

_TESTS = {"sampled_tests": ["assert add(2, 3) == 5\nassert add(0, 0) == 0", "assert add(-1, 1) == 0", "assert True"]}
GOLD: list[tuple[dict[str, Any], str]] = [
    (_TESTS, "def add(a, b):\n    return a + b"),
    (_TESTS, "```python\ndef add(a, b):\n    return sum([a, b])\n```"),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    (_TESTS, "def add(a, b):\n    return a +"),
    (_TESTS, "It adds two numbers."),
    (_TESTS, "# add"),
    (_TESTS, ""),
]

Table = dict[str, list[Outcome]]
"""Of each program the outcome of each test, in the order of the tests."""


@dataclass(frozen=True, slots=True)
class CrossTests:
    """`run` is the sandbox's, or what a test of this file puts there. `seconds` of processor time for each test."""

    samples: int = 10
    per_sample: int = 5
    root: bool = False
    least: float = 0.5
    mutants: int = 20
    seconds: float = 2.0
    run: Run | None = None
    name: str = "cross_tests@1"
    grouped: bool = True

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        if not answers:
            return []
        tests = await self._tests(row, ctx)
        if not tests:
            return [self._broken("no tests", "no column `sampled_tests` with asserts") for _ in answers]
        programs = [_readable(program_of(answer, row.columns)) for answer in answers]
        counts = Counter(program for program in programs if program)
        verdicts = await self._verdicts(counts, tests) if counts else {}
        missing = Fail({"correct": 0.0}, "no program", verifier=self.name)
        return [verdicts[program] if program else missing for program in programs]

    async def _verdicts(self, counts: Mapping[str, int], tests: list[str]) -> dict[str, Verdict]:
        """The verdict of each different program, `counts` being how often it was sampled."""
        table = await self._table(list(counts), tests)
        faults = {program: _fault(row) for program, row in table.items()}
        broken = {p: self._broken("sandbox", fault.message) for p, fault in faults.items() if fault}
        sound = {program: row for program, row in table.items() if program not in broken}
        counting = await self._counting(sound, counts, tests)
        if isinstance(counting, Outcome):
            return {program: self._broken("sandbox", counting.message) for program in counts}
        sets = self._sets(sound, counts, counting)
        if not sets:
            return {**dict.fromkeys(sound, self._abstain("no test counts", f"{len(tests)} tests")), **broken}
        widest = max(len(passed) for passed, score in sets.items() if math.isclose(score, max(sets.values())))
        if widest < self.least * len(counting):
            seen = f"the best set passes {widest} of {len(counting)} tests that count"
            return {**dict.fromkeys(sound, self._abstain("too few tests agree", seen)), **broken}
        judged = {program: self._verdict(_passed(row, counting), sets) for program, row in sound.items()}
        return {**judged, **broken}

    def _verdict(self, passed: frozenset[int], sets: Mapping[frozenset[int], float]) -> Verdict:
        """The verdict of a program that passes the tests `passed`, given the score of each consensus set."""
        mine, best = sets.get(passed, 0.0), max(sets.values())
        tied = sum(math.isclose(score, best) for score in sets.values()) > 1
        evidence = f"passes {len(passed)} tests that count; its set scores {mine:g}, the best of {len(sets)} {best:g}"
        share = {"consensus": mine / sum(sets.values())}
        if not math.isclose(mine, best):
            return Fail({"correct": 0.0, **share}, "outside the consensus", evidence, self.name)
        if tied:
            return Abstain(share, "the best sets tie", evidence, self.name)
        return Pass({"correct": 1.0, **share}, evidence=evidence, verifier=self.name)

    async def _table(self, programs: Sequence[str], tests: Sequence[str]) -> Table:
        run, limits = self.run or _sandbox(), Limits(seconds=self.seconds)
        rows = await asyncio.gather(*(outcomes(run, program, tests, limits) for program in programs))
        return dict(zip(programs, rows, strict=True))

    def _sets(self, table: Table, counts: Mapping[str, int], tests: frozenset[int]) -> dict[frozenset[int], float]:
        """The consensus sets by the tests that their programs pass, each with its score; none that passes nothing."""
        sizes: Counter[frozenset[int]] = Counter()
        for program, row in table.items():
            sizes[_passed(row, tests)] += counts[program]
        del sizes[frozenset()]
        return {passed: (math.sqrt(n) if self.root else n) * len(passed) for passed, n in sizes.items()}

    async def _counting(self, table: Table, counts: Mapping[str, int], tests: list[str]) -> frozenset[int] | Outcome:
        """Which tests count, by index; the Outcome that was broken, if the sandbox was."""
        everything = frozenset(range(len(tests)))
        sets = self._sets(table, counts, everything)
        if not sets:
            return frozenset()
        agreed = max(sets, key=lambda passed: sets[passed])
        leader = next(program for program, row in table.items() if _passed(row, everything) == agreed)
        gutted = stub(leader)
        changed = [m.source for m in mutants(leader) if m.kind != "return" and not m.before.startswith("return")]
        changed = changed[:: max(1, len(changed) // self.mutants)][: self.mutants]
        tried = await self._table([gutted, *changed], tests)
        fault = next(filter(None, map(_fault, tried.values())), None)
        if fault:
            return fault
        accepted = _passed(tried[gutted], everything)
        unused = {n for row in table.values() for n, outcome in enumerate(row) if outcome.status == "unused"}
        killing = {n for source in changed for n, outcome in enumerate(tried[source]) if outcome.status == "failed"}
        return everything - accepted - unused - (agreed - killing)

    async def _tests(self, row: Row, ctx: Context | None) -> list[str]:
        """The different tests of the row: its own, or asked for."""
        sampled = row.get("sampled_tests")
        if sampled is None and ctx is not None and isinstance(row.get("prompt"), str):
            asked = [{"role": "user", "content": PROMPT.replace("{prompt}", row["prompt"])}]
            sampled = [said.text for said in await ctx.ask(asked, n=self.samples, role="generator", max_tokens=512)]
        suites = [sampled] if isinstance(sampled, str) else sampled if isinstance(sampled, (list, tuple)) else []
        found = [test for suite in suites if isinstance(suite, str) for test in _cut(suite)[: self.per_sample]]
        return list(dict.fromkeys(found))

    def _abstain(self, reason: str, evidence: str) -> Abstain:
        return Abstain(reason=reason, evidence=evidence, verifier=self.name)

    def _broken(self, reason: str, evidence: str) -> Broken:
        return Broken(reason=reason, evidence=shown(evidence), verifier=self.name)


def verifier(
    *,
    samples: int = 10,
    per_sample: int = 5,
    root: bool = False,
    least: float = 0.5,
    mutants: int = 20,
    seconds: float = 2.0,
) -> CrossTests:
    """The verifier `cross_tests`. `samples` suites are asked for where a row has none; `root`: see above."""
    return CrossTests(samples, per_sample, root, least, mutants, seconds, name=marked("cross_tests@1"))


def _readable(program: str) -> str:
    """The program, or nothing if it is no Python or has nothing that a test could call."""
    try:
        tree = parsed(program)
    except SyntaxError:
        return ""
    callable_ = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    return program if any(isinstance(node, callable_) for node in ast.walk(tree)) else ""


def _cut(suite: str) -> list[str]:
    try:
        return split(program_of(suite, {}))
    except SyntaxError:
        return []


def _passed(row: Sequence[Outcome], tests: frozenset[int]) -> frozenset[int]:
    return frozenset(n for n in tests if row[n].status == "passed")


def _fault(row: Sequence[Outcome]) -> Outcome | None:
    """The first outcome for which the sandbox is to blame."""
    return next((outcome for outcome in row if outcome.status == "broken" and not at_fault(outcome)), None)


def _sandbox() -> Run:
    from homeschool.sandbox.open import shared_sandbox

    return shared_sandbox().run


PROMPT = """\
{prompt}

Do not solve this. Write tests for a solution: five Python `assert` statements, each on a line of its own, each calling
the function with other arguments and comparing the result with the right one. Cover the usual and the edge cases.
Answer with the asserts alone, in one Markdown code fence."""
