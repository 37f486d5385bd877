"""Planted answers to programming tasks: the reference program (right), and its mutants (wrong).

A mutant is wrong by construction only in its text: whether the row's tests can tell is their strength, not the
verifier's. So whoever counts must first ask a plain run of the same tests which mutants they kill (`evaluate.audit`),
and hold the verifier to that. Here every mutant is planted as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeschool.verify.mutants import mutants
from homeschool.verify.planted import Planted
from homeschool.verify.program import program_of


def planted(columns: Mapping[str, Any], *, seed: int, most: int) -> Iterator[Planted]:
    """The reference in column `reference` (or `completion`), then at most `most` of its mutants, drawn by `seed`.

    Nothing is yielded for a row without a program that Python can read.
    """
    program = reference_in(columns)
    if program is None:
        return
    try:
        changed = mutants(program, seed=seed, most=most)
    except SyntaxError:
        return
    given = {name: value for name, value in columns.items() if name not in ("reference", "completion", "prefix")}
    yield Planted(given, program, True, "reference")
    for mutant in changed:
        yield Planted(given, mutant.source, False, mutant.kind)


def reference_in(columns: Mapping[str, Any]) -> str | None:
    """The row's right program, whole even where its column only continues `prefix`; None if it has none."""
    for column in ("reference", "completion"):
        value = columns.get(column)
        if isinstance(value, str) and value.strip():
            return program_of(value, columns)
    return None
