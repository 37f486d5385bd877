"""Frames over two file descriptors: four bytes of length and that many bytes, until a deadline.

Refuses a frame longer than `largest` before it is read (TooLargeError), and ends at the deadline whether the other
side says nothing, trickles, floods, or does not read what is sent (SlowError). Standard library only.
"""

from __future__ import annotations

import os
import select
import time

from packing import ExchangeError

CHUNK = 1 << 16


class SlowError(ExchangeError):
    """The deadline has passed."""


class GoneError(ExchangeError):
    """The other side has hung up."""


class TooLargeError(ExchangeError):
    """A message longer than is allowed."""


class Channel:
    """Both ends. `deadline`: a time of `time.monotonic`, or None."""

    def __init__(self, read_fd: int, write_fd: int, *, largest: int, blocking: bool) -> None:
        """Not `blocking`: also writing ends at the deadline."""
        self.deadline: float | None = None
        self.largest = largest
        self._read_fd, self._write_fd = read_fd, write_fd
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(read_fd, select.POLLIN)
        self._writable.register(write_fd, select.POLLOUT)
        self._buffer = bytearray()
        os.set_blocking(write_fd, blocking)

    def send(self, data: bytes) -> None:
        if len(data) > self.largest:
            raise TooLargeError(f"a message of {len(data)} bytes, of which {self.largest} are allowed")
        frame = len(data).to_bytes(4, "big") + data
        written = self._write(frame)
        while written < len(frame):
            written += self._write(memoryview(frame)[written:])

    def _write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._write_fd, data)
        except BlockingIOError:
            self._wait(self._writable)
            return 0
        except OSError as error:
            raise GoneError(f"the other side has hung up ({error.strerror})") from None

    def receive(self) -> bytes:
        buffer = self._buffer
        if not buffer:
            # Nearly always one read is one frame.
            part = self._read(CHUNK)
            if int.from_bytes(part[:4], "big") == len(part) - 4 <= self.largest:
                return part[4:]
            buffer += part
        else:
            self.left()
        size = int.from_bytes(self._take(4), "big")
        if size > self.largest:
            raise TooLargeError(f"a message of {size} bytes, of which {self.largest} are allowed")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        buffer = self._buffer
        while len(buffer) < size:
            buffer += self._read(max(CHUNK, min(size - len(buffer), 1 << 20)))
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    def _read(self, most: int) -> bytes:
        while True:
            if self.deadline is not None:
                self._wait(self._readable)
            try:
                part = os.read(self._read_fd, most)
            except BlockingIOError:
                self._wait(self._readable)
                continue
            except OSError as error:
                raise GoneError(f"the other side has hung up ({error.strerror})") from None
            if not part:
                raise GoneError("the other side has hung up")
            return part

    def left(self) -> float | None:
        """Seconds until the deadline. SlowError if there are none."""
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise SlowError("no answer in time")
        return left

    def _wait(self, poll: select.poll) -> None:
        left = self.left()
        if not poll.poll(None if left is None else left * 1000 + 1):
            raise SlowError("no answer in time")
