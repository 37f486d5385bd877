"""The live table of a generation run: how far it is, what it costs, what the models do, why rows are dropped.

On a terminal it is drawn in place; in a log it is one line every 5 seconds, and every 30 after the first 5 minutes.
Counting is cheap, so that it may be done for every answer. Rates and times left are those of the last half minute of
this process: what an earlier one finished is counted with `earlier=True` and makes nobody look fast.

Nothing of it is recorded (clock times must not reach a run's files), and it never ends a run: `Progress` does the
writing and goes quiet if nobody can read it. A reason may quote a model or a page, so what is not printable in it, such
as a terminal's own commands, is not printed.
"""

from __future__ import annotations

import math
import shutil
import unicodedata
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from homeschool.engine.progress import Progress, duration, short
from homeschool.engine.tally import Spent, Tally

Prices = Mapping[str, tuple[float, float]]
"""By role, US dollars for a million tokens in the prompt and for a million in the answer."""

REASONS = 5
"""How many reasons for drops are shown."""

_LIVE_EVERY = 0.2
_PLAIN_EVERY, _PATIENT_EVERY, _PATIENT_AFTER = 5.0, 30.0, 300.0
_WINDOW = 30.0
"""Seconds that a rate looks back."""
_BAR = 20
_LOG_WIDTH = 200


def cost(spent: Mapping[str, Spent], prices: Prices) -> float | None:
    """US dollars, or None unless every role that was asked has a price."""
    if not prices or any(role not in prices for role, each in spent.items() if each.calls):
        return None
    return sum(
        (each.prompt_tokens * prices[role][0] + each.completion_tokens * prices[role][1]) / 1e6
        for role, each in spent.items()
        if each.calls
    )


def money(dollars: float | None) -> str:
    """US dollars to the cent, and below one cent as many digits as it takes to say two."""
    if dollars is None:
        return "not measured"
    digits = 2 if dollars >= 0.01 or dollars <= 0 else 1 - math.floor(math.log10(dollars))
    return f"${dollars:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class _Moment:
    """What this process had done at a time."""

    time: float
    rows: int = 0
    kept: int = 0
    calls: int = 0
    tokens: int = 0


class Board:
    """Counts what a run does and shows it through `progress`. A context manager: it ends with a summary.

    `total` is the number of source rows, None if it is not known beforehand.
    """

    def __init__(
        self, progress: Progress, name: str, *, total: int | None = None, prices: Prices | None = None
    ) -> None:
        self.name = name
        self.total = total
        self.rows = 0
        """Source rows that are done with."""
        self.kept = 0
        self.unfinished = 0
        """Source rows that got no answer and stay for a later run."""
        self.dropped: dict[str, int] = {}
        self.spent: dict[str, Tally] = {}
        """By role. Whoever keeps a Tally of a role already puts it here, and need not call `heard`."""
        self._prices = prices or {}
        self._states: dict[str, str] = {}
        self._progress = progress
        self._clock = progress.clock
        self._live = progress.is_terminal()
        self._began = self._clock()
        self._shown = self._began - (_LIVE_EVERY if self._live else 0)
        self._every = _LIVE_EVERY if self._live else _PLAIN_EVERY
        self._earlier = (0, 0)
        self._moments: deque[_Moment] = deque([_Moment(self._began)])

    def __enter__(self) -> Board:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.note(self.summary(completed=error is None))

    def count(
        self,
        rows: int = 1,
        kept: int = 0,
        *,
        dropped: Mapping[str, int] | None = None,
        unfinished: int = 0,
        earlier: bool = False,
    ) -> None:
        """`rows` more source rows are done with, `kept` rows came of them; `dropped` counts the others by reason."""
        self.rows += rows
        self.kept += kept
        self.unfinished += unfinished
        if dropped:
            for reason, number in dropped.items():
                self.dropped[reason] = self.dropped.get(reason, 0) + number
        if earlier:
            self._earlier = (self._earlier[0] + rows, self._earlier[1] + kept)
        self._refresh()

    def heard(
        self, answers: int, tokens: int = 0, *, prompt_tokens: int = 0, cached: int = 0, role: str = "generator"
    ) -> None:
        """`answers` came from the model in `role`, of `tokens` tokens in all, and `cached` from the store."""
        spent = self.spent.get(role)
        if spent is None:
            spent = self.spent[role] = Tally()
        spent.calls += answers
        spent.cached += cached
        spent.prompt_tokens += prompt_tokens
        spent.completion_tokens += tokens
        self._refresh()

    def state(self, text: str, *, of: str = "") -> None:
        """What a model (`of`) is waiting for, as `paused: http://... has not answered for 12 s`; empty: nothing."""
        if self._states.get(of, "") == text:
            return
        if text:
            self._states[of] = text
        else:
            self._states.pop(of, None)
        self._refresh()

    def refresh(self) -> None:
        """Show the present state if it is time to: for a run in which nothing has been counted for a while."""
        self._refresh()

    def table(self, width: int) -> str:
        """The table as it stands on a terminal of `width` columns: several lines, each cut to fit."""
        now, speed = self._moment(), self._speed()
        lines = [self._head(speed), self._line_kept(speed), *self._lines_spent(now, speed)]
        lines += [f"waiting   {text}" for text in self._states.values()]
        if self.unfinished:
            lines.append(f"no answer {self.unfinished:,} rows stay unfinished: the same command asks for them again")
        return "\n".join(cut(line, width) for line in [*lines, *self._line_dropped()])

    def line(self) -> str:
        """The state in one line, for a log."""
        speed = self._speed()
        parts = [self._head(speed), f"accepted {self.kept:,}", f"calls {self._moment().calls:,}"]
        parts += [f"{short(speed.calls)} calls/s"] if speed.calls else []
        parts += [f"unfinished {self.unfinished:,}"] if self.unfinished else []
        parts += [*self._states.values(), *self._money(share=0.0)]
        lost = sum(self.dropped.values())
        if lost:
            reason, number = self._top()[0]
            parts.append(f"dropped {lost:,} ({number / lost:.0%} {reason})")
        return cut("  ".join(parts), _LOG_WIDTH)

    def summary(self, *, completed: bool = True) -> str:
        """The last lines: totals, seconds, cost and the reasons for drops."""
        now, seconds = self._moment(), self._clock() - self._began
        of = f"/{self.total:,}" if self.total and self.rows != self.total else ""
        ended = "done" if completed and not self.unfinished else "ended" if completed else "stopped"
        head = f"{self.name}  {ended}: {self.rows:,}{of} rows in {duration(seconds)}"
        parts = [head, f"accepted {self.kept:,}", f"calls {now.calls:,}", f"cached {self._cached():,}"]
        parts += [f"{self._prompt_tokens():,} tokens in, {now.tokens:,} out", *self._money(share=0.0)]
        parts += [f"unfinished {self.unfinished:,}"] if self.unfinished else []
        width = shutil.get_terminal_size().columns if self._live else _LOG_WIDTH
        return "\n".join([_printable("  ".join(parts)), *(cut(line, width) for line in self._line_dropped())])

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._shown < self._every:
            return
        self._shown = now
        if not self._live and now - self._began >= _PATIENT_AFTER:
            self._every = _PATIENT_EVERY
        moments = self._moments
        if now - moments[-1].time >= 1:
            moments.append(self._moment())
            while len(moments) > 2 and now - moments[1].time >= _WINDOW:
                moments.popleft()
        self._progress.show(self.table(shutil.get_terminal_size().columns - 1) if self._live else self.line())

    def _moment(self) -> _Moment:
        calls = sum(each.calls for each in self.spent.values())
        tokens = sum(each.completion_tokens for each in self.spent.values())
        rows, kept = self._earlier
        return _Moment(self._clock(), self.rows - rows, self.kept - kept, calls, tokens)

    def _speed(self) -> _Speed:
        """Each count's rate over the last half minute."""
        now, then = self._moment(), self._moments[0]
        seconds = now.time - then.time
        if seconds <= 0:
            return _Speed()
        gone = (now.rows - then.rows, now.kept - then.kept, now.calls - then.calls, now.tokens - then.tokens)
        return _Speed(*(each / seconds for each in gone))

    def _head(self, speed: _Speed) -> str:
        parts = [self.name]
        if self.total:
            share = min(1.0, self.rows / self.total)
            filled = int(share * _BAR)
            parts += [f"[{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%}", f"{self.rows:,}/{self.total:,} rows"]
        else:
            parts.append(f"{self.rows:,} rows")
        if speed.rows > 0:
            parts.append(f"{short(speed.rows)} rows/s")
            if self.total:
                parts.append(f"ETA {duration(max(0, self.total - self.rows) / speed.rows)}")
        return "  ".join(parts)

    def _line_kept(self, speed: _Speed) -> str:
        parts = [f"accepted  {self.kept:,}"]
        if self.rows:
            each = self.kept / self.rows
            parts.append(f"{each:.2f} per row")
            if self.total and self.rows < self.total:
                parts.append(f"about {self.total * each:,.0f} in the end")
        return "  ".join([*parts, f"{short(speed.kept)}/s"] if speed.kept else parts)

    def _lines_spent(self, now: _Moment, speed: _Speed) -> list[str]:
        calls = [f"calls     {now.calls:,}", f"{short(speed.calls)}/s", f"cached {self._cached():,}"]
        tokens = [f"tokens    {self._prompt_tokens():,} in", f"{now.tokens:,} out", f"{short(speed.tokens)}/s"]
        money = self._money(share=self.rows / self.total if self.total else 0.0)
        return ["  ".join(calls), "  ".join([*tokens, *money])]

    def _line_dropped(self) -> list[str]:
        """How many were dropped, and the reasons most often given, each with its share of the drops."""
        lost = sum(self.dropped.values())
        if not lost:
            return []
        top = self._top()
        wide = max(len(f"{number:,}") for _, number in top)
        lines = [f"dropped   {lost:,}", *(f"  {number:>{wide},} {number / lost:>4.0%}  {text}" for text, number in top)]
        others = len(self.dropped) - len(top)
        rest = lost - sum(number for _, number in top)
        return [*lines, f"  {rest:>{wide},} {rest / lost:>4.0%}  {others:,} other reasons"] if others else lines

    def _top(self) -> list[tuple[str, int]]:
        return sorted(self.dropped.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS]

    def _money(self, *, share: float) -> list[str]:
        """The cost so far, and at the end if a `share` of the rows is done; nothing without prices."""
        dollars = cost(self.spent, self._prices)
        if dollars is None or not self.spent:
            return []
        # Rows of an earlier process were paid for by it, so they say nothing about what is still to pay.
        foreseen = f" (about {money(dollars / share)} in the end)" if 0 < share < 1 and not self._earlier[0] else ""
        return [f"cost {money(dollars)}{foreseen}"]

    def _cached(self) -> int:
        return sum(each.cached for each in self.spent.values())

    def _prompt_tokens(self) -> int:
        return sum(each.prompt_tokens for each in self.spent.values())


@dataclass(frozen=True, slots=True)
class _Speed:
    """Rates per second."""

    rows: float = 0.0
    kept: float = 0.0
    calls: float = 0.0
    tokens: float = 0.0


def cut(text: str, width: int) -> str:
    """As much of `text` as fits in `width` terminal columns, on one line, with nothing that a terminal obeys."""
    shown = _printable(text)
    if shown.isascii():
        return shown[:width]
    room = width
    for index, letter in enumerate(shown):
        room -= 0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 0:
            return shown[:index]
    return shown


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
