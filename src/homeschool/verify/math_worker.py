"""The process in which sympy runs: one JSON line in, one or two out. Started by `math_pool`, never imported.

Why a process: sympy can compute for ever or fill the memory on a line of text (`9^{9^{9^9}}`), and math-verify's own
time-out is `signal.alarm`, which only works in a main thread and is not seen while C code runs. A process can be
killed. So math-verify's time-outs are off here, the address space is limited, and the parent holds the clock.

Lines out: `{"ready": true}` once; for each job `{"gold": true}` when the gold is parsed (so that the parent knows at
whose cost a death is), then `{"word": ...}`: equal, unequal, no gold, no answer, (gold) crashed, or memory, after
which it ends. It ends as well at the end of its input, which is when its parent ends; should the parent be killed
while sympy is at work, the kernel's alarm (default action, so no Python is needed) ends it soon after the limit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import resource
import signal
import sys
import warnings
from typing import Any

from homeschool.verify.math_leaf import check, equal, expression
from homeschool.verify.math_shape import Shape, agree, leaves, read
from homeschool.verify.math_text import UnreadableError
from homeschool.verify.units import split_unit


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
    expression("\\sqrt{x}")
    _say(out, ready=True)
    backstop = math.ceil(seconds) + 2
    for line in sys.stdin.buffer:
        job = json.loads(line)
        signal.alarm(backstop)
        stage = "gold "
        try:
            golds = [gold for gold in map(_parsed, job["golds"]) if gold is not None]
            _say(out, gold=True)
            stage = ""
            signal.alarm(backstop)
            word = _compare(golds, job["answer"])
        except MemoryError:
            word = "memory"
        except Exception:  # sympy fails in many ways; here each becomes a word on this one job
            word = "failed"
        if word in ("unequal", "failed") and _peak_mb() > memory_mb / 2:
            # sympy and math-verify may take a MemoryError for "not equal"; only the peak still tells.
            word = "memory"
        signal.alarm(0)
        _say(out, word=word if word != "failed" else stage + "crashed")
        if word == "memory":
            return


def _compare(golds: list[Shape], answer: str) -> str:
    if not golds:
        return "no gold"
    target = _parsed(answer)
    if target is None:
        return "no answer"
    return "equal" if any(agree(gold, target, equal) for gold in golds) else "unequal"


def _parsed(span: str) -> Shape | None:
    """The shape of a span, if all its leaves can be read as well."""
    try:
        shape = read(span)
        for leaf in leaves(shape):
            check(split_unit(leaf)[0])
    except UnreadableError:
        return None
    return shape


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / (1 << 10)


def _say(out: Any, **message: Any) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
