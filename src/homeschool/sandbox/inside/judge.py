"""The judge's process: it reads the job, tries the candidate's program with its tests, and writes what came of each.

The tests run here, with the real `==` and the real built-ins; the program runs in a process below that has never seen
them. A test may be written by a model too: it is confined as the program is, and what it breaks is its own verdict.
"""

from __future__ import annotations

import builtins
import marshal
import os
import random
import resource
import signal
import socket
import time
from typing import Any

import asserts
import candidate
import exchange
import frames
import kernel

HOST_GONE = 3
"""What the judge's process ends with if there is no further job."""
MEMORY_MB = 4096
TICK_SECONDS = 0.1
MUCH_SECONDS = 0.1
SLACK_SECONDS = 5.0


class TooSlowError(BaseException):
    """Raised into a test that is over its time; not an Exception, so that a test does not catch it."""


def main(jobs: int, records: int, line: int, work: str) -> int:
    """Do one job after the other: read from `jobs`, written to `records`, the keeper is asked on `line`.

    The exit code of this process.
    """
    kernel.limit(resource.RLIMIT_AS, MEMORY_MB << 20)
    keeper = socket.socket(fileno=line)
    while True:
        try:
            job = frames.receive(jobs)
        except EOFError:
            return HOST_GONE
        do(job, keeper, records, work)


def do(job: dict[str, Any], keeper: socket.socket, records: int, work: str) -> None:
    """One job. The keeper is asked for a candidate, and told when it is no longer needed."""
    tests = [asserts.Test.read(test) for test in job["tests"] if isinstance(test, str)]
    limits = job["limits"]
    budget = max(1, len(job["tests"])) * wall(limits) + SLACK_SECONDS
    plain = "plain" if all(test.plain for test in tests) else "other"
    number = int(job["job"])
    keeper.send(f"want {budget} {limits['memory_mb']} {limits['processes']} {plain} {number}".encode())
    _, channel, _, _ = socket.recv_fds(keeper, 100, 2)
    os.chdir(work)
    random.seed(0)
    clock = Clock(keeper, limits)
    try:
        for name, text in job["files"].items():
            put(work, name, text)
        run = tried(job, tests, (channel[0], channel[1]), clock, Records(records, number))
    except Exception as error:  # our own fault, and on record as such
        run = {"status": "broken", "message": f"the judge failed: {candidate.described(error)}"}
    frames.send(records, {"job": number, "run": run})
    for fd in channel:
        os.close(fd)
    # A test that was cut short may have left something half done here.
    keeper.send(b"end spent" if clock.slow else b"end")
    keeper.recv(100)  # from a judge that is not plain the keeper takes its life instead of an answer


class Records:
    """Where what came of a job's tests is written, each with the job's number."""

    def __init__(self, fd: int, number: int) -> None:
        self._fd, self._number = fd, number

    def note(self, record: dict[str, Any]) -> None:
        frames.send(self._fd, {"job": self._number, **record})


def tried(
    job: dict[str, Any], tests: list[asserts.Test], channel: candidate.Pipes, clock: Clock, records: Records
) -> dict[str, Any]:
    """Hand the program over and run its tests. The last record of the job."""
    sent = {"mode": "serve" if tests else "script", "limits": job["limits"]}
    sent.update({name: job[name] for name in ("source", "setup", "argv")})
    try:
        data = marshal.dumps(sent)
        frames.write_all(channel[1], len(data).to_bytes(4, "big") + data)
        if tests:
            return by_calls(tests, channel, clock, records, largest=int(job["limits"]["output_kb"]) << 10)
        return by_runs(job, channel, records)
    except (BrokenPipeError, EOFError):
        return clock.post_mortem()


def rehearse() -> None:
    """Do once, in the keeper, what every judge does: a process that is forked later need not learn it anew."""
    for _ in range(10):
        test = asserts.Test.read("assert f([1, 'a']) == [2.5, None]")
        try:
            exec(test.code or "", {"f": lambda x: x, "__builtins__": builtins})
        except AssertionError as error:
            asserts.shown(error, test.source)
        frames.unpack(frames.pack({"test": 0, "status": "passed", "message": "", "seconds": 0.1}))


REHEARSED = "def f(x):\n    return [2 * y for y in x]\n"


def ask_all(channel: candidate.Pipes) -> None:
    """The judge's side of a rehearsal: a few tests of `REHEARSED`."""
    frames.receive(channel[0])
    peer = exchange.Peer(*channel, trusted=True, largest=1 << 20)
    test = asserts.Test.read("assert f([1, 2]) == [2, 4]\nassert f(['a']) == ['aa']\nassert f([]) == []")
    for _ in range(10):
        exec(test.code or "", exchange.Names(peer, vars(builtins)))


def wall(limits: dict[str, Any]) -> float:
    """Seconds by the clock that a test may take: twice its processor time, as the machine may be busy, and one more."""
    return 2 * float(limits["seconds"]) + 1


def put(work: str, name: str, text: str) -> None:
    path = os.path.normpath(os.path.join(work, name))
    if os.path.commonpath([path, work]) != work or path == work:
        raise ValueError(f"a file outside the working folder: {name!r}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


# --- tests that call ----------------------------------------------------------------------------------------------


def by_calls(
    tests: list[asserts.Test], channel: candidate.Pipes, clock: Clock, records: Records, *, largest: int
) -> dict[str, Any]:
    """Load the program once and run each test against it, until one ends the program."""
    clock.start()
    try:
        loaded = frames.receive(channel[0], largest=1 << 20)
        status, message = str(loaded["status"]), str(loaded["message"])[:1000]
    except (EOFError, ValueError, KeyError, TypeError, RecursionError, MemoryError, TooSlowError):
        ended = clock.post_mortem()
        status, message = ended["status"], ended["message"]
    total = clock.stop()
    if status != "loaded":
        known = ("error", "exit", "timeout", "crash", "memory", "output", "broken")
        return {"status": status if status in known else "crash", "message": message, "seconds": total}
    peer = exchange.Peer(*channel, trusted=True, largest=largest)
    for number, test in enumerate(tests):
        clock.start()
        try:
            status, message = one_test(test, peer, clock)
        except TooSlowError:
            status, message = "timeout", ""
        finally:
            spent = clock.stop()
        if status == "gone" or (peer.failure is not None and status == "passed"):
            ended = clock.post_mortem()
            status, message = ended["status"], ended["message"]
        total += spent
        records.note({"test": number, "status": status, "message": message[:1000], "seconds": spent})
        if peer.failure is not None or clock.slow or status in ("timeout", "output", "crash"):
            break
    return {"status": "passed", "message": "", "seconds": total}


def one_test(test: asserts.Test, peer: exchange.Peer, clock: Clock) -> tuple[str, str]:
    """(status, message) of one test. `gone`: the program died under it."""
    if test.code is None:
        return "broken", f"the test cannot be read: {test.error}"
    names = exchange.Names(peer, vars(builtins))
    try:
        names.expect(test.subject)
        exec(test.code, names)
        asserts.run_defined(names)
    except TooSlowError:
        raise
    except exchange.ExitedError as error:
        return "exit", f"the program ended itself: {error}"
    except exchange.SlowError:
        return "timeout", ""
    except exchange.TooLargeError as error:
        return "output", str(error)
    except exchange.GoneError:
        return ("timeout", "") if clock.slow else ("gone", "")
    except exchange.ExchangeError as error:
        return "crash", f"the program answered with something that is no answer: {error}"
    except BaseException as error:  # a test may raise anything, and that is a result
        return ("timeout", "") if clock.slow else _raised(error, test.source, names)
    if not names.used:
        return "unused", "the test never looks at the program"
    return "passed", ""


def _raised(error: BaseException, source: str, names: Any) -> tuple[str, str]:
    if isinstance(error, AssertionError):
        return "failed", asserts.shown(error, source)
    if isinstance(error, SystemExit):
        good = error.code in (None, 0) and names.used
        return ("passed", "") if good else ("failed", f"the test ended with {error.code!r:.100}")
    if isinstance(error, ModuleNotFoundError) and not exchange.is_remote_error(error):
        return "broken", f"the test needs a module that the sandbox has not: {error.name}"
    if isinstance(error, MemoryError):
        return "memory", candidate.described(error)
    return "error", asserts.shown(error, source)


# --- tests by input and output, and plain runs --------------------------------------------------------------------


def by_runs(job: dict[str, Any], channel: candidate.Pipes, records: Records) -> dict[str, Any]:
    """Run the program as a script: once on each test's input, or once on the job's."""
    if not job["tests"]:
        frames.send(channel[1], {"stdin": job["stdin"]})
        run = frames.receive(channel[0])
        status, message = ended_as(run)
        kept = {name: run[name] for name in ("stdout", "stderr", "code", "seconds", "peak_mb")}
        return {"status": status, "message": message, **kept}
    peak = total = 0.0
    for number, case in enumerate(job["tests"]):
        frames.send(channel[1], {"stdin": case["input"]})
        run = frames.receive(channel[0])
        status, message = ended_as(run)
        if status == "passed" and not same_output(run["stdout"], case["output"]):
            status, message = "failed", f"printed {run['stdout']!r:.300}, not {case['output']!r:.300}"
        peak, total = max(peak, run["peak_mb"]), total + run["seconds"]
        records.note({"test": number, "status": status, "message": message[:1000], "seconds": run["seconds"]})
    return {"status": "passed", "message": "", "seconds": total, "peak_mb": peak}


def ended_as(run: dict[str, Any]) -> tuple[str, str]:
    """(status, message) of a run of a script."""
    code, stderr = run["code"], run["stderr"].strip()
    last = stderr.rpartition("\n")[2][:800]
    if run["end"] == "timeout":
        return "timeout", ""
    if run["end"] == "output":
        return "output", "printed more than is allowed"
    if code < 0:
        return "crash", f"died of {signal_name(-code)}"
    if code and last.startswith("MemoryError"):
        return "memory", last
    return ("error", last or f"exit code {code}") if code else ("passed", "")


def same_output(got: str, want: str) -> bool:
    """Equal but for white space at the ends of lines and of the text."""
    return [line.rstrip() for line in got.rstrip().splitlines()] == [
        line.rstrip() for line in want.rstrip().splitlines()
    ]


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# --- time ---------------------------------------------------------------------------------------------------------


class Clock:
    """What the program and the test may take, and how the program ended if it did."""

    def __init__(self, keeper: socket.socket, limits: dict[str, Any]) -> None:
        self.seconds, self.wall = float(limits["seconds"]), wall(limits)
        self.slow = False
        self._keeper = keeper
        self._started = self._began = 0.0
        self._used = 0.0
        signal.signal(signal.SIGALRM, self._tick)

    def start(self) -> None:
        self._started = time.monotonic()
        # Until the program has had time to take much, what it has taken need not be asked for.
        self._began = self._cpu() if self._used > MUCH_SECONDS else 0.0
        signal.setitimer(signal.ITIMER_REAL, self.seconds, TICK_SECONDS)

    def stop(self) -> float:
        """Stop the clock; seconds since it was started."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        spent = time.monotonic() - self._started
        self._used += spent
        return spent

    def _tick(self, *_: Any) -> None:
        late = time.monotonic() - self._started >= self.wall
        if not self.slow and (late or self._cpu() - self._began >= self.seconds):
            self.slow = True
            self._ask("kill")
        if late:
            # The program is gone; if it is the test itself that does not end, this ends it.
            raise TooSlowError

    def _cpu(self) -> float:
        return float(self._ask("cpu")[0])

    def _ask(self, word: str) -> list[str]:
        # No alarm in between: its handler asks too, and would be given this answer.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        try:
            self._keeper.send(word.encode())
            return self._keeper.recv(100).decode().split()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})

    def post_mortem(self) -> dict[str, Any]:
        """How a program that hung up has ended."""
        status, hung, capped, reason = self._ask("post")
        code = os.waitstatus_to_exitcode(int(status))
        if self.slow:
            return {"status": "timeout", "message": ""}
        if reason == "memory":
            return {"status": "memory", "message": "its processes took more memory than is allowed"}
        if int(hung):
            return {"status": "crash", "message": "the program closed its channel"}
        if code == -signal.SIGKILL and not int(capped):
            # The first process of a pid namespace cannot send itself that, and it had not set itself a limit of
            # processor time by which the kernel would: so someone outside did.
            return {"status": "broken", "message": "the program was killed from outside the sandbox"}
        if code < 0:
            return {"status": "crash", "message": f"died of {signal_name(-code)}"}
        return {"status": "exit", "message": f"the program ended itself with exit code {code}"}
