"""Objectives by name: a file of this folder that says `objective = ...`, or an entry point of a third party."""

from __future__ import annotations

from homeschool.core.discover import implementations, load
from homeschool.core.protocols import Objective

PACKAGE, ATTRIBUTE = "homeschool.train", "objective"


def objective_names() -> list[str]:
    """Every objective that can be named, sorted. Nothing is imported."""
    return [entry["name"] for entry in implementations(PACKAGE, ATTRIBUTE)]


def load_objective(name: str) -> Objective:
    """A new objective called `name`. Raises UsageError, naming the nearest, if there is none."""
    return load(PACKAGE, name, ATTRIBUTE, kind="objective")()
