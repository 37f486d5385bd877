"""A lap of the race "sandbox" by homeschool: every wall up, two boxes, no cache. Starting and proving are not timed."""

from __future__ import annotations

import json
import sys
import time

from small_programs import small_programs

from homeschool.core.execution import Program
from homeschool.sandbox.pool import Sandbox

if __name__ == "__main__":
    programs = list(small_programs(int(sys.argv[1])))
    with Sandbox(sys.argv[2] if len(sys.argv) > 2 else None, workers=2, cache=None) as sandbox:
        *_, warm = sandbox.map([Program("")] * 4)
        started = time.monotonic()
        jobs = (Program(p.source, (f"def check(candidate):\n{p.asserts()}\ncheck({p.entry})\n",)) for p in programs)
        right = 0
        for small, execution in zip(programs, sandbox.map(jobs), strict=True):
            right += (execution.status == "passed") == small.right
        print(json.dumps({"right": right, "seconds": time.monotonic() - started, "isolation": warm.isolation}))
