"""A judge and a candidate in two plain processes, without any sandbox: what the tests of the exchange run on."""

from __future__ import annotations

import builtins
import os
import signal
import struct
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).parent.parent / "src" / "homeschool" / "sandbox" / "inside"
SOURCES = Path(__file__).parent / "sandbox" / "exchange"
if str(INSIDE) not in sys.path:
    sys.path.append(str(INSIDE))  # at the end: they are top-level modules only inside the sandbox

import asserts  # noqa: E402
import exchange  # noqa: E402
import values  # noqa: E402

Serve = Callable[[int, int], None]


def _program(source: str) -> Serve:
    def serve(read_fd: int, write_fd: int) -> None:
        module = types.ModuleType("solution")
        sys.modules["solution"] = module
        exec(compile(source, "program.py", "exec", dont_inherit=True), vars(module))
        exchange.serve(exchange.Peer(read_fd, write_fd, trusted=False, largest=1 << 28), vars(module))

    return serve


@contextmanager
def judge_of(program: str | Serve, *, seconds: float = 10.0, largest: int = 1 << 20) -> Iterator[exchange.Peer]:
    """The judge's peer of a process that serves `program`: its source, or what it does with the descriptors."""
    (judge_read, candidate_write), (candidate_read, judge_write) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ends = [os.dup2(fd, 200 + fd) for fd in (candidate_read, candidate_write)]
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2, *ends):
                os.dup2(nothing if fd < 3 else fd, fd if fd < 3 else 3 + ends.index(fd))
            os.closerange(5, 1024)
            (program if callable(program) else _program(program))(3, 4)
        finally:
            os._exit(0)
    os.close(candidate_read)
    os.close(candidate_write)
    peer = exchange.Peer(judge_read, judge_write, trusted=True, largest=largest)
    peer.deadline = time.monotonic() + seconds
    try:
        yield peer
    finally:
        os.close(judge_read)
        os.close(judge_write)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def verdict(peer: exchange.Peer, test: str) -> BaseException | None:
    """Run one test as the judge does; None only if it has passed."""
    names = exchange.Names(peer, vars(builtins))
    code = compile(test, "test.py", "exec", dont_inherit=True)
    try:
        names.expect(asserts.Test.read(test).subject)
        exec(code, names)
    except BaseException as error:  # a test may raise anything
        return error
    if peer.failure is not None:
        return peer.failure
    return None if names.used else LookupError("the test never looked at the program")


def tried(
    program: str | Serve, *tests: str, seconds: float = 10.0, largest: int = 1 << 20
) -> list[BaseException | None]:
    with judge_of(program, seconds=seconds, largest=largest) as peer:
        return [verdict(peer, test) for test in tests]


def frame(message: Any) -> bytes:
    data = message if isinstance(message, bytes) else values.encode(message)
    return struct.pack(">I", len(data)) + data


def answering(*replies: Any) -> Serve:
    """A candidate that answers whatever it is asked with these frames, the number of the question for "N"."""

    def serve(read_fd: int, write_fd: int) -> None:
        for reply in replies:
            size = int.from_bytes(os.read(read_fd, 4), "big")
            asked = values.decode(os.read(read_fd, size))
            os.write(write_fd, reply if isinstance(reply, bytes) else frame(_numbered(reply, asked[1])))
        os.read(read_fd, 1)

    return serve


def _numbered(node: Any, number: int) -> Any:
    if isinstance(node, list):
        return [_numbered(each, number) for each in node]
    return number if node == "N" else node


def source(name: str) -> str:
    """A program that tests of the exchange use."""
    return (SOURCES / name).read_text(encoding="utf-8")


def blocks(name: str) -> dict[str, str]:
    """The sources in a file, each begun by a line `### title`."""
    found = (part.partition("\n") for part in source(name).split("### ")[1:])
    return {title: text for title, _, text in found}
