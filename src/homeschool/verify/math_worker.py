"""The process in which math-verify runs: one JSON line in, one or two out. Started by `math_pool`, never imported.

Why a process: sympy can compute for ever or fill the memory on a line of text (`9^{9^{9^9}}`), and math-verify's own
time-out is `signal.alarm`, which only works in a main thread and is not seen while C code runs. A process can be
killed. So math-verify's time-outs are off here, the address space is limited, and the parent holds the clock.

Lines out: `{"ready": true}` once; for each job `{"gold": true}` when the gold is parsed (so that the parent knows at
whose cost a death is), then `{"word": ...}`: equal, unequal, no gold, no answer, or memory (after which it ends).
It ends at the end of its input, which is when its parent ends; should the parent be killed while sympy is at work,
the kernel's alarm (default action, so no Python is needed) ends it soon after the limit.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import os
import resource
import signal
import sys
import warnings
from typing import Any


def main(seconds: float, memory_mb: int) -> None:
    """Answer jobs `{"golds": [...], "answer": "..."}` until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    # Parsers print; what they print must not reach the pipe.
    os.dup2(2, 1)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    _parsed("1")
    _say(out, ready=True)
    backstop = math.ceil(seconds) + 2
    for line in sys.stdin.buffer:
        job = json.loads(line)
        signal.alarm(backstop)
        try:
            golds = [gold for gold in map(_parsed, job["golds"]) if gold]
            _say(out, gold=True)
            signal.alarm(backstop)
            word = _compare(golds, job["answer"])
        except MemoryError:
            word = "memory"
        if word == "unequal" and _peak_mb() > memory_mb / 2:
            # math-verify takes a MemoryError for "not equal"; only the peak still tells.
            word = "memory"
        signal.alarm(0)
        _say(out, word=word)
        if word == "memory":
            return


def _compare(golds: list[list[Any]], answer: str) -> str:
    from math_verify import verify

    if not golds:
        return "no gold"
    target = _parsed(answer)
    if not target:
        return "no answer"
    # The gold comes first: math-verify is not symmetric. Strict, so that x=5 is not y=5 and (1,2] is not (1,2).
    return "equal" if any(verify(gold, target, timeout_seconds=None) for gold in golds) else "unequal"


@functools.lru_cache(maxsize=256)
def _parsed(span: str) -> list[Any]:
    """The sympy expressions of a formula; empty if it cannot be read."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    # Without a fallback: the fallback is the raw text, which would make any two equal junk texts equal.
    options: dict[str, Any] = {"fallback_mode": "no_fallback", "parsing_timeout": None}
    found = parse(f"${span}$", extraction_config=[LatexExtractionConfig()], **options)
    return found or parse(span, extraction_config=[ExprExtractionConfig()], **options)


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)


def _say(out: Any, **message: Any) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
