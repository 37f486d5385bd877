"""Runs one command and ends everything it started, for certain. A program of its own: `python supervisor.py ...`.

A server that holds a GPU must be gone before training begins, however its owner ends: by leaving, by an exception, by
Ctrl-C, SIGTERM or SIGKILL. So this small process stands between the two. It ends the command when its standard input
is closed (the owner let go of it), when its parent is another than the owner (the owner died), or on SIGTERM, SIGINT
or SIGHUP; and it adopts every orphan below it, so that a worker that outlives the command or left its process group
is found all the same. It leaves only when the kernel says that it has no child any more.

Standard library only: it starts in a few milliseconds and holds a few megabytes. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
TICK_S = 0.1


class Tree:
    """The command and whatever it started. `code` is the command's exit code (128 + n by signal n) once it ended."""

    def __init__(self, command: list[str]) -> None:
        nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        self.pid = os.posix_spawn(command[0], command, os.environ, file_actions=nothing)
        self.code: int | None = None

    def reap(self) -> bool:
        """Collect the dead; whether anybody is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self.pid:
                    code = os.waitstatus_to_exitcode(status)
                    self.code = code if code >= 0 else 128 - code
        except ChildProcessError:
            return False

    def end(self, grace_s: float) -> None:
        """Ask the command to end, wait at most `grace_s` for it, then kill until nobody is left."""
        deadline = time.monotonic() + grace_s
        if self.reap() and self.code is None:
            os.kill(self.pid, signal.SIGTERM)
        while self.reap() and self.code is None and time.monotonic() < deadline:
            time.sleep(TICK_S / 2)
        while self.reap():
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(TICK_S / 2)


def descendants(root: int) -> list[int]:
    """Every process below `root`. One that is born meanwhile is found by the next call."""
    children: dict[int, list[int]] = defaultdict(list)
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name stands in brackets and may hold anything; state and parent follow the last one.
            parent = place.read_text("utf-8", "replace").rpartition(")")[2].split()[1]
            children[int(parent)].append(int(place.parent.name))
    found, unseen = list[int](), [root]
    while unseen:
        below = children[unseen.pop()]
        found += below
        unseen += below
    return found


def supervise(command: list[str], *, owner: int, grace_s: float) -> int:
    """Run `command` until it ends or process `owner` lets go; its exit code, when nothing of it is left."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: asked.append(number))
    if ctypes.CDLL(None, use_errno=True).prctl(ADOPT_ORPHANS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not let this process adopt orphans")
    tree = Tree(command)
    while tree.code is None and os.getppid() == owner and not asked:
        closed, _, _ = select.select([sys.stdin], [], [], TICK_S)
        if closed:
            break
        tree.reap()
    tree.end(grace_s)
    return tree.code or 0


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[3:], owner=int(sys.argv[1]), grace_s=float(sys.argv[2])))
