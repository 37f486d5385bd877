"""A lap of the race "sandbox" by EvalPlus: its untrusted_check in a pool of processes, as its evaluate.py does.

EvalPlus takes half of the cores; a second argument gives it as many workers as one likes.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from evalplus.eval import PASS, untrusted_check  # pyright: ignore[reportMissingImports]
from small_programs import Small, small_programs


def check(small: Small) -> bool:
    status, _ = untrusted_check(
        "humaneval",
        small.source,
        small.inputs,
        small.entry,
        expected=small.expected,
        atol=0,
        ref_time=[0.01] * len(small.inputs),
        fast_check=True,
    )
    return (status == PASS) == small.right


if __name__ == "__main__":
    programs = list(small_programs(int(sys.argv[1])))
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else max(1, multiprocessing.cpu_count() // 2)
    started = time.monotonic()
    with ProcessPoolExecutor(max_workers=workers) as pool:
        right = sum(pool.map(check, programs))
    print(json.dumps({"right": right, "seconds": time.monotonic() - started}))
