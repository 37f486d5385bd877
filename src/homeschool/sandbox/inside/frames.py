"""Messages between processes: four bytes of length, then JSON. Standard library only: it runs inside too."""

from __future__ import annotations

import json
import os
from typing import Any


def read_exactly(fd: int, size: int) -> bytes:
    """`size` bytes; EOFError if the other side ends before that."""
    parts: list[bytes] = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int, *, largest: int = 1 << 30) -> Any:
    """The next message. EOFError at the end, ValueError for one that is too large or no JSON."""
    size = int.from_bytes(read_exactly(fd, 4), "big")
    if size > largest:
        raise ValueError(f"a message of {size} bytes")
    return json.loads(read_exactly(fd, size))


def unpack(data: bytes) -> Any:
    """The message that `pack` made these bytes of."""
    return json.loads(data[4:])


def pack(message: Any) -> bytes:
    data = json.dumps(message).encode("ascii")
    return len(data).to_bytes(4, "big") + data


def send(fd: int, message: Any) -> None:
    write_all(fd, pack(message))
