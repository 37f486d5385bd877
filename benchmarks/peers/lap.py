"""One lap of the race "generate", as every contestant runs it: its arguments, its work, its clock.

Each contestant is a program of its own in an environment of its own, so this file needs the standard library only. A
lap makes two calls for every row (the second asks about the first one's answer) and writes the rows to disk; imports
are not counted. The last line of its output is JSON: `rows, seconds, cpu_seconds` (the processes it started and waited
for are counted in).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "stand-in"
FIRST = "Write one short question about topic number {topic}, for a pupil who likes to think."
SECOND = "Answer this question in one sentence, then say how sure you are: {question}"
TEMPERATURE, MAX_TOKENS = 1.0, 256


@dataclass
class Lap:
    """What to do, and what came of it: `rows` is set by the contestant, the times by `clock`."""

    url: str
    """Ends in /v1."""
    topics: list[int]
    concurrency: int
    out: Path
    """A folder to write to; a second lap with the same one is a replay."""
    rows: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Times what is inside, and prints the lap's result after it."""
        wall, cpu = time.perf_counter(), _cpu_seconds()
        yield
        self.seconds = time.perf_counter() - wall
        self.cpu_seconds = _cpu_seconds() - cpu
        print(json.dumps({"rows": self.rows, "seconds": self.seconds, "cpu_seconds": self.cpu_seconds}), flush=True)

    def source(self) -> list[dict[str, Any]]:
        return [{"topic": topic} for topic in self.topics]


def read_lap() -> Lap:
    """The lap that the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    return Lap(given.url, list(range(given.rows)), given.concurrency, given.out)


def _cpu_seconds() -> float:
    """User and system time of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
