"""The small world that programs live in: which folders of this machine, which Python, which variables.

Read-only and the least that runs Python and ordinary commands: `/usr` and its like, the dynamic linker's tables, the
interpreter. No home, no configuration, no sockets. The one place that can be written is made anew for each program.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from homeschool.core.errors import UsageError

INSIDE = Path(__file__).parent / "inside"
FOLDER = "/homeschool"
"""Where the keeper's own files are, inside."""
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
LINKER = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime")
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the order of a set is the same in every run
    "MALLOC_ARENA_MAX": "2",  # else every thread takes 64 MB of the address space
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python to run programs with, and the folders that it needs."""

    path: str
    version: str
    folders: tuple[str, ...]
    flags: tuple[str, ...]
    warm: tuple[str, ...] = ()


@cache
def interpreter(python: str | None = None) -> Interpreter:
    """The Python at `python`, with its packages; by default the one that runs this, without packages.

    Raises UsageError for one that does not run.
    """
    if python is None:
        base = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        flags = ("-s", "-S", "-B")
        return Interpreter(base, sys.version, _folders({sys.base_prefix, sys.base_exec_prefix}), flags)
    code = "import json, sys; print(json.dumps([sys.executable, sys.version, sys.prefix, sys.base_prefix]))"
    try:
        said = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
        path, version, *folders = json.loads(said.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UsageError(
            f"{python} is no Python that runs ({error})", hint="name the python of an environment"
        ) from error
    # The executable of an environment is a link, and must stay one: its place tells Python where the packages are.
    return Interpreter(path, version, _folders({*folders, os.path.dirname(os.path.realpath(path))}), ("-s", "-B"))


def _folders(prefixes: set[str]) -> tuple[str, ...]:
    """Those that the system's folders do not hold already, and none that lies in another."""
    places = sorted({os.path.abspath(prefix) for prefix in prefixes})
    found: list[str] = []
    for place in places:
        if not any(place == other or place.startswith(f"{other}/") for other in (*SYSTEM, *found)):
            found.append(place)
    return tuple(found)


def world(isolation: str, chosen: Interpreter, *, bwrap: str = "", filters: tuple[bytes, ...] = ()) -> dict[str, Any]:
    """The message that `inside/enter.py` is started with."""
    binds: list[tuple[str, str]] = []
    links: list[tuple[str, str]] = []
    for folder in SYSTEM:
        if os.path.islink(folder):
            links.append((folder, os.readlink(folder)))
        elif os.path.isdir(folder):
            binds.append((folder, folder))
    binds += [(path, path) for path in LINKER if os.path.exists(path)]
    binds += [(folder, folder) for folder in chosen.folders]
    walled = isolation != "none"
    binds.append((str(INSIDE), FOLDER))
    return {
        "isolation": isolation,
        "binds": binds,
        "links": links,
        "folder": FOLDER if walled else str(INSIDE),
        "python": chosen.path,
        "flags": list(chosen.flags),
        "environment": ENVIRONMENT,
        "warm": list(chosen.warm),
        "bwrap": bwrap,
        "filters": [program.hex() for program in filters],
    }
