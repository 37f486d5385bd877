"""Planted errors: answers whose right verdict is known, so that a verifier's own mistakes can be counted.

Each file here makes, for one verifier, answers that are right by construction and answers in which one documented
thing was then broken. A verifier that passes a broken one accepts falsely; one that fails a right one rejects
falsely. Errors are planted, not collected: their kinds are named (`Planted.how`), so that a rate can be broken down
by kind, and the same seed gives the same ones on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Planted:
    """One answer of known verdict. `how` names what was done: `right`, or the corruption."""

    columns: dict[str, Any]
    answer: str
    right: bool
    how: str
