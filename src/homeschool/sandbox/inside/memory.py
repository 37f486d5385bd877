"""What a program takes of the memory: of all its processes, and of what lies in none of them.

The kernel limits each process's address space; that a program may have many processes, shared maps whose makers are
gone, and full sockets, is added up here, from /proc, while the program runs. Standard library only.
"""

from __future__ import annotations

import os
import resource
import time

PAGE = resource.getpagesize()
OWN_SOCKETS = 3
"""Lines of /proc/net/unix that are no program's: its heading, and the two ends of the judge's line to the keeper."""
SOCKET_MB = 0.21
"""What one socket may hold that nobody has read: the kernel's default, which the filter does not let it raise."""
LONGEST_MAPS = 1 << 20
"""Characters of a process's list of maps, a hundred times what Python has."""
LOOK_MOST_SECONDS = 1.0


def used_mb(proc: int, pid: int) -> float:
    """Memory of a process and all its descendants, with what lies in shared maps and sockets and shows in none.

    Infinite for what cannot be added up in `LOOK_MOST_SECONDS`: a program must not keep the keeper from its work.
    """
    until = time.monotonic() + LOOK_MOST_SECONDS
    resident = {each: _resident_mb(proc, each) for each in _tree(proc, pid)}
    used = sum(resident.values())
    # The sum counts what forks share many times over; the exact figure is slow, and so only asked when it matters.
    exact = len(resident) >= 3 and used >= 256
    sizes: dict[str, int] = {}
    shares = hidden = 0.0
    for each, alone in resident.items():
        if time.monotonic() > until:
            return float("inf")
        shares += _share_mb(proc, each, alone) if exact else 0.0
        hidden += _shared_maps(proc, each, sizes)
    sockets = _read(proc, "net", "unix").count("\n") - OWN_SOCKETS
    return (shares if exact else used) + hidden + sum(sizes.values()) / (1 << 20) + sockets * SOCKET_MB


def _shared_maps(proc: int, pid: int, sizes: dict[str, int]) -> float:
    """Add the sizes of a process's anonymous shared maps, by inode: whoever filled one may have gone.

    What it may have in all, in MB, if it hides its maps or has more of them than will be read.
    """
    maps = _read(proc, pid, "maps")
    if not maps or len(maps) > LONGEST_MAPS:
        fields = _read(proc, pid, "statm").split()
        return int(fields[0]) * PAGE / (1 << 20) if fields else 0.0
    for line in maps.splitlines():
        if line.endswith("/dev/zero (deleted)"):
            span, _, _, _, inode, *_ = line.split()
            start, _, end = span.partition("-")
            sizes[inode] = max(sizes.get(inode, 0), int(end, 16) - int(start, 16))
    return 0.0


def _resident_mb(proc: int, pid: int) -> float:
    fields = _read(proc, pid, "statm").split()
    return int(fields[1]) * PAGE / (1 << 20) if len(fields) > 1 else 0.0


def _share_mb(proc: int, pid: int, resident: float) -> float:
    """A process's share of its memory, or all of it where the kernel does not tell."""
    for line in _read(proc, pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return resident


def _tree(proc: int, pid: int) -> set[int]:
    """A process and its descendants, among all that the keeper can see."""
    parents: dict[int, int] = {}
    for name in os.listdir(proc):
        if name.isdigit():
            fields = _read(proc, int(name), "stat").rpartition(")")[2].split()
            if len(fields) > 1:
                parents[int(name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found and child not in found}:
        found |= more
    return found


def _read(proc: int, pid: int | str, name: str) -> str:
    """A file of /proc; empty if the process is gone or hides it."""
    try:
        fd = os.open(f"{pid}/{name}", os.O_RDONLY, dir_fd=proc)
    except OSError:
        return ""
    parts, size = list[bytes](), 0
    try:
        while size <= LONGEST_MAPS and (part := os.read(fd, 1 << 16)):
            parts.append(part)
            size += len(part)
    except OSError:
        return ""
    finally:
        os.close(fd)
    return b"".join(parts).decode("ascii", "replace")
