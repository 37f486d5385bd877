"""The candidate's process: it runs the program, and knows nothing of what it will be tested with.

`serve`: the program is loaded once and its functions are called through the channel (see exchange.py).
`script`: this process stays clean and forks a fresh one for each run, so that one run cannot spoil the next.

Standard library only; everything it has inherited from the keeper is public.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import marshal
import math
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
import types
from typing import Any

import exchange
import frames
import kernel

LARGEST_MESSAGE = 1 << 28
LOADED = frames.pack({"status": "loaded", "message": ""})
Pipes = tuple[int, int]
CHANNEL: Pipes = (200, 201)
"""A candidate's descriptors: numbers that the keeper uses for nothing else."""


def pipes() -> tuple[Pipes, Pipes]:
    """Two ends of a channel, each (read, write)."""
    (here_read, there_write), (there_read, here_write) = os.pipe(), os.pipe()
    return (here_read, here_write), (there_read, there_write)


def close_all_but(read: int, write: int) -> None:
    """Keep the channel, as descriptors `CHANNEL`, and nothing else; standard input and output lead nowhere."""
    nowhere()
    for fd, place in zip((read, write), CHANNEL, strict=True):
        os.dup2(fd, place, inheritable=False)
    os.closerange(3, CHANNEL[0])
    os.closerange(CHANNEL[1] + 1, 1024)


def nowhere() -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)


def main(*, walled: bool) -> None:
    """Do what the judge asks for until it hangs up."""
    try:
        size = int.from_bytes(frames.read_exactly(CHANNEL[0], 4), "big")
        job = marshal.loads(frames.read_exactly(CHANNEL[0], size))  # the judge is trusted, and this is the leaner way
        if job["mode"] == "serve":
            load(job)
            return
        kernel.dumpable(False)
        while True:
            run = frames.receive(CHANNEL[0])
            frames.send(CHANNEL[1], run_script(job, run["stdin"].encode("utf-8", "surrogatepass"), walled=walled))
    except EOFError:
        return


def prepare() -> None:
    """Make ready, in the keeper, what every candidate has: its end of the channel."""
    global _peer
    nothing = os.open("/dev/null", os.O_RDWR)
    for place in CHANNEL:
        os.dup2(nothing, place, inheritable=False)
    os.close(nothing)
    _peer = exchange.Peer(*CHANNEL, trusted=False, largest=LARGEST_MESSAGE)


_peer: Any = None


def load(job: dict[str, Any], channel: Pipes = CHANNEL) -> None:
    """Run the program's top level, say how that went, and answer calls."""
    module = types.ModuleType("solution")
    module.__file__ = "program.py"
    sys.modules["solution"] = module
    sys.argv = ["program.py"]
    namespace = vars(module)
    try:
        for source in (job["setup"], job["source"]):
            if source:
                exec(compile(source, "program.py", "exec", dont_inherit=True), namespace)
    except SystemExit as error:
        said = f"the program ended itself while it was loaded ({error.code!r:.80})"
        frames.send(channel[1], {"status": "exit", "message": said})
        return
    except MemoryError:
        frames.send(channel[1], {"status": "memory", "message": "MemoryError while the program was loaded"})
        return
    except BaseException as error:  # whatever a program raises is a result
        frames.send(channel[1], {"status": "error", "message": described(error)})
        return
    frames.write_all(channel[1], LOADED)
    peer = _peer or exchange.Peer(*channel, trusted=False, largest=LARGEST_MESSAGE)
    exchange.serve(peer, namespace)


def described(error: BaseException) -> str:
    """The last line of a traceback, and the line of the program that it is about."""
    try:
        text = traceback.format_exception_only(type(error), error)[-1].strip()
        if isinstance(error, SyntaxError):
            return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "program.py"]
        return f"{text[:800]} (line {lines[-1]})" if lines else text[:800]
    except BaseException:  # a program's exception may raise when it is shown
        return type(error).__name__[:100]


def run_script(job: dict[str, Any], stdin: bytes, *, walled: bool) -> dict[str, Any]:
    """One run in a fresh process, with what it printed; all that it left running is ended."""
    limits = job["limits"]
    ends = [os.pipe() for _ in range(3)]
    started = time.monotonic()
    pid = kernel.fork()
    if pid == 0:
        try:
            os.setsid()
            kernel.dumpable(True)  # the keeper must be able to add up its memory
            for number, (read, write) in enumerate(ends):
                os.dup2(read if number == 0 else write, number)
            os.closerange(3, 1024)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL if job["argv"] else signal.SIG_IGN)
            seconds = math.ceil(limits["seconds"])
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            as_script(job)
        finally:
            os._exit(1)
    for number, (read, write) in enumerate(ends):
        os.close(read if number == 0 else write)
    most = int(limits["output_kb"]) << 10
    deadline = started + 2 * limits["seconds"] + 1
    texts, end = _converse(pid, (ends[0][1], ends[1][0], ends[2][0]), stdin, most=most, deadline=deadline)
    seconds = time.monotonic() - started
    status, usage = _finish(pid, walled=walled)
    code = os.waitstatus_to_exitcode(status)
    spent = usage.ru_utime + usage.ru_stime
    if not end and code in (-signal.SIGXCPU, -signal.SIGKILL) and spent >= limits["seconds"] * 0.95:
        end = "timeout"
    return {
        "stdout": texts[0].decode("utf-8", "replace"),
        "stderr": texts[1].decode("utf-8", "replace"),
        "code": code,
        "end": end,
        "seconds": seconds,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def as_script(job: dict[str, Any]) -> None:
    """Be the program: never returns."""
    if job["argv"]:
        try:
            os.execvp(job["argv"][0], job["argv"])
        except OSError as error:
            os.write(2, f"{job['argv'][0]}: {error.strerror}\n".encode())
            os._exit(127)
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=__builtins__, __file__="program.py")
    sys.modules["__main__"] = module
    sys.argv = ["program.py"]
    # New ones, as the keeper's may hold anything: a script's output is text, line by line only on a terminal.
    text = {"encoding": "utf-8", "closefd": False}
    sys.stdin = sys.__stdin__ = open(0, errors="surrogateescape", **text)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = out = open(1, "w", errors="surrogateescape", **text)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = err = open(2, "w", errors="backslashreplace", buffering=1, **text)  # noqa: SIM115
    code: Any = 0
    try:
        for source in (job["setup"], job["source"]):
            exec(compile(source, "program.py", "exec", dont_inherit=True), vars(module))
    except SystemExit as error:
        code = error.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        # Without the frames above the program's own.
        shown = error.__traceback__.tb_next if error.__traceback__ else None
        traceback.print_exception(type(error), error, shown)
        code = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        # As an interpreter that ends: files that the program left open are closed, and so written.
        vars(module).clear()
        gc.collect()
        for stream in (sys.stdout, sys.stderr, out, err):
            stream.flush()
    finally:
        os._exit((code or 0) & 0xFF)


def _converse(
    pid: int, ends: tuple[int, int, int], stdin: bytes, *, most: int, deadline: float
) -> tuple[list[bytes], str]:
    """Feed the program and read what it prints until it has ended. At most `most` bytes, until `deadline`."""
    feed, *reads = ends
    texts = {fd: bytearray() for fd in reads}
    handle = os.pidfd_open(pid)
    poll = select.poll()
    for fd in (handle, *reads):
        poll.register(fd, select.POLLIN)
    os.set_blocking(feed, False)
    poll.register(feed, select.POLLOUT)
    view, end = memoryview(stdin), ""
    try:
        while not end:
            left = deadline - time.monotonic()
            events = poll.poll(left * 1000) if left > 0 else []
            if not events:
                end = "timeout"
            for fd, _ in sorted(events, key=lambda event: event[0] == handle):
                if fd == handle:
                    end = end or "ended"
                elif fd == feed:
                    try:
                        view = view[os.write(feed, view[:65536]) :] if view else view
                    except (BrokenPipeError, BlockingIOError) as error:
                        view = view if isinstance(error, BlockingIOError) else memoryview(b"")
                    if not view:
                        poll.unregister(feed)
                        os.close(feed)
                        feed = -1
                else:
                    part = os.read(fd, 65536)
                    texts[fd] += part
                    if not part:
                        poll.unregister(fd)
            if sum(map(len, texts.values())) > most:
                end = "output"
        if end == "ended":
            _drain(reads, texts, most)
            end = "output" if sum(map(len, texts.values())) > most else ""
    finally:
        for fd in (handle, *reads, *([feed] if feed >= 0 else [])):
            os.close(fd)
    return [bytes(texts[fd][:most]) for fd in reads], end


def _drain(reads: list[int], texts: dict[int, bytearray], most: int) -> None:
    """What was printed and not yet read when the program ended (its children may still hold the pipe open)."""
    for fd in reads:
        os.set_blocking(fd, False)
        try:
            while part := os.read(fd, 65536):
                texts[fd] += part
                if len(texts[fd]) > most:
                    break
        except BlockingIOError:
            continue


def _finish(pid: int, *, walled: bool) -> tuple[int, resource.struct_rusage]:
    """End the run's process and everything that it started, and wait until all are gone."""
    if walled:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # the first process of a pid namespace is not hit itself
    else:
        for end in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    while walled:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    return status, usage
