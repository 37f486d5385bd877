"""What came of a program is known when the same program comes again: same code, tests, limits, Python and sandbox.

Kept are results that another run would give too: passes, failed assertions, exceptions. What depends on the moment
(time, memory, a death) or on us (`broken`) is tried again. A program that throws dice keeps its first result.

In memory, the last `most` programs of this process; with a `file`, in SQLite as well, for later runs and other
processes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

from homeschool.core.execution import Execution, Outcome, Program
from homeschool.core.identity import digest
from homeschool.sandbox.box import message_of
from homeschool.sandbox.world import INSIDE, Interpreter

KEPT = frozenset({"passed", "failed", "error", "exit", "unused", "not run"})
MOST = 20_000
LONGEST = 4_096
"""Characters that a program may have printed: what printed more is not kept, so that the memory stays small."""


class Cache:
    """A bounded memory of executions; threads may share it."""

    def __init__(self, file: Path | None = None, *, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, Execution] = OrderedDict()
        self._lock = threading.Lock()
        self._file = None
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(file, check_same_thread=False, timeout=10.0, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("CREATE TABLE IF NOT EXISTS executions (key TEXT PRIMARY KEY, execution TEXT NOT NULL)")

    def get(self, program: Program, python: Interpreter) -> Execution | None:
        """What came of it before."""
        key = key_of(program, python)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
            if self._file is None:
                return None
            found = self._file.execute("SELECT execution FROM executions WHERE key = ?", (key,)).fetchone()
            if found is None:
                return None
            execution = _read(json.loads(found[0]))
            self._keep(key, execution)
            return execution

    def put(self, program: Program, python: Interpreter, execution: Execution) -> None:
        """Keep it, if another run would come to the same."""
        statuses = {execution.status, *(test.status for test in execution.tests)}
        # Without a wall a result is worth less than one behind it, and must not stand in for it.
        said = len(execution.stdout) + len(execution.stderr)
        if not statuses <= KEPT or execution.isolation == "none" or said > LONGEST:
            return
        key = key_of(program, python)
        with self._lock:
            self._keep(key, execution)
            if self._file is not None:
                with contextlib.suppress(sqlite3.OperationalError):  # busy or full: it is only a cache
                    text = json.dumps(execution.to_dict())
                    self._file.execute("INSERT OR REPLACE INTO executions VALUES (?, ?)", (key, text))

    def _keep(self, key: str, execution: Execution) -> None:
        self._known[key] = execution
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)


def key_of(program: Program, python: Interpreter) -> str:
    """Names code, tests, limits, interpreter and sandbox."""
    return digest(message_of(program), python.path, python.version, _version())


@functools.cache
def _version() -> str:
    """The sandbox's own files, as they are: an edited one is another."""
    files = [*INSIDE.glob("*.py"), *INSIDE.parent.glob("*.py")]
    return digest(sorted((file.name, file.read_text("utf-8")) for file in files))


def _read(record: dict[str, Any]) -> Execution:
    tests = tuple(Outcome(**test) for test in record.pop("tests"))
    return replace(Execution(**{**record, "tests": ()}), tests=tests)
