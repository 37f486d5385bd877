"""Hostile programs, by both isolations: none gets out, none is believed, none is left over, none slows what follows."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sandbox.hostile.attack import Attack
from sandbox.hostile.bombs import BOMBS
from sandbox.hostile.doors import DOORS
from sandbox.hostile.escapes import ESCAPES
from sandbox.hostile.floods import FLOODS
from sandbox.hostile.forgers import FORGERS
from sandbox.hostile.hangs import HANGS
from sandbox.hostile.honest import HONEST
from sandbox.hostile.killers import KILLERS
from sandbox.hostile.liars import LIARS
from sandbox.hostile.seekers import SEEKERS

from homeschool.core.errors import RefusedError
from homeschool.core.execution import Execution, Program
from homeschool.sandbox.pool import Sandbox

pyseccomp = pytest.importorskip("pyseccomp", reason="pyseccomp is missing", exc_type=ImportError)

ATTACKS: list[Attack] = [*ESCAPES, *DOORS, *KILLERS, *BOMBS, *FLOODS, *HANGS, *LIARS, *SEEKERS, *FORGERS]
EVERY = os.environ.get("HOSTILE") == "all"
"""Each program behind both walls takes three minutes."""
PATIENCE = 120.0
"""Seconds until a sandbox that says nothing is taken for hung."""
SLACK = 0.05
"""Seconds that the machine may take for itself when one program is timed."""
SECRET_NAME = "HOSTILE_SECRET"
PROBE = Program(source="print(sum(n * n for n in range(20_000)))")
PROBED = "2666466670000"


@dataclass(frozen=True, slots=True)
class Host:
    """What the programs are after on this machine, and how it is seen whether they had it."""

    token: str
    marker: str
    told: str
    secrets: tuple[Path, ...]
    folders: tuple[Path, ...]
    listeners: tuple[socket.socket, ...]
    victim: subprocess.Popen[bytes]

    def harm(self) -> list[str]:
        found = [f"{path} was changed" for path in self.secrets if path.read_text() != self.token]
        found += [
            f"{path} was made" for folder in self.folders for path in folder.iterdir() if path not in self.secrets
        ]
        found += [f"{each} was reached" for each in select.select(self.listeners, [], [], 0)[0]]
        return found + (["the victim was killed"] if self.victim.poll() is not None else [])

    def survivors(self) -> list[int]:
        """Processes that carry the programs' mark in their name, arguments or environment."""
        mark, found = self.marker.encode(), []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                for name in ("comm", "cmdline", "environ"):
                    try:
                        text = (folder / name).read_bytes()
                    except OSError:
                        continue
                    if mark[:15] in text:
                        found.append(int(folder.name))
        return found


@dataclass(slots=True)
class Stand:
    """A sandbox under attack, and what it was like before."""

    sandbox: Sandbox
    isolation: str
    seconds: float = 0.0
    processes: int = 0

    def run(self, program: Program) -> Execution:
        return self.sandbox.submit(program).result(timeout=PATIENCE)

    def probe(self) -> float:
        """Seconds for an honest program, which must come out right."""
        started = time.perf_counter()
        execution = self.run(PROBE)
        seconds = time.perf_counter() - started
        assert (execution.status, execution.stdout.strip()) == ("passed", PROBED), execution
        return seconds

    def descendants(self) -> int:
        """How many processes there are at and below the sandbox's own."""
        parents: dict[int, int] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                except (OSError, IndexError):
                    continue
        found, grown = set(self.sandbox.pids()), True
        while grown:
            more = {child for child, parent in parents.items() if parent in found} - found
            found |= more
            grown = bool(more)
        return len(found)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with ExitStack() as stack:
        token, marker = f"secret-{secrets.token_hex(16)}", f"hs{secrets.token_hex(8)}"
        folders: list[Path] = []
        for place in dict.fromkeys((Path(tempfile.gettempdir()), Path.home(), Path("/var/tmp"), Path("/dev/shm"))):
            if os.access(place, os.W_OK):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-", dir=place)))
                folder.chmod(0o777)
                folders.append(folder)
        paths = tuple(folder / "secret" for folder in folders)
        for path in paths:
            path.write_text(token)
            path.chmod(0o666)
        tcp = stack.enter_context(socket.create_server(("", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("", 0))
        abstract, unix = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        abstract.bind(f"\0{marker}")
        socket_folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-")))
        socket_folder.chmod(0o777)
        unix.bind(str(socket_folder / "socket"))
        (socket_folder / "socket").chmod(0o777)
        for each in (abstract, unix):
            each.listen()
        with socket.create_server(("", 0)) as free:
            free_port = free.getsockname()[1]
        victim = stack.enter_context(subprocess.Popen(["sleep", "900"]))
        stack.callback(victim.kill)
        told = {
            "secrets": [str(path) for path in paths],
            "folders": [str(folder) for folder in folders] + [str(Path.home() / "hostile")],
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "address": address(),
            "abstract": marker,
            "unix": str(socket_folder / "socket"),
            "free": free_port,
            "victim": victim.pid,
            "host": os.getpid(),
            "marker": marker,
            "repository": [__file__, sys.prefix + "/pyvenv.cfg"],
            "calls": calls(),
        }
        yield Host(token, marker, json.dumps(told), paths, tuple(folders), (tcp, udp, abstract, unix), victim)


def calls() -> dict[str, int]:
    """The system calls of this machine, by name: programs make them by number."""
    found: dict[str, int] = {}
    for number in range(600):
        with contextlib.suppress(ValueError):
            found[pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, number).decode()] = number
    return found


def address() -> str:
    """An address of this machine that is not the loopback device's, if it has one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
            return asked.getsockname()[0]
        except OSError:
            return "127.0.0.2"


@pytest.fixture(scope="module", params=["bubblewrap", "namespaces"])
def stand(request: pytest.FixtureRequest, host: Host) -> Iterator[Stand]:
    if request.param == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    os.environ[SECRET_NAME] = host.token
    try:
        with Sandbox(isolation=request.param, workers=1, cache=None) as sandbox:
            stand = Stand(sandbox, request.param)
            try:
                stand.probe()
            except RefusedError as error:
                if "no sandbox can be had" not in error.message:  # a canary that got through is no reason to skip
                    raise
                pytest.skip(f"no {request.param} on this machine: {error}")
            stand.seconds = statistics.median(stand.probe() for _ in range(15))
            time.sleep(0.3)  # it makes ready for the next program
            stand.processes = stand.descendants()
            yield stand
    finally:
        os.environ.pop(SECRET_NAME, None)


def equipped(attack: Attack, host: Host) -> Program:
    """The program, told what is planted. One that is called is told nothing: its tests are all it is after."""
    program = attack.program
    return replace(program, files={"told.json": host.told, **program.files}) if program.setup else program


def settled(stand: Stand, host: Host) -> list[str]:
    """What is left of a program on this machine, after at most a second."""
    left: list[str] = []
    for _ in range(20):
        survivors, processes = host.survivors(), stand.descendants()
        left = [f"survivors: {survivors}"] if survivors else []
        if processes > stand.processes:
            left.append(f"{processes} processes where there were {stand.processes}")
        if not left:
            break
        time.sleep(0.05)
    return left


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_hostile_program(attack: Attack, stand: Stand, host: Host) -> None:
    if not EVERY and (ATTACKS.index(attack) + (stand.isolation == "namespaces")) % 2:
        pytest.skip("every second one here, the others behind the other wall; all of them with HOSTILE=all")
    execution = stand.run(equipped(attack, host))
    shown = replace(execution, stdout=execution.stdout[-3000:], stderr=execution.stderr[-1000:])
    assert execution.status in attack.ends, shown
    everything = json.dumps(execution.to_dict())
    assert host.token not in everything, shown
    got = [line for line in execution.stdout.splitlines() if line.startswith("GOT")]
    assert not got, got[:20]
    if attack.finishes:
        assert "TRIED" in execution.stdout, shown
    if attack.check is not None:
        attack.check(execution)
    assert execution.isolation == stand.isolation
    assert host.harm() == []
    assert settled(stand, host) == []
    seconds = stand.probe()
    if seconds > 2 * stand.seconds + SLACK:  # one may be the machine's fault, the median of several is not
        seconds = statistics.median(stand.probe() for _ in range(7))
    assert seconds <= 2 * stand.seconds + SLACK, f"{seconds:.3f} s where {stand.seconds:.3f} s is usual"


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program(name: str, stand: Stand, host: Host) -> None:
    execution = stand.run(HONEST[name])
    assert execution.status == "passed", execution
    if not HONEST[name].tests:
        assert "worked" in execution.stdout
    assert [test.status for test in execution.tests] == ["passed"] * len(HONEST[name].tests)
    assert settled(stand, host) == []


def test_there_are_enough_of_them_and_no_two_of_one_name() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names) >= 80
    assert all("broken" not in attack.ends for attack in ATTACKS)
    assert all(
        attack.ends <= {"passed"} or "passed" not in attack.ends or not attack.program.tests for attack in ATTACKS
    )
