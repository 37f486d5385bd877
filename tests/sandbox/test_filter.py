"""The system-call filter: read by an interpreter of its bytes (no call is made), and obeyed by the kernel."""

from __future__ import annotations

import builtins
import errno
import platform
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import RefusedError
from homeschool.sandbox import filter as filter_module
from homeschool.sandbox.filter import ALLOWED, MACHINES, NOT_SUPPORTED, YOUNG, compiled, conditions, staged

if not sys.platform.startswith("linux") or platform.machine() not in MACHINES:
    pytest.skip("the filter is for Linux on x86_64 or aarch64", allow_module_level=True)
try:
    import pyseccomp
except (ImportError, RuntimeError):
    pytest.skip("pyseccomp or libseccomp is missing", allow_module_level=True)

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HERE = ARCHITECTURES[platform.machine()]
KILL, ALLOW = 0x80000000, 0x7FFF0000
EPERM, ENOSYS, ENOTSUP = (0x50000 | code for code in (errno.EPERM, errno.ENOSYS, errno.ENOTSUP))


def number(name: str) -> int:
    return pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)


def answer(code: bytes, call: int, *arguments: int, arch: int = HERE) -> int:
    """What the filter says of a system call: the kernel's cBPF, as far as libseccomp uses it."""
    words = [(value >> shift) & 0xFFFFFFFF for value in arguments for shift in (0, 32)]
    data = [call & 0xFFFFFFFF, arch, 0, 0, *words, *[0] * (12 - len(words))]
    instructions = list(struct.iter_unpack("=HBBI", code))
    accumulator = place = 0
    while True:
        operation, yes, no, constant = instructions[place]
        place += 1
        match operation:
            case 0x20:
                accumulator = data[constant // 4]
            case 0x54:
                accumulator &= constant
            case 0x05:
                place += constant
            case 0x15:
                place += yes if accumulator == constant else no
            case 0x25:
                place += yes if accumulator > constant else no
            case 0x35:
                place += yes if accumulator >= constant else no
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"operation {operation:#x} is not one libseccomp is known to use")


DENIED = """
mount umount2 pivot_root chroot unshare setns ptrace process_vm_readv process_vm_writev kcmp
kexec_load kexec_file_load bpf perf_event_open userfaultfd keyctl add_key request_key memfd_create
shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
settimeofday clock_settime adjtimex clock_adjtime quotactl swapon swapoff reboot acct syslog
init_module finit_module delete_module iopl ioperm modify_ldt open_by_handle_at name_to_handle_at
fanotify_init fanotify_mark lookup_dcookie seccomp sethostname setdomainname vhangup
setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset
io_setup io_submit vmsplice splice tee move_pages migrate_pages mbind set_mempolicy remap_file_pages
setpriority ioprio_set sync syncfs rt_sigqueueinfo rt_tgsigqueueinfo
"""
DENIED_YOUNG = """
clone3 io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount fspick
pidfd_getfd process_madvise mount_setattr quotactl_fd landlock_create_ruleset memfd_secret process_mrelease
"""


@pytest.mark.parametrize("name", DENIED.split())
def test_what_a_program_never_needs_is_not_permitted(name: str) -> None:
    if number(name) < 0:
        assert name not in ALLOWED.split()
        return
    for first in (0, 1, 0xFFFFFFFF):
        assert answer(compiled(), number(name), first) == EPERM
        assert answer(compiled(network=True), number(name), first) == EPERM


@pytest.mark.parametrize("name", DENIED_YOUNG.split())
def test_young_calls_look_as_if_the_kernel_were_older(name: str) -> None:
    assert number(name) in YOUNG
    assert answer(compiled(), number(name)) == ENOSYS


@pytest.mark.parametrize("name", NOT_SUPPORTED.split())
def test_attributes_of_files_cannot_be_set(name: str) -> None:
    assert answer(compiled(), number(name)) == ENOTSUP


def test_calls_nobody_has_heard_of_are_closed() -> None:
    code = compiled()
    known = {number(name) for name in ALLOWED.split()}
    for unheard in set(range(463, 2000)) - known:
        expected = {ENOSYS} if unheard in YOUNG else {EPERM}
        assert answer(code, unheard) in expected, unheard


def test_allowed_calls_are_allowed_whatever_their_arguments() -> None:
    found = [name for name in ALLOWED.split() if number(name) >= 0]
    assert len(found) > 150
    assert [name for name in found if answer(compiled(), number(name), *[2**64 - 1] * 6) != ALLOW] == []


@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("socket", (socket.AF_UNIX, 1, 0), True),
        *[("socket", (family, 1, 0), False) for family in range(50) if family != socket.AF_UNIX],
        ("socket", (socket.AF_INET | 1 << 32, 1, 0), False),
        ("socketpair", (socket.AF_UNIX, 1, 0), True),
        ("socketpair", (socket.AF_INET, 1, 0), False),
        ("setsockopt", (0, 1, 2), True),
        *[("setsockopt", (0, 1, option), False) for option in (7, 8, 26, 32, 33, 50, 51)],
        ("clone", (0x3D0F00,), True),
        ("clone", (17,), True),
        *[("clone", (17 | flag,), False) for flag in (0x8000, 0x20000, *(1 << bit for bit in range(25, 31)))],
        ("mknodat", (0, 0, 0o010600), True),
        ("mknodat", (0, 0, 0o020600), False),
        ("mknodat", (0, 0, 0o060600), False),
        ("personality", (0xFFFFFFFF,), True),
        ("personality", (0x0040000,), False),
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),
        ("ioctl", (0, 0x5412 | 1 << 32), False),
        ("ioctl", (0, 0x541C), False),
        ("prctl", (15,), True),
        ("prctl", (22, 2), False),
        ("prctl", (22 | 1 << 32, 2), False),
        ("prctl", (8, 1), False),
        ("prctl", (35,), False),
        ("fcntl", (0, 3), True),
        ("fcntl", (0, 8), False),
        ("fcntl", (0, 1031), False),
        ("prlimit64", (0, 7), True),
        ("prlimit64", (1, 7), False),
        ("sched_setaffinity", (0,), True),
        ("sched_setaffinity", (1,), False),
    ],
)
def test_some_calls_are_allowed_by_their_arguments(name: str, arguments: tuple[int, ...], allowed: bool) -> None:
    assert (answer(compiled(), number(name), *arguments) == ALLOW) is allowed


def test_network_opens_the_internet_families_and_nothing_else() -> None:
    open_ = [family for family in range(64) if answer(compiled(network=True), number("socket"), family) == ALLOW]
    assert open_ == sorted((socket.AF_UNIX, socket.AF_INET, socket.AF_INET6))


def test_calls_in_another_machines_convention_kill() -> None:
    for arch in (0x40000003, 0x40000028, *(set(ARCHITECTURES.values()) - {HERE})):
        assert answer(compiled(), 1, arch=arch) == KILL
    if platform.machine() == "x86_64":
        assert answer(compiled(), 0x40000000 | 39) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_each_machine_has_what_programs_need(machine: str) -> None:
    """Names that a machine lacks (aarch64 has no `open`, only `openat`) are left out, and only such names."""
    arch = getattr(pyseccomp.Arch, machine.upper())
    names = [*ALLOWED.split(), *(name for name, *_ in conditions())]
    assert len(names) == len(set(names))
    lacking = {name for name in names if pyseccomp.resolve_syscall(arch, name) < 0}
    young = {"fchmodat2"}  # an older libseccomp does not know its number
    if machine == "x86_64":
        assert lacking <= young
    else:
        assert {"open", "fork", "stat", "poll"} <= lacking
        needed = {"openat", "clone", "execve", "newfstatat", "ppoll", "pipe2", "dup3", "unlinkat", "mknodat", "futex"}
        assert not needed & lacking


def test_a_machine_without_a_filter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter_module.platform, "machine", lambda: "riscv64")
    with pytest.raises(RefusedError, match="riscv64"):
        compiled.__wrapped__()


@pytest.mark.parametrize("error", [ImportError("no module"), RuntimeError("Unable to find libseccomp")])
def test_a_missing_library_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "pyseccomp":
            raise error
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(RefusedError, match=str(error)) as caught:
        compiled.__wrapped__()
    assert caught.value.exit_code == 3
    assert "apt install libseccomp2" in caught.value.hint


# --- the kernel obeys it -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filter") / "filter.bpf"
    path.write_bytes(compiled())
    return path


def under(filter_file: Path, source: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(__file__).with_name("filtered.py")), str(filter_file)]
    return subprocess.run(command, input=source, capture_output=True, text=True, timeout=60, check=False)


CALLS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for name, number, arguments in {calls!r}:
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments])
    print(name, ctypes.get_errno() if result == -1 else 0)
"""

HARMLESS: list[tuple[str, tuple[int, ...], int]] = [
    ("getpid", (), 0),
    ("socket", (1, 1, 0), 0),
    ("prctl", (15, 0), errno.EFAULT),
    *[("socket", (family, kind, 0), errno.EPERM) for family in (2, 10, 16, 17, 38, 40) for kind in (1, 2, 3)],
    ("clone3", (0, 0), errno.ENOSYS),
    ("unshare", (0,), errno.EPERM),
    ("setns", (-1, 0), errno.EPERM),
    ("mount", (0, 0, 0, 0, 0), errno.EPERM),
    ("fsopen", (0, 0), errno.ENOSYS),
    ("open_tree", (-1, 0, 0), errno.ENOSYS),
    ("chroot", (0,), errno.EPERM),
    ("pivot_root", (0, 0), errno.EPERM),
    ("ptrace", (0x4200, -1, 0, 0), errno.EPERM),
    ("process_vm_readv", (-1, 0, 0, 0, 0, 0), errno.EPERM),
    ("pidfd_getfd", (-1, -1, 0), errno.ENOSYS),
    ("bpf", (-1, 0, 0), errno.EPERM),
    ("perf_event_open", (0, 0, 0, 0, 0), errno.EPERM),
    ("userfaultfd", (-1,), errno.EPERM),
    ("io_uring_setup", (0, 0), errno.ENOSYS),
    ("keyctl", (-1,), errno.EPERM),
    ("memfd_create", (0, 0), errno.EPERM),
    ("shmget", (0, 0, 0), errno.EPERM),
    ("mq_open", (0, 0, 0, 0), errno.EPERM),
    ("clock_settime", (0, 0), errno.EPERM),
    ("open_by_handle_at", (-1, 0, 0), errno.EPERM),
    ("name_to_handle_at", (-1, 0, 0, 0, 0), errno.EPERM),
    ("fanotify_init", (-1, 0), errno.EPERM),
    ("personality", (0x0040000,), errno.EPERM),
    ("mknodat", (-1, 0, 0o020600, 0), errno.EPERM),
    ("ioctl", (-1, 0x5412, 0), errno.EPERM),
    ("prctl", (22, 2, 0, 0, 0), errno.EPERM),
    ("seccomp", (1, 0, 0), errno.EPERM),
    ("fcntl", (0, 8, 1), errno.EPERM),
    ("setuid", (0,), errno.EPERM),
    ("setpriority", (2, 0, 1), errno.EPERM),
]
"""Calls that do nothing even where they are allowed (null pointers, bad descriptors), and how they end."""


def test_the_kernel_obeys(filter_file: Path) -> None:
    calls = [(f"{name}{arguments}", number(name), arguments) for name, arguments, _ in HARMLESS]
    done = under(filter_file, CALLS.format(calls=calls))
    assert done.returncode == 0, done.stderr
    seen = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    expected = [[name, str(code)] for (name, _, _), (_, _, code) in zip(calls, HARMLESS, strict=True)]
    assert seen == expected


def test_the_same_calls_end_otherwise_without_it(tmp_path: Path) -> None:
    """The test above would mean nothing if they failed with EPERM anyway."""
    everything = tmp_path / "everything.bpf"
    everything.write_bytes(struct.pack("=HBBI", 0x06, 0, 0, ALLOW))
    names = ("unshare", "setns", "shmget", "memfd_create", "keyctl", "process_vm_readv", "userfaultfd")
    calls = [(name, number(name), arguments) for name, arguments, _ in HARMLESS if name in names]
    done = under(everything, CALLS.format(calls=calls))
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.endswith(f" {errno.EPERM}")] == []
    assert len(done.stdout.splitlines()) == len(names)


MACHINE_CODE = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write({code!r})
print("before", flush=True)
ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
print("after")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="32-bit calls of x86_64")
@pytest.mark.parametrize(
    "code",
    [b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", b"\xb8\x27\x00\x00\x40\x0f\x05\xc3"],
    ids=["int 0x80 getpid", "x32 getpid"],
)
def test_32_bit_calls_end_the_process(filter_file: Path, code: bytes) -> None:
    done = under(filter_file, MACHINE_CODE.format(code=code))
    assert (done.returncode, done.stdout) == (-31, "before\n"), done.stderr


HONEST = {
    "threads": """
import threading, queue
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(abs, range(-100, 0))) == 5050
""",
    "subprocess": """
import subprocess, os
assert subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout == "hello\\n"
assert subprocess.run("ls / | sort | head -n 1", shell=True, capture_output=True).returncode == 0
assert subprocess.run(["cat"], input=b"x", stdout=subprocess.PIPE, start_new_session=True).stdout == b"x"
assert os.system("true") == 0
assert os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {}), 0)[1]) == 3
""",
    "command-line tools": """
import subprocess, tempfile
with tempfile.TemporaryDirectory() as folder:
    script = ("set -e; printf 'b\\\\na\\\\n' > f; cp -a f g; mv g h; ln -s h l; mkdir d; tar cf t.tar f h;"
              "tar xf t.tar -C d; gzip -k f; sort f | grep a | sed s/a/c/ | awk '{print $1}';"
              "find . -type f | xargs wc -l > n; touch f;"
              "chmod 600 f; dd if=f of=i 2>e; mkfifo p; stat f > s; du . > u; df . > v; date > w; rm -r d")
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "c\\n", ""), done
""",
    "multiprocessing": """
import multiprocessing as m
def square(n): return n * n
def feed(queue, event): queue.put("sent"); event.set()
context = m.get_context("fork")
with context.Pool(2) as pool:
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
queue, event, value = context.Queue(), context.Event(), context.Value("i", 7)
process = context.Process(target=feed, args=(queue, event)); process.start()
assert queue.get() == "sent" and event.wait(5) and value.value == 7
process.join(); assert process.exitcode == 0
""",
    "shared memory": """
from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory(create=True, size=4096); memory.buf[0] = 5; memory.close(); memory.unlink()
""",
    "asyncio": """
import asyncio, sys
async def main():
    server = await asyncio.start_unix_server(lambda r, w: (w.write(b"hi"), w.close()), path)
    reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b"hi"
    process = await asyncio.create_subprocess_exec("echo", "a", stdout=asyncio.subprocess.PIPE)
    assert (await process.communicate())[0] == b"a\\n"
    assert await asyncio.to_thread(abs, -1) == 1
    server.close()
import tempfile, os
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "s")
    asyncio.run(main())
""",
    "files": """
import tempfile, sqlite3, shutil, os, mmap, pathlib, fcntl
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "a"); path.write_text("x" * 5000)
    shutil.copy2(path, path.with_name("b")); os.link(path, path.with_name("c")); os.replace(path, path.with_name("d"))
    os.mkfifo(path.with_name("fifo")); os.utime(path.with_name("b")); os.chmod(path.with_name("b"), 0o600)
    with sqlite3.connect(path.with_name("db")) as base:
        base.execute("pragma journal_mode=wal"); base.execute("create table t (n)")
        base.execute("insert into t values (1)")
        assert base.execute("select n from t").fetchall() == [(1,)]
    with open(path.with_name("b"), "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        fcntl.flock(file, fcntl.LOCK_EX); view[:1] = b"y"; view.flush(); os.fsync(file.fileno())
    assert len(list(pathlib.Path(folder).iterdir())) >= 5
with tempfile.TemporaryFile() as file, tempfile.SpooledTemporaryFile() as other:
    file.write(b"1"); other.write(b"2")
""",
    "processes": """
import os, signal, select, time, socket, resource, pty
pid = os.fork()
if pid == 0: os.setsid(); os._exit(4)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
seen = []; signal.signal(signal.SIGALRM, lambda *_: seen.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause(); assert seen == [1]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); os.kill(os.getpid(), signal.SIGUSR1)
assert signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1
a, b = socket.socketpair(); a.send(b"x"); assert select.select([b], [], [], 1)[0] == [b]
poll = select.epoll(); poll.register(b, select.EPOLLIN); assert poll.poll(1)
a.settimeout(2); a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
socket.send_fds(a, [b"f"], [0]); assert b.recv(1) == b"x"; os.close(socket.recv_fds(b, 1, 1)[1][0])
time.sleep(0.001); resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
os.sched_setaffinity(0, os.sched_getaffinity(0)); os.isatty(0); os.urandom(3); os.cpu_count(); os.getloadavg()
os.set_inheritable(0, True); os.get_terminal_size if os.isatty(1) else None; os.umask(0o77); os.uname()
handle = os.pidfd_open(os.getpid()); signal.pidfd_send_signal(handle, 0)
""",
    "the rest": """
import uuid, getpass, locale, platform, decimal, ctypes, ctypes.util, zoneinfo, webbrowser, faulthandler, tracemalloc
import random, secrets, logging, json, pickle, zipfile, gzip, bz2, lzma, csv, email, html, unittest, doctest, dis
uuid.uuid4(); platform.platform(); ctypes.util.find_library("c"); ctypes.CDLL(None).getpid()
faulthandler.dump_traceback_later(100); faulthandler.cancel_dump_traceback_later(); tracemalloc.start()
""",
}


@pytest.mark.parametrize("name", HONEST)
def test_ordinary_python_works_under_it(filter_file: Path, name: str) -> None:
    done = under(filter_file, HONEST[name] + "\nprint('worked')")
    assert (done.returncode, done.stdout) == (0, "worked\n"), done.stderr


def test_a_new_process_is_under_it_too(filter_file: Path) -> None:
    inner = "import socket; socket.socket()"
    done = under(
        filter_file, f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {inner!r}]).returncode)"
    )
    assert done.stdout == "1\n"
    assert "PermissionError" in done.stderr


def test_both_parts_together_allow_what_the_whole_one_does() -> None:
    outer, inner = staged()
    arguments = [[0] * 6, [1] * 6, [4] * 6, [22] * 6, [0x10000000] * 6, [2**32 - 1] * 6, [2**64 - 1] * 6]
    for call in range(512):
        for some in arguments:
            first = answer(outer, call, *some)
            both = first if first != ALLOW else answer(inner, call, *some)
            assert both == answer(compiled(), call, *some), (call, some)
