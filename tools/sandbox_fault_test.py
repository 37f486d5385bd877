"""Run many programs while the sandbox's own processes are killed at random; count the verdicts.

    python tools/sandbox_fault_test.py --programs 10000 --isolation bubblewrap

Programs of seven kinds (passes, wrong answers, exceptions, exits, scripts, time-outs, memory) go through one Sandbox
from several threads and an event loop at once, while a killer ends or stops processes of its boxes: the whole box, the
keeper, a judge, a candidate. Every program must get exactly one execution, and each must be what its kind calls for or
`broken`: a kill may cost a verdict, and never turns one into another. (Only a script, which may kill itself, can be
taken for one that did: `crash`.)

Prints one line of JSON; exit 1 if a verdict is lost, doubled or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from homeschool.core.execution import Case, Execution, Limits, Program, Status
from homeschool.sandbox.pool import Sandbox

Kind = tuple[str, Callable[[int], Program], Status]

SHORT = Limits(seconds=0.4, memory_mb=256)
KINDS: tuple[Kind, ...] = (
    ("pass", lambda n: Program(f"def f(x):\n    return x + {n}", (f"assert f(1) == {n + 1}",)), "passed"),
    ("wrong", lambda n: Program(f"def f(x):\n    return x - {n + 1}", (f"assert f(1) == {n + 1}",)), "failed"),
    ("raises", lambda n: Program(f"def f(x):\n    raise KeyError({n})", ("assert f(1) == 1",)), "error"),
    ("exits", lambda n: Program(f"import os\ndef f(x):\n    os._exit({n % 250})", ("assert f(1) == 1",)), "exit"),
    ("script", lambda n: Program("print(int(input()) * 2)", (Case(str(n), str(2 * n)),)), "passed"),
    ("slow", lambda n: Program(f"def f(x):\n    while {n + 1}: pass", ("assert f(1) == 1",), limits=SHORT), "timeout"),
    ("large", lambda n: Program("def f(x):\n    return len([0] * x)", (f"assert f({10**9 + n})",)), "memory"),
)
WEIGHTS = (40, 15, 10, 5, 20, 1, 4)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--isolation", default=None)
    parser.add_argument("--every", type=float, default=0.25, help="seconds between two kills, on average")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    result = torment(args.programs, isolation=args.isolation, every=args.every, seed=args.seed)
    print(json.dumps(result))
    return 0 if not result["lost"] and not result["wrong"] else 1


def torment(programs: int, *, isolation: str | None, every: float, seed: int) -> dict[str, object]:
    """Run them all under kills, and hold every execution against what its kind calls for."""
    chance = random.Random(seed)
    chosen = chance.choices(KINDS, WEIGHTS, k=programs)
    executions: list[list[Execution]] = [[] for _ in range(programs)]
    started = time.monotonic()
    with Sandbox(isolation, cache=None) as sandbox:
        done = threading.Event()
        kills: Counter[str] = Counter()
        killer = threading.Thread(target=kill, args=(sandbox, done, every, kills, random.Random(seed + 1)))
        killer.start()
        thirds = [range(start, programs, 3) for start in range(3)]
        threads = [threading.Thread(target=by_map, args=(sandbox, third, chosen, executions)) for third in thirds[:2]]
        for thread in threads:
            thread.start()
        asyncio.run(by_loop(sandbox, thirds[2], chosen, executions))
        for thread in threads:
            thread.join()
        done.set()
        killer.join()
    counted = Counter(len(found) for found in executions)
    statuses = Counter(f"{kind[0]}: {found[0].status}" for kind, found in zip(chosen, executions, strict=True) if found)
    wrong = [
        f"{number} {kind[0]}: {found[0].status} {found[0].message}"
        for number, (kind, found) in enumerate(zip(chosen, executions, strict=True))
        if found and found[0].status not in (kind[2], "broken", "crash" if kind[0] == "script" else kind[2])
    ]
    return {
        "programs": programs,
        "lost": programs - counted[1],
        "wrong": wrong[:20],
        "broken": sum(found[0].status == "broken" for found in executions if found),
        "kills": dict(kills),
        "statuses": dict(sorted(statuses.items())),
        "seconds": round(time.monotonic() - started, 1),
    }


def by_map(sandbox: Sandbox, numbers: range, chosen: list[Kind], executions: list[list[Execution]]) -> None:
    made = (chosen[number][1](number) for number in numbers)
    for number, execution in zip(numbers, sandbox.map(made), strict=True):
        executions[number].append(execution)


async def by_loop(sandbox: Sandbox, numbers: range, chosen: list[Kind], executions: list[list[Execution]]) -> None:
    gate = asyncio.Semaphore(64)

    async def one(number: int) -> None:
        async with gate:
            executions[number].append(await sandbox.run(chosen[number][1](number)))

    await asyncio.gather(*(one(number) for number in numbers))


def kill(sandbox: Sandbox, done: threading.Event, every: float, kills: Counter[str], chance: random.Random) -> None:
    """End a process of a box now and then: the box itself, or one of those in it."""
    while not done.wait(chance.expovariate(1 / every)):
        boxes = sandbox.pids()
        if not boxes:
            continue
        line = descendants(chance.choice(boxes))
        # Outermost first: launcher, (bwrap,) keeper, then judge and candidate, in the order in which they were made.
        depth = chance.randrange(len(line))
        try:
            os.kill(line[depth], signal.SIGKILL)
        except ProcessLookupError:
            continue
        kills["box" if depth == 0 else "inside"] += 1


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        try:  # it may end while it is looked at
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(word) for word in (task / "children").read_text().split() if int(word) not in found]
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
