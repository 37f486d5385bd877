"""Progress on stderr: live lines on a terminal, a plain line every few seconds in a log.

Looking at a run must never end it: if stderr is closed or broken, progress goes quiet and the run goes on. Nothing
here is recorded, because clock times must not reach a run's files.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_LIVE_EVERY = 0.1
_PLAIN_EVERY = 5.0
_BAR = 20


class Progress:
    """Writes what a run is doing to `stream` (default: stderr at the time of writing); `quiet` writes nothing."""

    def __init__(
        self, stream: TextIO | None = None, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self.clock = clock
        """Seconds from any beginning."""
        self._live_lines = 0

    @contextmanager
    def stage(self, name: str, *, total: int | None = None, unit: str = "rows") -> Iterator[Stage]:
        """A part of the run with `total` units of work (None: unknown). Ends with one line of totals and seconds."""
        stage = Stage(self, name, total=total, unit=unit, clock=self.clock)
        completed = False
        try:
            yield stage
            completed = True
        finally:
            self._line(stage.summary(completed=completed))

    def note(self, text: str) -> None:
        """One line of its own."""
        self._line(text)

    def show(self, text: str) -> None:
        """The current state: replaces the live lines of a terminal (as many as fit), or adds lines to a log."""
        if not self.is_terminal():
            self._line(text)
            return
        size = shutil.get_terminal_size()
        lines = [line[: size.columns - 1] for line in text.split("\n")][: max(1, size.lines - 1)]
        self._write(self._back() + "\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
        self._live_lines = len(lines)

    def is_terminal(self) -> bool:
        stream = self._target()
        try:
            return stream is not None and stream.isatty()
        except (OSError, ValueError):
            return False

    def _line(self, text: str) -> None:
        clear = f"{self._back()}\x1b[J" if self._live_lines else ""
        self._live_lines = 0
        self._write(f"{clear}{text}\n")

    def _back(self) -> str:
        """To the start of the first live line."""
        above = self._live_lines - 1
        return f"\x1b[{above}A\r" if above > 0 else "\r"

    def _write(self, text: str) -> None:
        stream = self._target()
        if self._quiet or stream is None:
            return
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):  # closed, a broken pipe, or an encoding that lacks a letter
            self._quiet = True

    def _target(self) -> TextIO | None:
        # Looked up late: a test or a caller may have replaced stderr, and a daemon has none.
        return self._stream if self._stream is not None else sys.stderr


class Stage:
    """One part of a run. `advance` counts work; `show` states what is not a count."""

    def __init__(
        self, progress: Progress, name: str, *, total: int | None, unit: str, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.done = 0
        self.counts: dict[str, int] = {}
        self.facts: dict[str, str] = {}
        self._progress = progress
        self._clock = clock
        self._began = clock()
        self._every = _LIVE_EVERY if progress.is_terminal() else _PLAIN_EVERY
        # A stage that is over at once has nothing to tell before its summary; a live line appears at once.
        self._shown = self._began - (_LIVE_EVERY if progress.is_terminal() else 0)

    def advance(self, n: int = 1, **counts: int) -> None:
        """`n` more units are done (0: only the counts changed). `counts` add up: `accepted=3` is three more."""
        self.done += n
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self._refresh()

    def show(self, **facts: float | str) -> None:
        """Facts of this moment, such as `loss=0.52`; each replaces the one before."""
        for name, fact in facts.items():
            self.facts[name] = f"{fact:.4g}" if isinstance(fact, float) else str(fact)
        self._refresh()

    def line(self) -> str:
        """Stage, bar, share, rate, time left, counts and facts."""
        seconds = self._clock() - self._began
        rate = self.done / seconds if seconds > 0 else 0.0
        parts = [self.name]
        if self.total:
            share = min(1.0, self.done / self.total)
            filled = int(share * _BAR)
            bar = "#" * filled + "." * (_BAR - filled)
            parts += [f"[{bar}] {share:4.0%}", f"{self.done}/{self.total} {self.unit}"]
        else:
            parts.append(f"{self.done} {self.unit}")
        if rate > 0:
            parts.append(f"{short(rate)} {self.unit}/s")
            if self.total:
                parts.append(f"ETA {duration(max(0, self.total - self.done) / rate)}")
        return "  ".join(parts + self._told(seconds))

    def summary(self, *, completed: bool) -> str:
        """The last line: totals and seconds."""
        seconds = self._clock() - self._began
        of = f"/{self.total}" if self.total and not completed else ""
        ended = "done" if completed else "stopped"
        head = f"{self.name}  {ended}: {self.done}{of} {self.unit} in {duration(seconds)}"
        return "  ".join([head, *self._told(seconds)])

    def _told(self, seconds: float) -> list[str]:
        told = [f"{name} {count:,}" for name, count in self.counts.items()]
        tokens = self.counts.get("tokens", 0)
        if tokens and seconds > 0:
            told.append(f"{short(tokens / seconds)} tokens/s")
        return told + [f"{name} {fact}" for name, fact in self.facts.items()]

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._shown >= self._every:
            self._shown = now
            self._progress.show(self.line())


def short(value: float) -> str:
    """A number in three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """`12.3 s`, `4 min 05 s`, `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
