"""Runs Python source under a system-call filter: `python filtered.py FILTER_FILE < SOURCE`. For test_filter.py."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38


class Instructions(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("count", ctypes.c_ushort), ("first", ctypes.c_char_p))


def install(code: bytes) -> None:
    """Put this process, and all it starts, under the filter for good. Raises OSError if the kernel will not."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = Instructions(len(code) // 8, code)
    zero = ctypes.c_ulong(0)
    for arguments in (
        (PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero),
        (PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    source = sys.stdin.read()
    install(Path(sys.argv[1]).read_bytes())
    exec(compile(source, "<filtered>", "exec"), globals())
