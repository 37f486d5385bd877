"""The keeper: a warm Python that makes a fresh process for each program, and sees that nothing of it is left after.

    keeper ─┬─ judge        reads the jobs, runs the tests, writes the results; a pid namespace of its own
            └─ candidate    runs one program; a pid namespace of its own, fresh each time

The keeper never reads a job, and a candidate is made from the keeper before its job arrives: so nothing that a
candidate can find in its memory, files or descriptors tells it what it will be tested with. The judge outlives its job
only if the tests were plain (see asserts.py): tests that could change the judge get a judge that nobody else will have.

The keeper holds the clock and adds up the memory, ends processes, and tells the host when a job has ended, on a
descriptor that neither of the others has. When the host goes, the judge finds the end of its input and all of it ends.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import candidate
import frames
import judge
import kernel
import memory

WARM = (
    "abc", "bisect", "builtins", "cmath", "collections", "collections.abc", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "heapq", "io", "itertools", "json", "math",
    "numbers", "operator", "random", "re", "statistics", "string", "sys", "textwrap", "threading", "time",
    "traceback", "types", "typing", "unicodedata", "warnings",
)  # fmt: skip
"""Modules that programs often import: they are there already, and a fork costs no more for it."""
DISK_MB, INODES = 64, 4096
"""What a program may write in all."""
LOOK_SECONDS = 0.1
"""How often the memory of all processes of a program is added up."""
LIMITS = (
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_FSIZE, 64 << 20),
    (resource.RLIMIT_STACK, 64 << 20),
    (resource.RLIMIT_MSGQUEUE, 0),
    (resource.RLIMIT_SIGPENDING, 256),
    (resource.RLIMIT_MEMLOCK, 1 << 20),
    (resource.RLIMIT_CORE, 0),
)


@dataclass
class Box:
    """What the keeper holds."""

    place: str
    """The one folder that can be written."""
    walled: bool
    filter: kernel.Filter | None
    """What is shut for programs and not for the keeper."""
    control: int
    """Where the host is told that a job has ended."""
    proc: int
    """`/proc`, which no one else can see."""
    pids: int
    """The keeper's own pid namespace."""
    rules: int = -1
    """What landlock allows; made anew with the folder."""


@dataclass
class Process:
    pid: int
    handle: int
    """A pidfd."""
    ends: tuple[int, ...]
    """The keeper's descriptors of it, to be closed or given away."""
    status: int | None = None
    peak_mb: float = 0.0
    capped: bool = False
    """Whether it had set itself a limit of processor time."""

    def end(self, *, group: bool) -> int:
        """Kill it if it lives, wait until it and its namespace are gone, and give its wait status."""
        if self.status is None:
            if group:
                _quietly(os.killpg, self.pid)
            _quietly(os.kill, self.pid)
            self.capped = resource.prlimit(self.pid, resource.RLIMIT_CPU)[1] != resource.RLIM_INFINITY
            _, self.status, usage = os.wait4(self.pid, 0)
            self.peak_mb = usage.ru_maxrss / 1024
        return self.status

    def close(self) -> None:
        for fd in (self.handle, *self.ends):
            os.close(fd)


def main(world: dict[str, Any]) -> None:
    """Serve one program after the other until the host goes away."""
    for name in [*WARM, *world["warm"]]:
        importlib.import_module(name)
    sys.path[:] = [path for path in sys.path if path != world["folder"]]
    sys.dont_write_bytecode = True
    judge.rehearse()
    rehearse()
    candidate.prepare()
    gc.collect()
    gc.freeze()
    walled = world["isolation"] != "none"
    place = "/box" if walled else tempfile.mkdtemp(prefix="homeschool-box-")
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    pids = os.open("self/ns/pid", os.O_RDONLY, dir_fd=proc)
    filters = [kernel.Filter(bytes.fromhex(text)) for text in world["filters"]]
    box = Box(place, walled, filters[1] if filters else None, world["control"], proc, pids)
    if walled:
        kernel.unmount("/proc")
    fresh_folder(box, first=True)
    if filters:
        kernel.no_new_privileges()
        filters[0].install()
    frames.send(box.control, {"ready": True, "python": sys.version})
    try:
        serve(box)
    finally:
        if not walled:
            shutil.rmtree(place, ignore_errors=True)


def rehearse() -> None:
    """Do in the keeper, once, what every candidate does: what Python learns by it is then there already."""
    for _ in range(2):
        near, far = candidate.pipes()
        pid = os.fork()
        if pid == 0:
            try:
                for fd in far:
                    os.close(fd)
                judge.ask_all(near)
            finally:
                os._exit(0)
        for fd in near:
            os.close(fd)
        candidate.load({"setup": "", "source": judge.REHEARSED}, far)
        os.waitpid(pid, 0)
        for fd in far:
            os.close(fd)
    sys.modules.pop("solution", None)


def serve(box: Box) -> None:
    mind: Process | None = None
    while True:
        body = make(box, _candidate)
        if mind is None:
            mind = make(box, _judge)
        ended = attend(box, mind, body)
        body.end(group=not box.walled)
        body.close()
        if ended is None:
            return
        if ended.pop("spent"):
            mind.end(group=not box.walled)
            mind.close()
            mind = None
        fresh_folder(box)
        frames.send(box.control, {"ended": {**ended, "peak_mb": body.peak_mb}})


# --- making processes ---------------------------------------------------------------------------------------------


def make(box: Box, life: Any) -> Process:
    """A new process, first in a pid namespace of its own, that leads `life(box, end)` and is gone after it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) if life is _judge else (None, None)
    pipes = candidate.pipes() if life is _candidate else ((), ())
    near = (ours.detach(),) if ours else pipes[0]
    far = (theirs.detach(),) if theirs else pipes[1]
    if box.walled:
        kernel.unshare(kernel.CLONE_NEWPID)
    pid = kernel.fork()
    if pid == 0:
        code = 70
        try:
            code = life(box, far)
        except BaseException:  # our own fault; the host sees the code, and whoever looks the reason
            traceback.print_exc()
        finally:
            os._exit(code)
    if box.walled:
        kernel.setns(box.pids, kernel.CLONE_NEWPID)
    for fd in far:
        os.close(fd)
    return Process(pid, os.pidfd_open(pid), near)


def _candidate(box: Box, far: tuple[int, ...]) -> int:
    os.setsid()
    os.chdir(f"{box.place}/tmp")
    if box.rules >= 0:
        kernel.restrict(box.rules)
    candidate.close_all_but(far[0], far[1])
    confine(box)
    candidate.main(walled=box.walled)
    return 0


def _judge(box: Box, far: tuple[int, ...]) -> int:
    os.setsid()
    kernel.dumpable(False)
    jobs, records, line = (os.dup2(fd, 100 + n, inheritable=False) for n, fd in enumerate((0, 1, far[0])))
    candidate.nowhere()
    os.closerange(3, 100)
    os.closerange(103, 1024)
    confine(box)
    return judge.main(jobs, records, line, f"{box.place}/tmp")


def confine(box: Box) -> None:
    """No privileges and only harmless system calls, from here on."""
    if box.walled:
        kernel.drop_capabilities()
    kernel.no_new_privileges()
    if box.filter:
        box.filter.install()


def fresh_folder(box: Box, *, first: bool = False) -> None:
    """An empty folder for the next program, if the last one left anything in its own."""
    if not first:
        with os.scandir(f"{box.place}/tmp") as work, os.scandir(f"{box.place}/shm") as shared:
            if not any(work) and not any(shared) and len(os.listdir(box.place)) == 2:
                return
    if box.walled:
        if not first:
            kernel.unmount(box.place)
        options = f"size={DISK_MB}m,nr_inodes={INODES},mode=700"
        kernel.mount("tmpfs", box.place, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
        if box.rules >= 0:
            os.close(box.rules)
        box.rules = kernel.rules(box.place)
    else:
        shutil.rmtree(box.place, ignore_errors=True)
        os.makedirs(box.place, mode=0o700, exist_ok=True)
    os.mkdir(f"{box.place}/tmp")
    os.mkdir(f"{box.place}/shm")


# --- seeing a job through -----------------------------------------------------------------------------------------


def attend(box: Box, mind: Process, body: Process) -> dict[str, Any] | None:
    """One job, from the judge's first word to its last: how it ended, and whether the judge is spent.

    The judge says `want SECONDS MEGABYTES PROCESSES PLAIN JOB` and is given the candidate's channel; `cpu`, `post` (how
    did it end?) and `kill` are answered; `end` is its last word. None if the host has gone.
    """
    poll = select.poll()
    poll.register(mind.ends[0], select.POLLIN)
    poll.register(0, 0)  # only to hear that the host hung up
    line = socket.socket(fileno=os.dup(mind.ends[0]))
    deadline, memory_mb, plain, reason, job = float("inf"), float("inf"), False, "", None
    try:
        while True:
            waiting = deadline != float("inf")
            events = dict(poll.poll(LOOK_SECONDS * 1000 if waiting else None))
            if waiting and not events.get(mind.ends[0]) and 0 in events:
                return None  # the host is gone, and the job with it
            if waiting and not events:
                if not reason and memory.used_mb(box.proc, body.pid) > memory_mb:
                    reason = "memory"
                    body.end(group=not box.walled)
                if time.monotonic() > deadline:
                    return {"job": job, "reason": "timeout", "code": None, "spent": True}
                continue
            words = line.recv(200).decode("ascii").split()
            if not words:
                code = os.waitstatus_to_exitcode(mind.end(group=not box.walled))
                gone = code == judge.HOST_GONE and not waiting
                return None if gone else {"job": job, "reason": reason, "code": code, "spent": True}
            if words[0] == "want":
                deadline, memory_mb = time.monotonic() + float(words[1]), float(words[2])
                plain, job = words[4] == "plain", int(words[5])
                set_limits(body.pid, memory_mb=float(words[2]), processes=int(words[3]))
                socket.send_fds(line, [b"here"], list(body.ends))
                for fd in body.ends:
                    os.close(fd)
                body.ends = ()
            elif words[0] == "cpu":
                line.send(str(_cpu(body)).encode())
            elif words[0] in ("post", "kill"):
                line.send(f"{_ended(body, box, patience=words[0] == 'post')} {reason or '-'}".encode())
            elif words[0] == "end":
                body.end(group=not box.walled)
                spent = not plain or words[1:] == ["spent"]
                if not spent:
                    line.send(b"ok")
                return {"job": job, "reason": "", "code": 0, "spent": spent}
    finally:
        line.close()


def set_limits(pid: int, *, memory_mb: float, processes: int) -> None:
    """What the kernel counts for one process. Memory and time of all of them together are watched from here."""
    kernel.limit(resource.RLIMIT_AS, int(memory_mb) << 20, pid=pid)
    kernel.limit(resource.RLIMIT_NPROC, processes, pid=pid)
    for kind, most in LIMITS:
        kernel.limit(kind, most, pid=pid)


def _ended(body: Process, box: Box, *, patience: bool) -> str:
    """`STATUS HUNG CAPPED`: of a candidate that hung up its wait status, and whether it had to be ended."""
    poll = select.poll()
    poll.register(body.handle, select.POLLIN)
    hung = patience and body.status is None and not poll.poll(1000)
    return f"{body.end(group=not box.walled)} {int(hung)} {int(body.capped)}"


def _cpu(body: Process) -> float:
    """Seconds of processor time that a candidate has taken (not counting processes of its own)."""
    try:
        return time.clock_gettime((~body.pid << 3) | 2)
    except OSError:
        return 0.0


def _quietly(kill: Any, pid: int) -> None:
    try:
        kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    fd = int(sys.argv[1])
    received = frames.receive(fd)
    os.close(fd)
    main(received)
