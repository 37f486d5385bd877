from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from homeschool.core.errors import StoppedError, UnansweredError
from homeschool.models.flow import LATE, Deadline, Errand, Fault, Flight, Flow, Pace, Window

BUSY = Fault("rate limit", refused=True)
BROKEN = Fault("server error 500")
REFUSED = Fault("connection refused", unreachable=True)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def flow_with(clock: Clock, *, limit: int = 4, **pace: float) -> Flow:
    return Flow("http://server/v1", limit=limit, pace=Pace(**pace), clock=clock, rng=random.Random(0))  # pyright: ignore[reportArgumentType]


def played(body: Callable[[Flow, Clock], Awaitable[None]], *, limit: int = 4, **pace: float) -> None:
    """Run `body` on a flow whose clock it moves."""
    clock = Clock()

    async def run() -> None:
        await asyncio.wait_for(body(flow_with(clock, limit=limit, **pace), clock), timeout=5)

    asyncio.run(run())


async def failing(flow: Flow, errands: list[Errand], fault: Fault) -> list[Flight]:
    flights = [await flow.depart(errand) for errand in errands]
    for flight in flights:
        flow.land(flight, fault)
    return flights


def steered(window: Window, refused: float, *, outcomes: int = 4000) -> float:
    """The window's size after many outcomes of which a share was refused at random."""
    rng = random.Random(1)
    for _ in range(outcomes):
        window.refused() if rng.random() < refused else window.answered()
    return window.size


def test_the_window_doubles_at_first() -> None:
    window = Window(256)
    for _ in range(32):
        window.answered()
    assert window.size == 64


def test_one_random_refusal_in_ten_does_not_narrow_the_window() -> None:
    assert steered(Window(256), 0.1) > 250


def test_a_server_that_is_full_narrows_the_window_to_its_size() -> None:
    window, sizes = Window(256), []
    for step in range(3000):
        full = int(window.size)
        for place in range(full):  # a round trip of a server with room for 20
            window.answered() if place < 20 else window.refused()
        if step > 100:
            sizes.append(window.size)
    assert min(sizes) > 15 and max(sizes) < 30


def test_the_window_stays_within_one_and_its_limit() -> None:
    assert steered(Window(256), 1.0) == 1
    assert steered(Window(5), 0.0) == 5


def test_a_deadline_follows_the_answers() -> None:
    deadline = Deadline(Pace(floor=5, start=120, cap=1800))
    assert (deadline.limit(0), deadline.limit(1), deadline.limit(9)) == (120, 240, 1800)
    for _ in range(20):
        deadline.observe(0.1)
    assert (deadline.limit(0), deadline.limit(2)) == (5, 20)
    for _ in range(20):
        deadline.observe(50)
    assert deadline.limit(0) == 400


def test_a_slow_first_answer_lengthens_the_deadline_at_once() -> None:
    deadline = Deadline(Pace(start=120))
    deadline.observe(100)
    assert deadline.limit(0) == 800


def test_hangs_do_not_lengthen_the_deadline() -> None:
    deadline = Deadline(Pace())
    for number in range(400):
        deadline.observe(5.0 if number % 40 == 0 else 0.1)
    assert deadline.limit(0) == 5


def test_no_more_are_in_flight_than_the_window_lets() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        flights = [await flow.depart(flow.errand()) for _ in range(4)]
        fifth = asyncio.create_task(flow.depart(flow.errand()))
        await asyncio.sleep(0)
        assert not fifth.done()
        flow.land(flights[0])
        await fifth

    played(body)


def test_a_turn_that_is_given_up_is_passed_on() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        flight = await flow.depart(flow.errand())
        first, second, third = (asyncio.create_task(flow.depart(flow.errand())) for _ in range(3))
        await asyncio.sleep(0)
        first.cancel()  # before its turn
        await asyncio.sleep(0)
        flow.land(flight)
        second.cancel()  # after its turn has come, before it knows
        await third
        assert second.cancelled() and first.cancelled()

    played(body, limit=1)


def test_the_clock_ends_a_flight_that_is_late_and_shortens_those_under_way() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        landed: list[bool] = []

        async def hang() -> None:
            flight = await flow.depart(flow.errand())
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                landed.append(flow.expired(flight))
                flow.land(flight, LATE)

        hanging = asyncio.create_task(hang())
        await asyncio.sleep(0)
        clock.now += 6
        flow.tick()
        await asyncio.sleep(0)
        assert not hanging.done()  # nothing is known yet: 120 s
        for _ in range(20):
            flow.deadline.observe(0.1)
        flow.tick()
        await hanging
        assert landed == [True] and hanging.cancelling() == 0

    played(body)


def test_a_cancellation_from_outside_is_not_taken_for_a_deadline() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        async def hang() -> None:
            flight = await flow.depart(flow.errand())
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                assert not flow.expired(flight)
                raise
            finally:
                flow.abandon(flight)

        hanging = asyncio.create_task(hang())
        await asyncio.sleep(0)
        clock.now += 1000
        hanging.cancel()
        flow.tick()
        with pytest.raises(asyncio.CancelledError):
            await hanging

    played(body)


def test_pauses_grow_with_jitter_and_obey_retry_after() -> None:
    flow = flow_with(Clock(), first_pause=1, longest_pause=30, longest_retry_after=100)
    errand = flow.errand()
    pauses = [flow.pause(errand, BROKEN) for _ in range(8)]
    for pause, longest in zip(pauses, (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert longest / 2 <= pause <= longest
    assert 7 <= flow.pause(flow.errand(), Fault("rate limit", retry_after=7)) <= 7.7
    assert flow.pause(flow.errand(), Fault("rate limit", retry_after=9e9)) <= 110
    light = flow.errand()
    assert max(flow.pause(light, Fault("empty reply", light=True)) for _ in range(8)) <= 1


def test_a_request_is_given_up_after_its_attempts_with_the_kind_it_met_most() -> None:
    flow = flow_with(Clock(), attempts=8)
    errand = flow.errand()
    flow.pause(errand, BUSY)
    with pytest.raises(UnansweredError, match=r"8 attempts \(server error 500 7x, rate limit 1x\)") as caught:
        for _ in range(7):
            flow.pause(errand, BROKEN)
    assert caught.value.kind == "server error 500"


def test_in_an_outage_one_at_a_time_tries_and_nothing_counts() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        errands = [flow.errand() for _ in range(8)]
        await failing(flow, errands[:4], REFUSED)
        assert flow.pause(errands[0], REFUSED) > 0 and errands[0].attempts == 1
        clock.now += 1
        await failing(flow, errands[4:], REFUSED)
        assert flow.state() == "http://server/v1 has not answered for 1 s (connection refused): paused, trying again"
        assert flow.pause(errands[0], REFUSED) == 0 and errands[0].attempts == 0
        waiting = [asyncio.create_task(flow.depart(errand)) for errand in errands]
        await asyncio.sleep(0)
        gaps = []
        for _ in range(7):
            started = clock.now
            while not any(task.done() for task in waiting):
                clock.now += 0.25
                flow.tick()
                flow.tick()
                await asyncio.sleep(0)
            gaps.append(clock.now - started)
            (trial,) = [task for task in waiting if task.done()]
            waiting.remove(trial)
            flow.land(trial.result(), BROKEN)
            waiting.append(asyncio.create_task(flow.depart(trial.result().errand)))
            await asyncio.sleep(0)
        assert gaps == [1, 2, 4, 8, 16, 30, 30]
        clock.now += 30
        flow.tick()
        await asyncio.sleep(0)
        (trial,) = [task for task in waiting if task.done()]
        flow.land(trial.result())
        assert flow.state() == ""
        waiting.remove(trial)
        for task in waiting:
            flow.land(await task)

    played(body, first_pause=0.5, patience=600, first_patience=600)


def test_many_refusals_at_once_are_no_outage() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        for _ in range(10):
            await failing(flow, [flow.errand()], BUSY)
        assert flow.state() == ""
        clock.now += 2
        await failing(flow, [flow.errand()], BUSY)
        assert "rate limit" in flow.state()

    played(body)


def test_one_request_that_always_fails_is_no_outage() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        errand = flow.errand()
        for _ in range(11):
            await failing(flow, [errand], BROKEN)
            flow.pause(errand, BROKEN)
            clock.now += 30
        assert flow.state() == ""
        with pytest.raises(UnansweredError):
            flow.pause(errand, BROKEN)

    played(body)


def test_after_its_patience_everyone_is_told_to_stop() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        flow.land(await flow.depart(flow.errand()))
        await failing(flow, [flow.errand() for _ in range(4)], REFUSED)
        await failing(flow, [flow.errand() for _ in range(4)], REFUSED)
        trial, waiting = (asyncio.create_task(flow.depart(flow.errand())) for _ in range(2))
        await asyncio.sleep(0)
        clock.now += 601
        flow.tick()
        flow.land(await trial, REFUSED)
        said = r"http://server/v1 has not answered for 601 s \(connection refused\).*same command goes on"
        with pytest.raises(StoppedError, match=said):
            await waiting
        with pytest.raises(StoppedError, match=said):
            await flow.depart(flow.errand())

    played(body)


def test_a_server_that_was_never_heard_of_is_given_up_soon() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        errand = flow.errand()
        await failing(flow, [errand], REFUSED)
        clock.now += 31
        await failing(flow, [errand], REFUSED)
        with pytest.raises(StoppedError, match="31 s"):
            await flow.depart(errand)

    played(body)


def test_lateness_alone_stops_a_run_only_after_the_longest_deadline() -> None:
    async def body(flow: Flow, clock: Clock) -> None:
        errands = [flow.errand() for _ in range(8)]
        for errand in errands:
            flight = await flow.depart(errand)
            clock.now += 121
            flow.land(flight, LATE)
        assert "timeout" in flow.state()
        limits = []
        with pytest.raises(StoppedError):
            while True:
                depart = asyncio.create_task(flow.depart(flow.errand()))  # each time another request
                await asyncio.sleep(0)
                clock.now += 31
                flow.tick()
                flight = await depart
                limits.append(flow.deadline.limit(flight.late))
                clock.now += limits[-1]
                flow.land(flight, LATE)
        assert limits[-1] == 1800 and limits[-2] < 1800 and clock.now > 600

    played(body)
