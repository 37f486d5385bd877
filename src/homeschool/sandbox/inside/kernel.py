"""The few system calls that Python's library lacks, by ctypes: namespaces, mounts, capabilities, filters.

Runs inside the sandbox, by itself: the standard library only. Every call raises OSError, naming what it was about.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_SETATTR, _LANDLOCK = 442, 444
"""Newer calls have the same number on every machine."""
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPABILITY_VERSION = 0x20080522

_LANDLOCK_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a folder
_LANDLOCK_ALL = (1 << 13) - 1  # all that version 1 knows: also writing, making and removing of every kind
_LANDLOCK_SCOPES = 3  # abstract sockets and signals stay within (version 6)

# PyDLL: no thread can run in between, as there is only one.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _done(result: int, about: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), about)
    return result


def unshare(flags: int) -> None:
    _done(_libc.unshare(flags), "unshare")


def fork() -> int:
    """As os.fork, without the hooks that Python's modules run after one (a third of what a small program costs).

    Only for a process with one thread. The random numbers of `random` go on where they were: every program is given
    the same, and so gives the same result each time.
    """
    return _done(_libc.fork(), "fork")


def setns(fd: int, kind: int) -> None:
    _done(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = [text.encode() if text else None for text in (source, target, kind)]
    _done(_libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")


def unmount(target: str) -> None:
    _done(_libc.umount2(target.encode(), MNT_DETACH), f"unmount {target}")


def read_only(target: str, *, recursive: bool = True) -> None:
    """Make a mount, and all below it, read-only, without devices or set-user-id programs."""
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV, 0, 0, 0)
    if not recursive:
        attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    path, size = target.encode(), ctypes.c_size_t(len(attributes))
    _done(_libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, flags, attributes, size), f"read-only {target}")


def pivot_root(new: str, old: str) -> None:
    _done(_libc.syscall(_PIVOT_ROOT[platform.machine()], new.encode(), old.encode()), "pivot_root")


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends. Lost by a change of user: call it after that."""
    _done(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "die with parent")


def no_new_privileges() -> None:
    _done(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def dumpable(yes: bool) -> None:
    """Whether other processes of this user may look into this one, and it itself into its own /proc."""
    _done(_libc.prctl(_PR_SET_DUMPABLE, int(yes), 0, 0, 0), "dumpable")


_HEADER, _NOTHING = struct.pack("Ii", _CAPABILITY_VERSION, 0), bytes(24)


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    _done(_libc.capset(_HEADER, _NOTHING), "drop capabilities")


class Filter:
    """A system-call filter (BPF, 8 bytes an instruction), made ready once and installed in many processes."""

    def __init__(self, program: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(self._buffer))

    def install(self) -> None:
        """For this process and all it starts. Cannot be undone."""
        _done(_libc.prctl(_PR_SET_SECCOMP, 2, self._header, 0, 0), "install the filter")


def landlock_version() -> int:
    """0 where the kernel has no landlock."""
    return max(0, _libc.syscall(_LANDLOCK, None, ctypes.c_size_t(0), 1))


def rules(writable: str) -> int:
    """What landlock shall allow, whatever the mounts say: read anywhere, write below `writable` and to devices only.

    No signals to processes outside, and no abstract sockets of theirs. A descriptor; -1 where there is no landlock.
    """
    version = landlock_version()
    if not version:
        return -1
    scopes = _LANDLOCK_SCOPES if version >= 6 else 0
    ruleset = struct.pack("QQQ", _LANDLOCK_ALL, 0, scopes)
    made = _done(_libc.syscall(_LANDLOCK, ruleset, ctypes.c_size_t(24 if scopes else 8), 0), "landlock")
    for path, rights in (("/", _LANDLOCK_READ), ("/dev", _LANDLOCK_READ | 2), (writable, _LANDLOCK_ALL)):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _done(_libc.syscall(_LANDLOCK + 1, made, 1, struct.pack("=Qi", rights, place), 0), f"landlock {path}")
        os.close(place)
    return made


def restrict(made: int) -> None:
    """Live by such rules from here on."""
    _done(_libc.syscall(_LANDLOCK + 2, made, 0), "landlock")


def limit(kind: int, most: int, *, pid: int = 0) -> None:
    """Set a resource limit of a process (by default this one), no higher than it already is."""
    _, hard = resource.prlimit(pid, kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.prlimit(pid, kind, (most, most))
