"""`mutation_score`: the answer is a test suite, and it is worth the mutants that it kills.

For tasks in which a model writes tests. A suite passes if it accepts the program in column `reference` (or `program`),
fails on a stub (that program with every function's body gone), and kills at least `least` of the program's mutants: the
same program with one small bug each (see `mutants`), `most` of them drawn by `seed`. Every way of failing kills: a
failed assertion, an exception, a time-out.

The score is killed / all. Mutants that no test can kill (they do the same) are among all, but for the plainest, so 1 is
not always in reach. Evidence lists what lived, and how many tests accept the stub or never look at the program.

The suite is Python: asserts, functions `test_...`, or unittest; a Markdown fence around it is stripped. It runs in the
sandbox, as the reference does. Verdicts: Pass; Fail with `tests cannot be read`, `no tests`, `tests cannot be run`,
`checks nothing`, `rejects the reference`, `passes a stub` or `kills too few mutants`; Broken with `no reference`,
`reference cannot be run`, `reference has no mutants` or `sandbox`.

Known limits: one suite costs up to `most` + 3 visits to the sandbox. A suite that tests only what the reference prints
is not read, because a test sees what functions return.
Measured: in a plain run the published tests of 28 programs (9 of HumanEval, 10 of sanitized MBPP, 9 of QuixBugs) kill
397 of 422 mutants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.execution import Limits, Outcome, Program
from homeschool.core.protocols import Context
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.sandbox.isolation import marked
from homeschool.verify.answers import shown
from homeschool.verify.matrix import Run, outcomes
from homeschool.verify.mutants import Mutant, mutants, stub
from homeschool.verify.program import program_of
from homeschool.verify.suites import at_fault, last_line, split

_PROGRAM = {
    "reference": "def clamp(x, low, high):\n    if x < low:\n        return low\n    return high if x > high else x\n"
}
GOLD: list[tuple[dict[str, Any], str]] = [
    (
        _PROGRAM,
        "assert clamp(5, 0, 9) == 5\nassert clamp(-1, 0, 9) == 0\nassert clamp(12, 0, 9) == 9\n"
        "assert clamp(9, 0, 9) == 9",
    ),
    (
        {"program": _PROGRAM["reference"]},
        "Here they are:\n```python\ndef test_inside():\n    assert clamp(3, 1, 4) == 3\n\n"
        "def test_outside():\n    for x, want in [(0, 1), (9, 4)]:\n        assert clamp(x, 1, 4) == want\n```",
    ),
]
CORRUPTED: list[tuple[dict[str, Any], str]] = [
    (_PROGRAM, "assert clamp(5, 0, 9) == 6"),
    (_PROGRAM, "clamp(5, 0, 9)"),
    (_PROGRAM, "assert True"),
    (_PROGRAM, "assert clamp(5, 0, 9) is not clamp"),
    (_PROGRAM, "assert clamp(5, 0, 9) is not None"),
    (_PROGRAM, "assert clamp(5, 0, 9 =="),
    (_PROGRAM, "I would test the edges, and a value in between."),
    (_PROGRAM, ""),
]


@dataclass(frozen=True, slots=True)
class MutationScore:
    """`seconds` of processor time for each test. `run` is the sandbox's, or what a test of this file puts there."""

    least: float = 0.5
    most: int = 50
    seconds: float = 2.0
    seed: int = 0
    run: Run | None = None
    name: str = "mutation_score@1"

    async def __call__(self, row: Row, answers: Sequence[str], ctx: Context | None = None) -> list[Verdict]:
        reference = reference_of(row.columns)
        if not answers:
            return []
        if reference is None:
            broken = Broken(reason="no reference", evidence="no column `reference`", verifier=self.name)
            return [broken for _ in answers]
        run = self.run or _sandbox()
        try:
            changed, gutted = mutants(reference, seed=self.seed, most=self.most), stub(reference)
        except SyntaxError as error:
            return [self._broken("reference cannot be run", str(error)) for _ in answers]
        alone = await run(Program(source=reference, limits=self._limits))
        if alone.status != "passed":
            reason = "sandbox" if alone.status == "broken" else "reference cannot be run"
            return [self._broken(reason, f"{alone.status}: {alone.message}") for _ in answers]
        if not changed:
            return [self._broken("reference has no mutants", reference) for _ in answers]
        one = _Bench(run, reference, gutted, changed, self._limits)
        return list(await asyncio.gather(*(self._judge(one, answer) for answer in answers)))

    @property
    def _limits(self) -> Limits:
        return Limits(seconds=self.seconds)

    async def _judge(self, bench: _Bench, answer: str) -> Verdict:
        try:
            tests = split(program_of(answer, {}))
        except SyntaxError as error:
            return self._fail("tests cannot be read", str(error))
        if not tests:
            return self._fail("no tests", answer)
        accepted = await outcomes(bench.run, bench.reference, tests, bench.limits)
        for test, outcome in zip(tests, accepted, strict=True):
            if outcome.status == "broken":
                said = f"{last_line(test)}: {outcome.message}"
                return self._fail("tests cannot be run", said) if at_fault(outcome) else self._broken("sandbox", said)
            if outcome.status not in ("passed", "unused"):
                said = f"{last_line(test)}: {outcome.status} {outcome.message}"
                return self._fail("rejects the reference", said)
        looking = [test for test, outcome in zip(tests, accepted, strict=True) if outcome.status == "passed"]
        if not looking:
            return self._fail("checks nothing", f"{len(tests)} tests never look at the program")
        on_stub = await outcomes(bench.run, bench.stub, looking, bench.limits)
        refusing = [test for test, outcome in zip(looking, on_stub, strict=True) if kills(outcome)]
        if any(outcome.status == "broken" for outcome in on_stub):
            return self._broken("sandbox", next(o.message for o in on_stub if o.status == "broken"))
        if not refusing:
            return self._fail("passes a stub", f"{len(looking)} tests accept functions without a body")
        return await self._score(bench, looking, vacuous=len(tests) - len(refusing))

    async def _score(self, bench: _Bench, tests: Sequence[str], *, vacuous: int) -> Verdict:
        lived = await survivors(bench.run, bench.mutants, tests, bench.limits)
        if isinstance(lived, Outcome):
            return self._broken("sandbox", lived.message)
        killed = len(bench.mutants) - len(lived)
        score = killed / len(bench.mutants)
        scores = {"correct": float(score >= self.least), "mutation_score": score}
        said = [f"killed {killed} of {len(bench.mutants)} mutants", *[f"lives: {mutant}" for mutant in lived]]
        if vacuous:
            said.insert(1, f"{vacuous} tests check nothing")
        evidence = shown("; ".join(said), limit=900)
        if score < self.least:
            return Fail(scores, "kills too few mutants", evidence, self.name)
        return Pass(scores, evidence=evidence, verifier=self.name)

    def _fail(self, reason: str, evidence: str) -> Fail:
        return Fail({"correct": 0.0, "mutation_score": 0.0}, reason, shown(evidence), self.name)

    def _broken(self, reason: str, evidence: str) -> Broken:
        return Broken(reason=reason, evidence=shown(evidence), verifier=self.name)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What every suite for one reference is held against."""

    run: Run
    reference: str
    stub: str
    mutants: list[Mutant]
    limits: Limits


def verifier(*, least: float = 0.5, most: int = 50, seconds: float = 2.0, seed: int = 0) -> MutationScore:
    """The verifier `mutation_score`: `least` share of at most `most` mutants. Raises UsageError for no share."""
    if not 0 < least <= 1 or most < 1:
        raise UsageError(f"least={least} of most={most} mutants is no share", hint="write least=0.5, most=50")
    return MutationScore(least, most, seconds, seed, name=marked("mutation_score@1"))


def reference_of(columns: Mapping[str, Any]) -> str | None:
    """The right program in column `reference`, else `program`; None if there is none."""
    for column in ("reference", "program"):
        value = columns.get(column)
        if isinstance(value, str) and value.strip():
            return value
    return None


def kills(outcome: Outcome) -> bool:
    """Whether a test that came out so has rejected the program."""
    return outcome.status not in ("passed", "unused", "broken", "not run")


async def survivors(
    run: Run, changed: Sequence[Mutant], tests: Sequence[str], limits: Limits
) -> list[Mutant] | Outcome:
    """The mutants that pass all `tests`, in order; the Outcome that was broken, if one was."""
    programs = [Program(source=mutant.source, tests=tuple(tests), limits=limits) for mutant in changed]
    executions = await asyncio.gather(*(run(program) for program in programs))
    lived: list[Mutant] = []
    for mutant, execution in zip(changed, executions, strict=True):
        if any(kills(outcome) for outcome in execution.tests):
            continue
        if execution.status not in ("passed", "unused"):
            return Outcome("broken", f"{mutant}: {execution.status} {execution.message}")
        lived.append(mutant)
    return lived


def _sandbox() -> Run:
    from homeschool.sandbox.open import shared_sandbox

    return shared_sandbox().run
