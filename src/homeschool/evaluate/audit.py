"""Audit of a verifier: how often it is wrong, on answers whose right verdict is known beforehand.

A verifier is software, and everything that is learnt passes through it. So errors are planted (`verify.planted`): right
answers in other forms, wrong ones that are nearly right, and probes that try to win without an answer. Counted are
false accepts (a Pass for a wrong answer) and false rejects (a Fail for a right one), with Wilson's interval, in all and
for each way in which an answer was made. Abstain accepts and rejects nothing; Broken says nothing about the verifier's
judgement, so both are counted apart.

For programs nobody knows beforehand whether a mutant is wrong: its row's tests may not be able to tell. So a plain run
decides: program and tests in one script, in the sandbox, with nothing of the verifier's in between. A mutant that this
run kills and the verifier passes is a false accept; one that it does not kill is right as far as these tests know, and
counts against the tests, as their strength (the mutation score), not against the verifier.
"""

from __future__ import annotations

import ast
import asyncio
import difflib
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.execution import Case, Execution, Limits, Program
from homeschool.core.protocols import Verifier
from homeschool.core.records import Row
from homeschool.core.verdict import Broken, Fail, Pass, Verdict
from homeschool.evaluate.statistics import wilson
from homeschool.verify.matrix import Run
from homeschool.verify.mutants import stub
from homeschool.verify.planted import Planted
from homeschool.verify.planted.probes import probes
from homeschool.verify.planted.programs import planted as planted_programs

MOST_FALSE_ACCEPTS = 0.005
"""The largest share of wrong answers that a verifier to be trusted may pass."""

_AT_ONCE = 32
_PROBED_ROWS = 3
_SHOWN = 20
_GENERATED = ("math", "exact", "constraints", "schema")
_OF_PROGRAMS = ("tests",)


@dataclass(frozen=True, slots=True)
class Judged:
    """One planted answer and the verdict on it."""

    planted: Planted
    verdict: Verdict

    @property
    def wrong(self) -> bool:
        """Whether the verdict is an error: a Fail for what is right, a Pass for what is not."""
        return isinstance(self.verdict, Fail if self.planted.right else Pass)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is put to a verifier: planted answers, probes and, for programs, what the plain run said of the tests."""

    kind: str
    planted: tuple[Planted, ...]
    probes: tuple[Planted, ...]
    strength: dict[str, Any] | None = None
    skipped: int = 0
    """Rows that could not be used: their own reference does not pass their tests in a plain run, or cannot be read."""


def kind_of(spec: str) -> str:
    """The kind of verifier for which errors are planted: the first in `spec` that has any.

    `all_of(math, length(most=400))` is audited as `math`. Raises UsageError for a verifier of the user's own.
    """
    names = re.findall(r"[a-z_]\w*", spec)
    for name in names:
        if name in _GENERATED + _OF_PROGRAMS:
            return name
    for name in names:
        if _examples(name) is not None:
            return name
    raise UsageError(
        f"no planted errors are known for {spec!r}",
        hint=f"audit one of {', '.join(_GENERATED + _OF_PROGRAMS)}, or any verifier of `homeschool list verifiers`",
    )


@dataclass(frozen=True, slots=True)
class Size:
    """How much is planted: about `n` right and `n` wrong answers, or `mutants` of each program at most, by `seed`."""

    n: int = 1000
    mutants: int = 20
    seed: int = 0


async def plan(
    kind: str, rows: Sequence[Row], *, size: Size, limits: Limits | None = None, run: Run | None = None
) -> Plan:
    """What to put to a verifier of this kind.

    `rows` give golds and programs; without them golds are made up. `limits` are the verifier's for one test. Kinds
    without planted errors of their own are held against the examples in their file. Raises UsageError for `tests`
    without rows.
    """
    if kind in _OF_PROGRAMS:
        if not rows:
            raise UsageError(
                f"--audit --with {kind} needs a file",
                hint="name one with columns `reference` (or `completion`), `tests`",
            )
        plain = _Plain(run or _sandbox(), limits or Limits())
        return await _plan_of_programs(kind, rows, size=size, plain=plain)
    columns = [row.columns for row in rows]
    right, wrong = _examples(kind) or ([], [])
    if kind in _GENERATED:
        made = tuple(_generated(kind, columns, size=size))
    else:
        examples = [(example, True) for example in right] + [(example, False) for example in wrong]
        made = tuple(Planted(given, answer, is_right, "example") for (given, answer), is_right in examples)
    probed = [(each, "") for each in columns[:_PROBED_ROWS]] or right[:_PROBED_ROWS]
    tried = [probe for given, answer in probed for probe in probes(kind, given, answer)]
    return Plan(kind, made, tuple(tried))


async def judge_planted(verifier: Verifier, planted: Iterable[Planted]) -> list[Judged]:
    """The verdict on each answer, in order; each is judged by itself, as a group of one."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Planted) -> Judged:
        async with gate:
            return Judged(item, (await verifier(Row.source(item.columns), [item.answer]))[0])

    return list(await asyncio.gather(*(one(item) for item in planted)))


def report(verifier: Verifier, plan: Plan, judged: Sequence[Judged], probed: Sequence[Judged]) -> dict[str, Any]:
    """The numbers, as they are written to `audit.json`; `refused` says what is wrong, and is absent if nothing is."""
    accepts, rejects = _rate(judged, right=False), _rate(judged, right=True)
    outcomes: dict[str, str] = {}
    for item in probed:
        said = "ACCEPTED" if isinstance(item.verdict, Pass) else "refused"
        said = "broken" if isinstance(item.verdict, Broken) else said
        outcomes[item.planted.how] = max(outcomes.get(item.planted.how, "a"), said, key=_WORST.index)
    result: dict[str, Any] = {
        "verifier": verifier.name,
        "kind": plan.kind,
        "false_accept": accepts,
        "false_reject": rejects,
        "not_counted": {status: sum(i.verdict.status == status for i in judged) for status in ("abstain", "broken")},
        "rows_not_used": plan.skipped,
        "kinds": _by_kind(judged),
        "probes": outcomes,
        "tests_strength": plan.strength,
        "wrong": [_shown(item) for item in judged if item.wrong][:_SHOWN],
    }
    accepted = [name for name, said in outcomes.items() if said == "ACCEPTED"]
    reasons = []
    if accepts["n"] and accepts["rate"] > MOST_FALSE_ACCEPTS:
        reasons.append(f"{verifier.name} passes {100 * accepts['rate']:.2f}% of planted wrong answers")
    if accepted:
        reasons.append(f"{verifier.name} passes {len(accepted)} gaming probes ({', '.join(accepted[:3])})")
    return {**result, "refused": "; ".join(reasons)} if reasons else result


async def lives(run: Run, columns: Mapping[str, Any], program: str, *, limits: Limits) -> bool | None:
    """Whether `program` passes the row's tests in a plain run; None where that cannot be told.

    Tests that are Python run in one script with the program, after it; what they only define is called as public
    harnesses do: `check(entry_point)`, and functions `test_...`. Pairs of input and output are compared.
    """
    given = columns.get("tests")
    tests: list[Any] = list(given) if isinstance(given, (list, tuple)) else [given]
    if all(isinstance(test, str) for test in tests):
        judged = "\n\n".join([*tests, _calls("\n".join(tests), columns)])
        # In names of their own: a helper that a test brings along must not take the place of the program's.
        script = "\n\n".join([str(columns.get("setup") or ""), program, f"exec({judged!r}, dict(globals()))"])
        in_all = replace(limits, seconds=limits.seconds * len(tests))
        execution = await run(Program(source=script, limits=in_all))
        return None if execution.status == "broken" else execution.status == "passed"
    cases = [Case(str(test["input"]), str(test["output"])) for test in tests if isinstance(test, Mapping)]
    ended = [await run(Program(source=program, stdin=case.input, limits=limits)) for case in cases]
    if not cases or any(execution.status == "broken" for execution in ended):
        return None
    return all(_prints(execution, case.output) for execution, case in zip(ended, cases, strict=True))


@dataclass(frozen=True, slots=True)
class _Plain:
    """Where the plain runs take place."""

    run: Run
    limits: Limits

    async def lives(self, item: Planted, *, program: str | None = None) -> bool | None:
        return await lives(self.run, item.columns, item.answer if program is None else program, limits=self.limits)


async def _plan_of_programs(kind: str, rows: Sequence[Row], *, size: Size, plain: _Plain) -> Plan:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def told(item: Planted) -> Planted | None:
        async with gate:
            alive = await plain.lives(item)
        return None if alive is None else replace(item, right=alive)

    kept: list[Planted] = []
    tried: list[Planted] = []
    living: list[str] = []
    for row in rows:
        items = list(planted_programs(row.columns, seed=size.seed, most=size.mutants))
        known = await asyncio.gather(*(told(item) for item in items))
        if not items or known[0] is None or not known[0].right:
            continue
        found = [item for item in known if item is not None]
        kept += found
        living += [_difference(items[0].answer, item) for item in found[1:] if item.right]
        # Tests that pass a program without bodies say nothing of a probe either.
        if len(tried) < _PROBED_ROWS and not await plain.lives(items[0], program=stub(items[0].answer)):
            tried.append(items[0])
    used = sum(item.how == "reference" for item in kept)
    probed = [probe for item in tried for probe in probes(kind, item.columns, item.answer)]
    return Plan(kind, tuple(kept), tuple(probed), _strength(len(kept) - used, living), len(rows) - used)


def _strength(mutants: int, living: Sequence[str]) -> dict[str, Any]:
    """How many mutants the files' own tests kill in a plain run, and some of those that live."""
    killed = mutants - len(living)
    shares = {"mutation_score": killed / mutants, "ci95": list(wilson(killed, mutants))} if mutants else {}
    return {"mutants": mutants, "killed": killed, **shares, "survivors": list(living[:_SHOWN])}


def _generated(kind: str, columns: Sequence[Mapping[str, Any]], *, size: Size) -> Iterable[Planted]:
    if kind in ("constraints", "schema"):
        # These count right and wrong answers together.
        return importlib.import_module(f"homeschool.verify.planted.{kind}").planted(size.seed, 2 * size.n)
    from homeschool.verify.answers import gold_answers
    from homeschool.verify.planted.mathematics import planted, planted_exact

    golds = [golds[0] for each in columns if (golds := gold_answers(each))]
    return (planted if kind == "math" else planted_exact)(size.seed, size.n, golds=golds)


def _examples(name: str) -> tuple[list[Any], list[Any]] | None:
    """GOLD and CORRUPTED of a verifier's file; None if there is no such file."""
    try:
        module = importlib.import_module(f"homeschool.verify.{name}")
    except ModuleNotFoundError:
        return None
    right, wrong = getattr(module, "GOLD", None), getattr(module, "CORRUPTED", None)
    return None if right is None or wrong is None else (right, wrong)


def _rate(judged: Sequence[Judged], *, right: bool) -> dict[str, Any]:
    """Share of wrong verdicts among the answers that are right (or are not), those that were Broken left out."""
    counted = [item for item in judged if item.planted.right is right and not isinstance(item.verdict, Broken)]
    errors = sum(item.wrong for item in counted)
    if not counted:
        return {"rate": None, "n": 0, "errors": 0, "ci95": None}
    return {
        "rate": errors / len(counted),
        "n": len(counted),
        "errors": errors,
        "ci95": list(wilson(errors, len(counted))),
    }


def _by_kind(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """One line for each way of making an answer, the right ones first."""
    names = sorted({(not item.planted.right, item.planted.how) for item in judged})
    return [
        {"how": how, "right": not wrong, **_rate([i for i in judged if i.planted.how == how], right=not wrong)}
        for wrong, how in names
    ]


def _shown(item: Judged) -> dict[str, Any]:
    verdict = item.verdict
    said = {"status": verdict.status, "reason": verdict.reason, "evidence": verdict.evidence}
    return {"how": item.planted.how, "right": item.planted.right, "answer": item.planted.answer[:300], **said}


def _calls(tests: str, columns: Mapping[str, Any]) -> str:
    """Calls of what the tests define and do not call themselves."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    defined = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name not in called]
    entry = columns.get("entry_point")
    calls = [f"{n.name}()" for n in defined if n.name.startswith("test") and not n.args.args]
    checks = [f"check({entry})" for n in defined if n.name == "check" and isinstance(entry, str)]
    return "\n".join([*calls, *checks])


def _prints(execution: Execution, wanted: str) -> bool:
    got = [line.rstrip() for line in execution.stdout.rstrip().splitlines()]
    return execution.status == "passed" and got == [line.rstrip() for line in wanted.rstrip().splitlines()]


def _difference(reference: str, mutant: Planted) -> str:
    """The first changed line of a mutant, and what kind of change it is."""
    before, after = ast.unparse(ast.parse(reference)).splitlines(), mutant.answer.splitlines()
    new = [line[2:].strip() for line in difflib.ndiff(before, after) if line.startswith("+ ")]
    return f"{mutant.how}: {new[0] if new else 'a line less'}"


def _sandbox() -> Run:
    from homeschool.sandbox.open import shared_sandbox

    return shared_sandbox().run


_WORST = ("a", "refused", "broken", "ACCEPTED")
