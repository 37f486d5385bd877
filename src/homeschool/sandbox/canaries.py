"""The proof at start: a few programs that try to get out, against targets planted for them on this machine.

A wall that is only believed in is none. So before the first program of a run, each canary goes through the very way
that programs will go, and is watched from this side of the wall: a real listener on the loopback device and one on an
abstract socket, a secret in the temporary and in the home folder, a process to kill. Whatever gets through, and
whatever does not run (a sandbox that runs nothing would look safe), is refused. They take a few hundredths of a second.

The programs are at the foot of the file. Each reads what was planted from its standard input, and its last line is
what it could get at, as a JSON list. They do no harm even where nothing holds them: the process they kill is ours and
comes first, and nothing else is killed if that one could be; what they fork is little, and ends by itself.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeschool.core.errors import RefusedError
from homeschool.core.execution import Execution, Limits, Program

LIMITS = Limits(seconds=2, memory_mb=256, processes=16, output_kb=64)
HINT = (
    "no program was run; apt install bubblewrap and libseccomp2, or run as a user who may make namespaces "
    "(sysctl kernel.unprivileged_userns_clone=1), or go on without isolation by --sandbox none"
)


@dataclass(frozen=True, slots=True)
class Planted:
    """What the canaries are after."""

    token: str
    secrets: tuple[Path, ...]
    tcp: socket.socket
    abstract: socket.socket
    victim: subprocess.Popen[bytes]

    def told(self) -> str:
        """What a canary is told of it. Not the token: that it must find."""
        told: dict[str, Any] = {
            "secrets": [str(path) for path in self.secrets],
            "port": self.tcp.getsockname()[1],
            "abstract": self.abstract.getsockname()[1:].decode(),
            "victim": self.victim.pid,
            "processes": LIMITS.processes,
            "memory": LIMITS.memory_mb << 20,
        }
        return json.dumps(told)

    def harmed(self) -> str:
        """What came of it, seen from this side; empty if nothing did."""
        if any(path.read_text() != self.token for path in self.secrets if path.exists()):
            return "changed a file outside"
        if any(not path.exists() or len(list(path.parent.iterdir())) > 1 for path in self.secrets):
            return "made or removed a file outside"
        if select.select([self.tcp, self.abstract], [], [], 0)[0]:
            return "reached a listener outside"
        return "killed a process outside" if self.victim.poll() is not None else ""


def prove(run: Callable[[Program], Execution]) -> None:
    """Let every canary try, by `run`, which is how all programs will be run.

    Raises RefusedError that names the first canary to get through, or to end in a way that proves nothing.
    """
    with planted() as targets:
        told = targets.told()
        for name, source in CANARIES.items():
            execution = run(Program(source=source, stdin=told, limits=LIMITS))
            through = targets.harmed() or _got(execution, targets.token)
            if through:
                raise RefusedError(f"the sandbox does not hold: the canary {name!r} {through}", hint=HINT)
            if execution.status not in ("passed", *CONTAINED.get(name, ())):
                seen = execution.message or execution.stderr.strip()[-300:] or execution.stdout[-300:]
                raise RefusedError(f"the sandbox runs no canary {name!r}: {execution.status} ({seen})", hint=HINT)


@contextlib.contextmanager
def planted() -> Iterator[Planted]:
    """The targets, for as long as they are needed. What cannot be had (a home that cannot be written) is left out."""
    token = secrets.token_hex(16)
    with contextlib.ExitStack() as stack:
        found: list[Path] = []
        for place in dict.fromkeys((Path(tempfile.gettempdir()), Path.home())):
            with contextlib.suppress(OSError):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeschool-canary-", dir=place)))
                folder.chmod(0o777)  # only the wall shall keep them out, not who they are
                (folder / "secret").write_text(token)
                (folder / "secret").chmod(0o666)
                found.append(folder / "secret")
        if not found:
            raise RefusedError(
                f"the sandbox cannot be proved: no file can be made in {tempfile.gettempdir()} or {Path.home()}",
                hint="set TMPDIR to a folder that can be written",
            )
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0homeschool-canary-{secrets.token_hex(8)}")
        abstract.listen()
        victim = stack.enter_context(subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL))
        stack.callback(victim.kill)
        yield Planted(token, tuple(found), tcp, abstract, victim)


def _got(execution: Execution, token: str) -> str:
    """What the canary says that it could get at; empty if nothing, or if it was ended before it could say."""
    if token in execution.stdout + execution.stderr + execution.message:
        return "read a secret file"
    if execution.status != "passed":
        return ""
    try:
        got = json.loads(execution.stdout.strip().rpartition("\n")[2])
    except ValueError:
        got = None
    if not isinstance(got, list):
        raise RefusedError(f"the sandbox cannot be proved: a canary printed {execution.stdout[-100:]!r}", hint=HINT)
    return " and ".join(map(str, got))


CONTAINED: dict[str, tuple[str, ...]] = {
    "memory bomb": ("memory", "crash"),
    "fork bomb": ("memory", "crash"),
}
"""How else than well a canary may end: stopped, as it should be."""

CANARIES = {
    "network": """
import json, socket, sys
told, got = json.load(sys.stdin), []
for family, kind, address in (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", told["port"])),
    (socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + told["abstract"]),
):
    try:
        with socket.socket(family, kind) as caller:
            caller.settimeout(0.5)
            caller.connect(address)
            got.append(f"connected to {address!r}")
    except OSError:
        pass
print(json.dumps(got))
""",
    "secret": """
import json, sys
for path in json.load(sys.stdin)["secrets"]:
    for way in (path, "/proc/1/root" + path, "/proc/self/cwd/../../../../.." + path):
        try:
            with open(way) as file:
                print(file.read())
        except OSError:
            pass
print("[]")
""",
    "writing": """
import json, os, sys
for path in json.load(sys.stdin)["secrets"]:
    for name, mode in ((path, "a"), (path + ".new", "w")):
        try:
            with open(name, mode) as file:
                file.write("changed")
        except OSError:
            pass
    try:
        os.remove(path)
    except OSError:
        pass
print("[]")
""",
    "system calls": """
import ctypes, json, socket
libc, got = ctypes.CDLL(None), []
for name, arguments in (("unshare", (0x10000000,)), ("ptrace", (0, 0, 0, 0)), ("memfd_create", (b"canary", 0))):
    if getattr(libc, name)(*arguments) >= 0:
        got.append(f"was allowed to {name}")
for family in (socket.AF_NETLINK, socket.AF_PACKET, 40):  # 40: AF_VSOCK, which no network namespace holds
    try:
        socket.socket(family, socket.SOCK_RAW if family != 40 else socket.SOCK_STREAM).close()
        got.append(f"opened a socket of family {int(family)}")
    except OSError:
        pass
print(json.dumps(got))
""",
    "killing": """
import json, os, signal, sys
told = json.load(sys.stdin)
try:
    os.kill(told["victim"], signal.SIGKILL)
except OSError:
    # Nothing that is not ours can be seen from here: then this hits the sandbox at most.
    for pid in (os.getppid(), -1):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
print("[]")
""",
    "fork bomb": """
import json, os, sys, time
most, made = json.load(sys.stdin)["processes"], 0
try:
    while made < 2 * most:
        if os.fork() == 0:
            time.sleep(0.5)
            os._exit(0)
        made += 1
except OSError:
    pass
print(json.dumps([f"had {made} processes where {most} are allowed"] if made > most else []))
""",
    "memory bomb": """
import json, mmap, sys
most, got = json.load(sys.stdin)["memory"], []
for name, take in (("on the heap", bytearray), ("in a map", lambda size: mmap.mmap(-1, size))):
    try:
        take(2 * most)
        got.append(f"had {2 * most >> 20} MB {name} where {most >> 20} are allowed")
    except (MemoryError, OSError):
        pass
print(json.dumps(got))
""",
    "after all that": "print([])",
}
