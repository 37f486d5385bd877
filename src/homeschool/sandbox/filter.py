"""The system calls a sandboxed program may make, as a seccomp filter in the kernel's own format (BPF bytes).

An allow-list: what Python, its standard library and ordinary command-line tools need is named here, and everything
else fails with EPERM, so that a call is closed before anybody has heard of it. Calls numbered from 424 on (the same
number on every machine, none older than 2019) fail with ENOSYS instead, as on an older kernel, because the C library
then falls back on what it used before: `clone3` becomes `clone`, whose flags a filter can see.

Not to be had: new namespaces, mounts, `chroot`, tracing and other processes' memory, the kernel's keys, BPF, io_uring,
performance counters, memory files, System V and POSIX message queues and shared memory, the clock, another identity,
device nodes, handles of files, sockets other than AF_UNIX, `ioctl`, `prctl` and `fcntl` requests that are not listed,
limits, processors and priorities of other processes, and filters of one's own. A call in another machine's convention
(32-bit, x32) ends the process, for its numbers mean something else.

Refuses (RefusedError) where libseccomp is missing or the processor is neither x86_64 nor aarch64.
"""

from __future__ import annotations

import errno
import platform
import socket
import stat
import tempfile
from functools import cache
from types import ModuleType
from typing import Any

from homeschool.core.errors import RefusedError

MACHINES = ("x86_64", "aarch64")

YOUNG = range(424, 512)
"""Numbers that are the same on every machine. (From 512 on, x86_64 has those of x32.)"""

ALLOWED = """
read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek sendfile copy_file_range
open openat creat close close_range dup dup2 dup3 pipe pipe2 flock fsync fdatasync
stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2
getdents getdents64 getcwd chdir fchdir readlink readlinkat
mkdir mkdirat rmdir rename renameat renameat2 link linkat unlink unlinkat symlink symlinkat
chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat umask
utime utimes utimensat futimesat truncate ftruncate fallocate fadvise64 readahead
getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime timerfd_gettime
inotify_init inotify_init1 inotify_add_watch inotify_rm_watch

brk mmap munmap mremap mprotect msync madvise mincore mlock mlock2 munlock get_mempolicy
futex futex_waitv set_robust_list set_tid_address rseq membarrier arch_prctl

fork vfork execve execveat exit exit_group wait4 waitid
kill tkill tgkill pidfd_open pidfd_send_signal
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack pause restart_syscall
getpid getppid gettid getpgid getpgrp setpgid getsid setsid
getuid geteuid getgid getegid getresuid getresgid getgroups capget
getrlimit setrlimit getrusage times getpriority sched_yield sched_getaffinity sched_getscheduler sched_getparam
sched_get_priority_max sched_get_priority_min sched_rr_get_interval
uname sysinfo getcpu getrandom

time gettimeofday clock_gettime clock_getres nanosleep clock_nanosleep alarm getitimer setitimer
timer_create timer_settime timer_gettime timer_getoverrun timer_delete

bind listen connect accept accept4 shutdown getsockname getpeername getsockopt
sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
"""

NOT_SUPPORTED = """
setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
"""
"""Fail with ENOTSUP, as on a file system without attributes: `cp -a` puts up with that and with nothing else."""

KEEPERS = """
unshare setns mount umount2 capset landlock_create_ruleset landlock_add_rule landlock_restrict_self
"""
"""What the keeper itself needs to make the next program's world."""
SET_SECCOMP = 22

LOW = 0xFFFFFFFF
"""The kernel reads most arguments as 32 bits wide, whatever the program put above them."""

NEW_NAMESPACE = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. (`clone` cannot ask for NEWTIME.)"""

CLONE_PARENT = 0x8000
"""Makes a child that is its maker's sibling: a stranger among the children of whoever watches the program."""

NODES = (0, stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK)

IOCTL = (
    *(0x5401, 0x5402, 0x5403, 0x5404),  # TCGETS, TCSETS, TCSETSW, TCSETSF
    *(0x540F, 0x5411, 0x5413, 0x5414),  # TIOCGPGRP, TIOCOUTQ, TIOCGWINSZ, TIOCSWINSZ
    *(0x541B, 0x5421, 0x5450, 0x5451),  # FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
)
"""No TIOCSTI and TIOCLINUX, which type into somebody's terminal, and nothing that talks to a driver."""

PRCTL = (
    *(1, 2, 3, 4, 7),  # PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_KEEPCAPS
    *(15, 16, 21, 23),  # PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ
    *(29, 30, 38, 39),  # PR_SET_TIMERSLACK, PR_GET_TIMERSLACK, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS
    *(40, 41, 42),  # PR_GET_TID_ADDRESS, PR_SET_THP_DISABLE, PR_GET_THP_DISABLE
    0x53564D41,  # PR_SET_VMA: malloc names its memory
)
"""No PR_SET_SECCOMP, nothing of capabilities, and nothing that changes how the kernel sees the process's memory."""

FCNTL = (
    *range(8),  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW
    *(36, 37, 38),  # the same locks, by open file
    *(1030, 1032),  # F_DUPFD_CLOEXEC, F_GETPIPE_SZ
)
"""No F_SETOWN (signals to others), no leases, and no F_SETPIPE_SZ: pipes hold memory that counts for no process."""

SOCKET_OPTION = (
    *(2, 4, 6, 9, 13, 15),  # SO_REUSEADDR, SO_ERROR, SO_BROADCAST, SO_KEEPALIVE, SO_LINGER, SO_REUSEPORT
    *(16, 20, 21, 66, 67),  # SO_PASSCRED, SO_RCVTIMEO and SO_SNDTIMEO, both as they were and for years after 2038
)
"""No SO_SNDBUF and SO_RCVBUF: what a socket holds is memory too that counts for no process. And no filters of BPF."""
NETWORK_OPTION = (1, 5, 26)
"""TCP_NODELAY, TCP_KEEPINTVL, IPV6_V6ONLY."""


@cache
def compiled(*, network: bool = False) -> bytes:
    """The filter as an array of `struct sock_filter`, for `prctl(PR_SET_SECCOMP)` or `bwrap --seccomp`.

    With `network`, sockets of AF_INET and AF_INET6 may be opened too. Raises RefusedError if there can be no filter.
    """
    seccomp, filter_ = _allowing(ALLOWED)
    _admit(seccomp, filter_, conditions(network=network))
    return _bytes(filter_)


@cache
def staged() -> tuple[bytes, bytes]:
    """The same wall in two parts: one that the keeper lives behind too, and what is shut behind it for programs.

    A filter costs most of a millisecond to install and nothing to inherit, so the large part is installed once and the
    small one in each program. Both together allow exactly what `compiled()` does. Raises RefusedError as that does.
    """
    seccomp, outer = _allowing(ALLOWED + KEEPERS)
    _admit(seccomp, outer, [each for each in conditions() if each[0] not in ("prctl", "prlimit64")])
    _admit(seccomp, outer, [("prctl", 0, LOW, (*PRCTL, SET_SECCOMP)), ("prlimit64", 0, 0, (0,))])
    inner = seccomp.SyscallFilter(seccomp.ALLOW)
    inner.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for number in sorted(_numbers(seccomp, KEEPERS)):
        inner.add_rule(seccomp.ERRNO(errno.ENOSYS if number in YOUNG else errno.EPERM), number)
    for name, comparison, value in (("prctl", seccomp.EQ, SET_SECCOMP), ("prlimit64", seccomp.NE, 0)):
        for number in _numbers(seccomp, name):
            inner.add_rule(seccomp.ERRNO(errno.EPERM), number, seccomp.Arg(0, comparison, value))
    return _bytes(outer), _bytes(inner)


def _allowing(names: str) -> tuple[ModuleType, Any]:
    """The binding, and a filter that allows these calls whatever their arguments."""
    machine = platform.machine()
    if machine not in MACHINES:
        raise RefusedError(
            f"the sandbox's system-call filter is written for {' and '.join(MACHINES)} and this is {machine}",
            hint="use such a machine, or go on without isolation by --sandbox none",
        )
    seccomp = _binding()
    filter_ = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    filter_.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    allowed = _numbers(seccomp, names)
    for number in sorted(allowed):
        filter_.add_rule(seccomp.ALLOW, number)
    for number in sorted(set(YOUNG) - allowed):
        filter_.add_rule(seccomp.ERRNO(errno.ENOSYS), number)
    for number in sorted(_numbers(seccomp, NOT_SUPPORTED)):
        filter_.add_rule(seccomp.ERRNO(errno.ENOTSUP), number)
    return seccomp, filter_


def _admit(seccomp: ModuleType, filter_: Any, calls: list[tuple[str, int, int, tuple[int, ...]]]) -> None:
    for name, place, mask, values in calls:
        for number in _numbers(seccomp, name):
            for value in values:
                filter_.add_rule(seccomp.ALLOW, number, seccomp.Arg(place, seccomp.MASKED_EQ, mask, value))


def _bytes(filter_: Any) -> bytes:
    with tempfile.TemporaryFile() as file:
        filter_.export_bpf(file)
        file.seek(0)
        return file.read()


def conditions(*, network: bool = False) -> list[tuple[str, int, int, tuple[int, ...]]]:
    """The calls that are allowed by their arguments: name, which argument, its mask, and the values it may have."""
    families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6) if network else (socket.AF_UNIX,)
    options = (*SOCKET_OPTION, *NETWORK_OPTION) if network else SOCKET_OPTION
    return [
        ("socket", 0, LOW, tuple(map(int, families))),
        ("socketpair", 0, LOW, (int(socket.AF_UNIX),)),
        ("setsockopt", 2, LOW, options),
        ("clone", 0, NEW_NAMESPACE | CLONE_PARENT, (0,)),
        ("mknod", 1, 0o170000, NODES),
        ("mknodat", 2, 0o170000, NODES),
        ("personality", 0, LOW, (0, LOW)),  # the usual one, and the question which it is
        ("ioctl", 1, LOW, IOCTL),
        ("prctl", 0, LOW, PRCTL),
        ("fcntl", 1, LOW, FCNTL),
        # Of itself only: a program has the user of whoever watches it, and could starve that one.
        ("prlimit64", 0, LOW, (0,)),
        ("sched_setaffinity", 0, LOW, (0,)),
        ("sched_setscheduler", 0, LOW, (0,)),
        ("sched_setparam", 0, LOW, (0,)),
    ]


def _binding() -> ModuleType:
    """The module `pyseccomp`, which can be imported only where libseccomp is."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise RefusedError(
            f"the sandbox's system-call filter cannot be made ({error})",
            hint="apt install libseccomp2 and pip install pyseccomp",
        ) from None
    return pyseccomp


def _numbers(seccomp: ModuleType, names: str) -> set[int]:
    """This machine's numbers of the calls; one that the machine, or its libseccomp, does not have is left out."""
    found = {seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) for name in names.split()}
    return {number for number in found if number >= 0}
