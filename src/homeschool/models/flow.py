"""How much is asked of a server at once, how long an answer may take, and what happens when none comes.

Pure: the clock and the random numbers are given, and nothing here touches a network or sleeps. One `Flow` per model:

- *Window* (AIMD): how many requests are in flight. Every answer widens it, every refusal (429, 503, 529, time-out)
  narrows it by half a slot, so it stands still where one request in five is refused: random refusals below that do not
  narrow it, a server that is really full does, at once. Narrowing by a share of the *refused* instead of halving is
  DCTCP's idea (Alizadeh et al. 2010); counting per answer instead of per round trip is ours, because a refusal comes
  back so much faster than an answer that rounds would count little else.
- *Deadline*: eight times what nearly all answers needed, also for requests already in flight, and twice as much every
  time the same request was late, so a slow server or a long answer gets through in the end.
- *Outage*: when many requests fail and none succeeds, all wait, and one at a time tries again at growing intervals.
  What was tried in an outage is not counted against any request. After `patience` seconds the run is stopped.
- *Back-off*: jittered and exponential; a server's Retry-After is obeyed by the request that got it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from homeschool.core.errors import StoppedError, UnansweredError


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a Flow, in seconds."""

    attempts: int = 12
    """How often a request is sent before it stays unanswered. With a quarter failing at random: 1 in 10 million."""
    first_pause: float = 0.5
    """Before the second attempt; each later one waits twice as long, up to `longest_pause`, less up to a half."""
    longest_pause: float = 30.0
    longest_retry_after: float = 300.0
    floor: float = 5.0
    """The shortest deadline."""
    start: float = 120.0
    """The deadline while too few answers have come to say better."""
    cap: float = 1800.0
    """The longest deadline."""
    patience: float = 600.0
    """How long an outage may last before the run is stopped."""
    first_patience: float = 30.0
    """The same for a server that nothing was ever heard of: most likely a wrong address."""
    streak: int = 8
    """How many requests must fail, with no success between, to make an outage."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt brought no answer. `kind` is a short phrase that can be counted."""

    kind: str
    refused: bool = False
    """The server has too much to do."""
    unreachable: bool = False
    """Nothing answered at all: no connection."""
    light: bool = False
    """Says nothing about load (a malformed reply), or was waited for long enough: the next attempt may come soon."""
    retry_after: float = 0.0


LATE = Fault("timeout", refused=True, light=True)


@dataclass(slots=True, eq=False)
class Errand:
    """One request on all its attempts."""

    limit: int
    attempts: int = 0
    doublings: int = 0
    """How often its pause has doubled."""
    late: int = 0
    """How often it timed out; doubles its deadline each time."""
    outages: int = 0
    """The outages there had been when `attempts` was last counted."""
    faults: Counter[str] = field(default_factory=Counter[str])


@dataclass(slots=True, eq=False)
class Flight:
    """One attempt of an errand, under way in `task`."""

    errand: Errand
    task: asyncio.Task[Any]
    cancels: int
    """Cancellations that were asked of the task before, by others."""
    since: float
    late: int
    """How often its deadline is doubled."""
    trial: bool = False
    """Whether it is the one that tries the server in an outage."""
    expired: bool = False


class Window:
    """How many requests may be in flight."""

    FIRST = 32.0
    GAIN = 1 / 8
    LOSS = 1 / 2

    def __init__(self, limit: int) -> None:
        self.limit = float(limit)
        self.size = min(self.FIRST, self.limit)
        self._starting = True

    def answered(self) -> None:
        """Doubles within a round trip at the start, later grows by an eighth."""
        if self.size < self.limit:
            self.size = min(self.limit, self.size + (1.0 if self._starting else self.GAIN))

    def refused(self) -> None:
        self._starting = False
        self.size = max(1.0, self.size - self.LOSS)

    def restart(self) -> None:
        """After an outage: whatever was known about the server may be wrong."""
        self.size = min(self.size, self.FIRST)
        self._starting = True


class Deadline:
    """How long an answer may take, from how long answers took (times in seconds)."""

    FACTOR = 8.0
    QUANTILE = 0.95
    FEWEST = 16
    KEPT = 512

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._seen: deque[float] = deque(maxlen=self.KEPT)
        self._fresh = False
        self._base = pace.start

    def observe(self, seconds: float, *, late: bool = False) -> None:
        """An answer came after `seconds`, or none had (`late`): then deadlines as long as that may not get shorter."""
        self._seen.append(seconds / self.FACTOR if late else seconds)
        self._fresh = True

    def limit(self, late: int) -> float:
        """For a request that was late so many times."""
        return min(self._pace.cap, self.base() * 2 ** min(late, 30))

    def base(self) -> float:
        if self._fresh:
            self._fresh = False
            ordered = sorted(self._seen)
            usual = self.FACTOR * ordered[int(self.QUANTILE * (len(ordered) - 1))]
            self._base = max(usual, self._pace.floor if len(ordered) >= self.FEWEST else self._pace.start)
        return min(self._pace.cap, self._base)


class Flow:
    """The traffic to one server. `name` is how errors call it.

    A request makes an `errand`; each attempt departs (`await depart`), and lands (`land`) or is abandoned. Whoever owns
    the flow calls `tick` every `period` seconds: one call for all requests in flight, instead of a timer for each.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: int,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.pace = pace or Pace()
        self.window = Window(limit)
        self.deadline = Deadline(self.pace)
        self.outages = 0
        self._clock = clock
        self._rng = rng or random.Random()
        self._flights: set[Flight] = set()
        self._granted = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._heard = False
        self._streak: set[object] = set()
        self._since = self._next_trial = self._trial_pause = 0.0
        self._late_trials = 0
        self._why = ""
        self._down = self._trying = False
        self._stopped = ""

    @property
    def period(self) -> float:
        """Seconds from one `tick` to the next."""
        return max(0.01, min(1.0, self.deadline.base() / 16, self.pace.first_pause / 2))

    def state(self) -> str:
        """What is wrong, for a line of progress; empty if nothing is."""
        return f"{self._story()}: paused, trying again" if self._down and not self._stopped else ""

    def errand(self, attempts: int = 0) -> Errand:
        """A new request, sent at most `attempts` times (default: the pace's)."""
        return Errand(attempts or self.pace.attempts, outages=self.outages)

    async def depart(self, errand: Errand) -> Flight:
        """Wait until the request may be sent. Raises StoppedError if the server was given up."""
        if self._stopped:
            raise self._stop()
        trial = False
        if self._down or self._waiting or len(self._flights) + self._granted >= int(self.window.size):
            trial = await self._wait()
        task = asyncio.current_task()
        assert task is not None
        late = max(errand.late, self._late_trials) if trial else errand.late
        flight = Flight(errand, task, task.cancelling(), self._clock(), late, trial)
        self._flights.add(flight)
        return flight

    def expired(self, flight: Flight) -> bool:
        """Whether the CancelledError that `flight` got was its deadline (which this takes back) and nobody else's."""
        return flight.expired and flight.task.uncancel() <= flight.cancels

    def land(self, flight: Flight, fault: Fault | None = None) -> None:
        """The attempt ended: with an answer, or with `fault`."""
        now = self._clock()
        self._leave(flight)
        if fault is None:
            self.deadline.observe(now - flight.since)
            self.window.answered()
            self._succeed()
        else:
            if fault.refused:
                self.window.refused()
            if fault is LATE:
                self.deadline.observe(now - flight.since, late=True)
                flight.errand.late += 1
            self._fail(flight, fault, now)
        self._admit()

    def abandon(self, flight: Flight) -> None:
        """The attempt ended because nobody wants it any more. Harmless after `land`."""
        if flight in self._flights:
            self._leave(flight)
            self._admit()

    def pause(self, errand: Errand, fault: Fault) -> float:
        """Seconds to wait before the next attempt. Raises UnansweredError if there is none."""
        if errand.outages != self.outages:
            errand.outages, errand.attempts, errand.doublings = self.outages, 0, 0
        errand.faults[fault.kind] += 1
        if not self._down:
            errand.attempts += 1
        if errand.attempts >= errand.limit:
            kind = errand.faults.most_common(1)[0][0]
            said = ", ".join(f"{kind} {times}x" for kind, times in errand.faults.most_common())
            raise UnansweredError(
                f"{self.name} gave no answer in {errand.faults.total()} attempts ({said})",
                hint="the same command asks again",
                kind=kind,
            )
        if fault.retry_after > 0:
            return min(fault.retry_after, self.pace.longest_retry_after) * (1 + 0.1 * self._rng.random())
        if self._down:
            return 0.0  # it waits with all others for the trial to succeed
        doublings = 0 if fault.light else errand.doublings
        errand.doublings += not fault.light
        longest = min(self.pace.longest_pause, self.pace.first_pause * 2**doublings)
        return longest * self._rng.uniform(0.5, 1.0)

    def tick(self) -> None:
        """End what is past its deadline, and let one request try the server in an outage when it is time."""
        now = self._clock()
        shortest = self.deadline.base()
        for flight in self._flights:
            waited = now - flight.since
            if waited > shortest and not flight.expired and waited > self.deadline.limit(flight.late):
                flight.expired = True
                flight.task.cancel()
        if self._down and not self._trying and now >= self._next_trial:
            self._trying = self._grant(trial=True)

    async def _wait(self) -> bool:
        """Stand in line; True if this is the request that tries the server."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            trial = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._granted -= 1  # the turn had come: it is passed on
                if turn.result():
                    self._trying = False
                self._admit()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise
        self._granted -= 1
        return trial

    def _admit(self) -> None:
        while self._waiting and not self._down and len(self._flights) + self._granted < int(self.window.size):
            self._grant(trial=False)

    def _grant(self, *, trial: bool) -> bool:
        """Give the turn to the first in line who still wants it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._granted += 1
                turn.set_result(trial)
                return True
        return False

    def _leave(self, flight: Flight) -> None:
        self._flights.discard(flight)
        if flight.trial:
            self._trying = False

    def _succeed(self) -> None:
        self._heard = True
        if self._streak:
            self._streak.clear()
        if self._down:
            self._down = False
            self._late_trials = 0
            self.window.restart()

    def _fail(self, flight: Flight, fault: Fault, now: float) -> None:
        if not self._streak:
            self._since = now
        # Failing again and again may be one request's own fault; not being reached is always the server's.
        self._streak.add(object() if fault.unreachable else flight.errand)
        self._why = fault.kind
        lasted = now - self._since
        # A full server refuses many at once while it answers others: only time tells that from an outage.
        sure = fault.unreachable or lasted >= 4 * self.pace.first_pause
        if self._down and flight.trial:
            self._late_trials += fault is LATE
            self._try_after(2 * self._trial_pause, now)
        elif not self._down and sure and len(self._streak) >= self.pace.streak:
            self._down = True
            self.outages += 1
            self._try_after(2 * self.pace.first_pause, now)
        never = fault.unreachable and not self._heard
        patience = min(self.pace.first_patience, self.pace.patience) if never else self.pace.patience
        # A late answer is no proof of an outage until it has been given all the time there is.
        proven = fault is not LATE or self.deadline.limit(flight.late) >= self.pace.cap
        if lasted >= patience and proven and (self._down or never):
            self._give_up()

    def _try_after(self, pause: float, now: float) -> None:
        self._trial_pause = min(pause, self.pace.longest_pause)
        self._next_trial = now + self._trial_pause

    def _give_up(self) -> None:
        self._stopped = self._story()
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(self._stop())

    def _story(self) -> str:
        return f"{self.name} has not answered for {self._clock() - self._since:.0f} s ({self._why})"

    def _stop(self) -> StoppedError:
        return StoppedError(
            self._stopped,
            hint="nothing that was answered is lost: start the server or check the address, and the same command"
            " goes on from here",
        )
