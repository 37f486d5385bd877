"""What is run in the sandbox, and what came of it. Recipes and verifiers hold these; the sandbox makes them.

A program is Python source (or a command). Its tests never enter its process: they run beside it, call its functions
through a channel that carries plain data, and compare with the real `==` of a process the program cannot reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from homeschool.core.errors import UsageError

Status = Literal[
    "passed", "failed", "error", "exit", "timeout", "crash", "memory", "output", "unused", "not run", "broken"
]
"""What one test, or one run, came to.

passed; failed (an assertion, or another output than wanted); error (an exception, and which); exit (the program ended
before the test did: `sys.exit`, `os._exit`); timeout; crash (died of a signal); memory; output (more than allowed);
unused (the test never looked at the program); not run (something before it ended the program); broken (the test itself
cannot be run, or the sandbox is at fault).
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One test by input and output: the program is run as a script, and what it prints is compared.

    White space at the ends of lines and at the end of the text is not compared.
    """

    input: str
    output: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use. Whoever takes more is ended, and the record says of what."""

    seconds: float = 10.0
    """Processor time of each test (or of the run, where there are none); by the clock twice that and a second."""
    memory_mb: int = 1024
    """Address space of each process, and memory of all its processes together."""
    processes: int = 64
    """Processes and threads at once."""
    output_kb: int = 4096
    """What it may print, or hand to a test as one value."""

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_mb", "processes", "output_kb"):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
                raise UsageError(f"the limit {name} is {value!r}", hint="give a number above 0")


@dataclass(frozen=True, slots=True)
class Program:
    """A program and how to try it.

    `tests` are Python sources, each run after the program and able to use its names, or Cases. Without tests the
    program is run as a script on `stdin`. `argv` in place of `source` runs a command of the sandbox's file system.
    `setup` runs before the source, and its names are the tests' too. `files` lie in the working folder at the start.
    """

    source: str = ""
    tests: tuple[str | Case, ...] = ()
    setup: str = ""
    stdin: str = ""
    argv: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raises UsageError for what could not be run: so that it is not taken for a fault of the sandbox."""
        texts: dict[str, Any] = {"source": self.source, "setup": self.setup, "stdin": self.stdin, **self.files}
        texts |= {f"argv[{place}]": word for place, word in enumerate(self.argv)}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise UsageError(f"{name} of a program is {type(text).__name__}", hint="give text")
        kinds = {type(test) for test in self.tests}
        if kinds - {str, Case} or len(kinds) > 1:
            raise UsageError("a program's tests are of several kinds", hint="give Python sources, or Cases")
        if self.argv and (self.source or str in kinds):
            raise UsageError(f"a command ({self.argv[0]}) has no Python to run or to call", hint="test it by Cases")
        for name in self.files:
            parts = name.split("/")
            inner = any(other.startswith(f"{name}/") for other in self.files)
            if not name or "\0" in name or name.startswith("/") or {"", ".", ".."} & set(parts) or inner:
                raise UsageError(f"{name!r} is no name of a file in the working folder", hint="write `folder/file`")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test's result. `message` says what was seen, in at most 1000 characters."""

    status: Status
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Execution:
    """What came of a program.

    `status` is `passed` if all went well; with tests it is the first one's that did not pass, without tests how the
    run ended (`error` if its exit code is not 0). `tests` has one Outcome for each of the program's tests, in order.
    """

    status: Status
    message: str = ""
    tests: tuple[Outcome, ...] = ()
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    isolation: str = ""
    """`bubblewrap`, `namespaces`, or `none`."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a row's column or a stored record."""
        tests = [{"status": t.status, "message": t.message, "seconds": t.seconds} for t in self.tests]
        return {
            "status": self.status,
            "message": self.message,
            "tests": tests,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "peak_mb": self.peak_mb,
            "isolation": self.isolation,
        }
