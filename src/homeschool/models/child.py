"""A server as a child of this run: started under `supervisor`, its output in a log, and gone for certain when told so.

What a model that serves itself needs of a process (`vllm`), and nothing of what the server says: a secret reaches it
through its environment, where no other user of the machine can read it, and is cut out of what is shown of the log.
Refused: returning from `stop` while anything that the server started is still there.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from homeschool.core.errors import HomeschoolError
from homeschool.models import supervisor

NOT_ITS_BUSINESS = ("HOMESCHOOL_API_KEY", "OPENAI_API_KEY")
"""Keys for other servers: left out of its environment."""
GRACE_S = 15.0
"""How long it may take to end by itself once it is asked to."""
GONE_S = 60.0
"""How long the kernel may take to free what a killed process holds, before we say that it does not."""
TICK_S = 0.05
TAIL = 12


class Child:
    """One server, from start to end. `secret` is a variable of its environment: name and value."""

    def __init__(self, command: Sequence[str], *, secret: tuple[str, str], log: Path) -> None:
        self.command = command
        self.secret = secret
        self.log = log
        # Not asyncio's own kind of process: that one is killed when its event loop is closed, and could end nothing.
        self._process: subprocess.Popen[bytes] | None = None
        self._from = 0

    def start(self) -> None:
        """Start it. It is told to end when this process is gone, however that happens."""
        environment = {name: value for name, value in os.environ.items() if name not in NOT_ITS_BUSINESS}
        watcher = [sys.executable, "-I", supervisor.__file__, str(os.getpid()), str(GRACE_S)]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as file:
            self._from = file.tell()
            self._process = subprocess.Popen(
                [*watcher, *self.command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=environment | {self.secret[0]: self.secret[1]},
                start_new_session=True,
            )

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll() if self._process else 0

    async def ended(self, timeout_s: float | None = None) -> bool:
        """Whether it has ended, waiting for that at most `timeout_s` (None: as long as it takes)."""
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while self.code is None and time.monotonic() < deadline:
            await asyncio.sleep(TICK_S)
        return self.code is not None

    async def stop(self) -> None:
        """End it and everything that it started. Raises HomeschoolError if the kernel does not let go of it."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # the supervisor reads this as: the end
        if not await self.ended(GRACE_S + GONE_S):
            raise HomeschoolError(
                f"{self.command[0]} is still there {GRACE_S + GONE_S:.0f} s after it was told to end",
                hint=f"kill -9 -- -{self._process.pid}",
            )
        if self._process.returncode < 0:  # somebody killed the supervisor itself
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def tail(self) -> list[str]:
        """The last lines that it wrote, without its secret."""
        with suppress(OSError), self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._from, size - (1 << 16)))
            text = file.read().decode("utf-8", "replace").replace(self.secret[1], "***")
            return [line.rstrip() for line in text.splitlines() if line.strip()][-TAIL:]
        return []

    def words(self) -> str:
        """A hint that shows where its log is and how it ends."""
        return "\n  ".join([f"its log is {self.log} and ends with", *(self.tail() or ["nothing: it is empty"])])
