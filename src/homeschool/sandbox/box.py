"""One sandbox from outside: a process to which jobs are written and from which records come back, one job at a time.

Nothing that comes out of it is trusted to be well-formed, and nothing is waited for without end: a box that hangs up,
babbles or falls silent is a BoxGoneError, and whoever holds it ends it and makes another.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

from homeschool.core.execution import Execution, Outcome, Program, Status
from homeschool.sandbox.inside.frames import pack
from homeschool.sandbox.world import INSIDE

START_SECONDS = 60.0
"""A box starts in a fraction of a second on a quiet machine, and much later on a loaded one."""
SILENCE_SECONDS = 20.0
"""Beyond what a program may take, how long a box may say nothing."""
LARGEST_RECORD = 1 << 28
LONGEST_MESSAGE = 1000
STATUSES = frozenset(get_args(Status))


class BoxGoneError(Exception):
    """The box ended, or stopped answering. `began`: whether it had taken the job."""

    def __init__(self, why: str, *, began: bool = False) -> None:
        super().__init__(why)
        self.began = began


class Box:
    """A running sandbox. `world` is what `sandbox.world.world` made."""

    def __init__(self, world: dict[str, Any]) -> None:
        self.isolation: str = world["isolation"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        control, told = os.pipe()
        try:
            self._process = subprocess.Popen(
                [world["python"], *world["flags"], str(INSIDE / "enter.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=world["environment"],
                cwd="/",
                pass_fds=[told],
                start_new_session=True,
            )
        except OSError as error:
            os.close(control)
            raise BoxGoneError(f"{world['python']} cannot be started ({error.strerror})") from error
        finally:
            os.close(told)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._records = self._process.stdin.fileno(), _Stream(self._process.stdout.fileno())
        self._control = _Stream(control)
        self._closed = False
        self._jobs = 0
        os.set_blocking(self._to, False)
        try:
            deadline = time.monotonic() + START_SECONDS
            self._write({**world, "control": told}, deadline)
            self.python = str(self._until_told("ready", deadline, lambda _: None)["python"])
        except (BoxGoneError, KeyError, TypeError) as error:
            said = self._said()
            self.kill()
            raise BoxGoneError(said or str(error)) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its first process still runs."""
        return self._process.poll() is None

    def run(self, program: Program) -> Execution:
        """What comes of a program. Raises BoxGoneError; then the box is of no more use."""
        limits = program.limits
        runs = max(1, len(program.tests))
        deadline = time.monotonic() + runs * (2 * limits.seconds + 1) + SILENCE_SECONDS
        self._jobs += 1
        job = self._jobs
        self._write({**message_of(program), "job": job}, deadline)
        outcomes: dict[int, Outcome] = {}
        run: dict[str, Any] = {}

        def note(record: dict[str, Any]) -> None:
            if record.get("job") != job:
                return
            if "test" in record and 0 <= int(record["test"]) < len(program.tests):
                outcomes.setdefault(int(record["test"]), _outcome(record))
            elif "run" in record and not run:
                run.update(record["run"])

        try:
            ended = self._until_told("ended", deadline, note)["ended"]
            if ended["job"] is None:
                # A judge died that had not begun with this job; whether it had read it, nobody knows.
                raise BoxGoneError("the judge has ended")
            if ended["job"] != job:
                raise BoxGoneError(f"the box told the end of job {ended['job']}", began=True)
            return assembled(program, outcomes, run, ended=ended, isolation=self.isolation)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BoxGoneError(f"the box said what cannot be understood ({error})", began=True) from error

    def signal(self) -> None:
        """End the box and all that is in it; whoever runs a program in it sees it gone."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()

    def kill(self) -> None:
        """End it, wait for it and let go of what it held: for its owner alone."""
        self.signal()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if not self._closed:
            self._closed = True
            os.close(self._control.fd)

    def _write(self, message: Any, deadline: float) -> None:
        view = memoryview(pack(message))
        poll = select.poll()
        poll.register(self._to, select.POLLOUT)
        while view:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise BoxGoneError("the box stopped answering")
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise BoxGoneError(f"the box has ended ({error.strerror})") from error

    def _until_told(self, word: str, deadline: float, note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """The keeper's message that has `word` in it. Until then, and before it, each record goes to `note`."""
        poll = select.poll()
        streams = {stream.fd: stream for stream in (self._records, self._control)}
        for fd in streams:
            poll.register(fd, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            events = poll.poll(left * 1000) if left > 0 else []
            if not events:
                raise BoxGoneError("the box stopped answering", began=True)
            for fd, _ in events:
                streams[fd].fill()
            told = next((message for message in self._control.messages() if word in message), None)
            if told is not None:
                # Whoever wrote records has ended, or waits for us: what it wrote is there.
                self._records.fill()
            for record in self._records.messages():
                note(record)
            if told is not None:
                self._records.pending.clear()
                return told
            if self._control.ended:
                raise BoxGoneError("the box has ended", began=True)
            if self._records.ended:
                poll.unregister(self._records.fd)
                self._records.ended = False

    def _said(self) -> str:
        """What it wrote on standard error: why it did not start."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._errors.seek(0)
        return self._errors.read(100_000).decode("utf-8", "replace").strip().rpartition("\n")[2]


class _Stream:
    """Messages from a descriptor, as far as they have come."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.pending = bytearray()
        self.ended = False
        os.set_blocking(fd, False)

    def fill(self) -> None:
        """Take all that is there to be read."""
        while len(self.pending) <= LARGEST_RECORD:
            try:
                part = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return
            except OSError:
                part = b""
            if not part:
                self.ended = True
                return
            self.pending += part

    def messages(self) -> Iterator[dict[str, Any]]:
        """Those that are whole. Raises BoxGoneError for what is none."""
        pending = self.pending
        while len(pending) >= 4:
            size = 4 + int.from_bytes(pending[:4], "big")
            if size > LARGEST_RECORD:
                raise BoxGoneError(f"the box announced a record of {size} bytes", began=True)
            if len(pending) < size:
                return
            data = bytes(pending[4:size])
            del pending[:size]
            try:
                message = json.loads(data)
            except (ValueError, RecursionError) as error:
                raise BoxGoneError(f"the box said what is no record ({error})", began=True) from error
            if isinstance(message, dict):
                yield message


def message_of(program: Program) -> dict[str, Any]:
    """A program as the judge reads it."""
    limits = program.limits
    return {
        "source": program.source,
        "setup": program.setup,
        "tests": [t if isinstance(t, str) else {"input": t.input, "output": t.output} for t in program.tests],
        "stdin": program.stdin,
        "argv": list(program.argv),
        "files": dict(program.files),
        "limits": {
            "seconds": limits.seconds,
            "memory_mb": limits.memory_mb,
            "processes": limits.processes,
            "output_kb": limits.output_kb,
        },
    }


def assembled(
    program: Program, outcomes: dict[int, Outcome], run: dict[str, Any], *, ended: dict[str, Any], isolation: str
) -> Execution:
    """One Execution from the records of a job."""
    status, message = _status(run.get("status", "")), str(run.get("message", ""))[:LONGEST_MESSAGE]
    peak = max(float(run.get("peak_mb", 0.0)), float(ended.get("peak_mb", 0.0)))
    if not run:
        # The judge did not come to its end: the keeper ended it, or it died.
        reason = ended.get("reason")
        status = reason if reason in ("timeout", "memory") else "broken"
        message = "" if status != "broken" else f"the judge ended with code {ended.get('code')}"
        if program.tests and len(outcomes) < len(program.tests):
            outcomes.setdefault(len(outcomes), Outcome(status, message))
    tests = tuple(outcomes.get(number, Outcome("not run")) for number in range(len(program.tests)))
    if status == "passed":
        bad = next((test for test in tests if test.status != "passed"), None)
        status, message = (bad.status, bad.message) if bad else ("passed", "")
    return Execution(
        status,
        message,
        tests,
        stdout=str(run.get("stdout", "")),
        stderr=str(run.get("stderr", "")),
        exit_code=run.get("code"),
        seconds=round(float(run.get("seconds", 0.0)), 6),
        peak_mb=round(peak, 1),
        isolation=isolation,
    )


def _outcome(record: dict[str, Any]) -> Outcome:
    message = str(record["message"])[:LONGEST_MESSAGE]
    return Outcome(_status(record["status"]), message, round(float(record["seconds"]), 6))


def _status(word: Any) -> Status:
    return word if word in STATUSES else "broken"
