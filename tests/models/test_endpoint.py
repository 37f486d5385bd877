from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from openai_server import StandIn, serving
from yarl import URL

from homeschool.core.errors import HomeschoolError, StoppedError, UnanswerableError, UnansweredError, UsageError
from homeschool.core.protocols import Model, Waiting
from homeschool.core.records import Completion, Message, Request, Sampling
from homeschool.models.endpoint import Endpoint, _proxy, _seconds
from homeschool.models.flow import Pace

QUICK = Pace(first_pause=0.005, longest_pause=0.05, floor=0.15, start=0.3, cap=20, patience=0.5, first_patience=0.3)
EVERYTHING = ["n", "seed", "top_k", "logprobs", "schema", "tools"]
KNOWN = {
    "model": "stand-in", "chat": EVERYTHING, "raw": [*EVERYTHING, "echo"], "limit_name": "max_tokens", "context": 0,
    "models": ["stand-in"],
}  # fmt: skip
SECRET = "sk-planted-0123456789"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOMESCHOOL_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def hello(number: int = 0, **options: Any) -> Request:
    return Request((Message("user", f"hello {number}"),), Sampling(max_tokens=20), seed=number, **options)


@contextlib.asynccontextmanager
async def pair(pace: Pace = QUICK, **options: Any) -> AsyncIterator[tuple[Endpoint, StandIn]]:
    """An endpoint that knows its server already, and the server."""
    async with serving(**options) as server, Endpoint.open(f"{server.url}#stand-in", known=KNOWN, pace=pace) as model:
        yield model, server


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(body(), timeout=10)

    asyncio.run(bounded())


def faultless(*requests: Request) -> list[list[Completion]]:
    async def ask() -> list[list[Completion]]:
        async with pair() as (model, _):
            return [await model.generate(request) for request in requests]

    return asyncio.run(ask())


def test_it_is_a_model_that_answers_chat_and_text() -> None:
    async def body() -> None:
        async with pair() as (model, server):
            assert isinstance(model, Model)
            chat = await model.generate(hello(n=2))
            text = await model.generate(Request("Once upon", Sampling(max_tokens=3), logprobs=True))
            assert len(chat) == 2 and chat[0].text != chat[1].text
            assert text[0].finish_reason == "length" and text[0].tokens == 3
            assert text[0].logprobs is not None and len(text[0].logprobs) == 3
            assert server.stats()["requests"] == 2
            assert {"chat", "raw", "n", "schema"} <= model.card.capabilities

    run(body)


def test_samples_that_are_asked_one_by_one_come_in_order() -> None:
    async def body() -> None:
        alone = {**KNOWN, "chat": ["seed"]}
        async with serving() as server, Endpoint.open(f"{server.url}#stand-in", known=alone, pace=QUICK) as model:
            answers = await model.generate(hello(n=4))
            assert len({answer.text for answer in answers}) == 4
            assert (await model.generate(hello(n=2, first=1))) == answers[1:3]
            greedy = Request("Once", Sampling(temperature=0, max_tokens=3), n=3)
            assert len(set(map(str, await model.generate(greedy)))) == 1

    run(body)


def test_scores_are_those_of_the_continuations() -> None:
    async def body() -> None:
        async with pair() as (model, _):
            both = await model.score("a b c", [" d e", " f"])
            assert list(map(len, both)) == [2, 1] and await model.score("x y", [" f"]) == both[1:]

    run(body)


@pytest.mark.parametrize("fault", ["429", "429_after", "500", "cut", "malformed", "empty", "hang"])
def test_every_fault_is_survived_and_changes_nothing(fault: str) -> None:
    async def body() -> None:
        async with pair(script=[fault] * 7, retry_after="0.01") as (model, server):
            assert await model.generate(hello()) == faultless_answer
            assert server.stats()["faults"] == {fault: 7} and server.stats()["answered"] == 1

    # Seven hangs in a row double the deadline seven times: one must be quick, to show that they end at all.
    if fault == "hang":
        asyncio.run(hangs_end())
        return
    (faultless_answer,) = faultless(hello())
    run(body)


async def hangs_end() -> None:
    async with pair(script=["hang"] * 2) as (model, server):
        started = time.monotonic()
        await model.generate(hello())
        assert 0.3 + 0.6 < time.monotonic() - started < 3 and server.stats()["faults"] == {"hang": 2}


def test_all_faults_together_change_nothing_and_pay_nothing_twice() -> None:
    rates = {"429": 0.08, "429_after": 0.02, "500": 0.05, "hang": 0.02, "cut": 0.02, "malformed": 0.03, "empty": 0.01}
    requests = [hello(number) for number in range(400)]
    expected = faultless(*requests)

    async def body() -> None:
        async with pair(faults=rates, retry_after="0.02", latency=0.001) as (model, server):
            assert await asyncio.gather(*map(model.generate, requests)) == expected
            stats = server.stats()
            assert stats["answered"] == stats["bodies"] == 400 and len(stats["faults"]) == len(rates)
            assert stats["in_flight"] == 0

    run(body)


def test_retry_after_is_obeyed_and_others_go_on() -> None:
    async def body() -> None:
        async with pair(script=["429_after"], retry_after="0.4") as (model, _):
            started = time.monotonic()
            first = asyncio.create_task(model.generate(hello(1)))
            await asyncio.sleep(0.05)
            await model.generate(hello(2))
            assert time.monotonic() - started < 0.3
            await first
            assert time.monotonic() - started >= 0.4

    run(body)


def test_retry_after_may_be_a_number_or_a_date() -> None:
    assert _seconds("2") == 2 and _seconds("0.5") == 0.5
    assert 28 < _seconds(email.utils.formatdate(time.time() + 30, usegmt=True)) <= 30
    past = email.utils.formatdate(0, usegmt=True)
    assert [_seconds(word) for word in ("", "soon", "-1", "nan", "inf", past)] == [0] * 6


def test_a_hang_is_shortened_by_the_answers_of_others() -> None:
    async def body() -> None:
        patient = Pace(first_pause=0.01, floor=0.2, start=60)
        async with pair(patient, script=["hang"]) as (model, _):
            started = time.monotonic()
            hanging = asyncio.create_task(model.generate(hello()))
            await asyncio.sleep(0.05)
            for number in range(20):
                await model.generate(hello(number + 1))
            await hanging
            assert time.monotonic() - started < 3

    run(body)


def test_an_answer_slower_than_the_deadline_gets_through_in_the_end() -> None:
    async def body() -> None:
        hasty = Pace(first_pause=0.01, floor=0.05, start=0.05)
        async with pair(hasty, latency=0.25) as (model, server):
            await model.generate(hello())
            assert 3 <= server.stats()["requests"] <= 5 and server.stats()["answered"] == 1  # 50, 100, 200, ... ms

    run(body)


def test_an_honest_empty_answer_is_accepted_after_all_attempts() -> None:
    async def body() -> None:
        async with pair(transcript=[{"match": "hello", "reply": ""}]) as (model, server):
            assert await model.generate(hello()) == [Completion("", "stop", prompt_tokens=2)]
            assert server.stats()["requests"] == QUICK.attempts

    run(body)


def test_no_answer_in_all_attempts_leaves_the_request_unanswered() -> None:
    async def body() -> None:
        async with pair(faults={"500": 1.0}) as (model, _):
            with pytest.raises(UnansweredError, match="server error 500 12x") as caught:
                await model.generate(hello())
            assert caught.value.kind == "server error 500"

    run(body)


def test_what_the_server_can_never_answer_costs_the_request_only() -> None:
    async def body() -> None:
        async with pair(context=3) as (model, server):
            with pytest.raises(UnanswerableError, match="maximum context length is 3 tokens"):
                await model.generate(Request((Message("user", "far too long a text"),)))
            assert server.stats()["requests"] == 1
            assert await model.generate(hello())

    run(body)


def test_a_wrong_model_names_the_right_ones() -> None:
    async def body() -> None:
        async with serving(models=["alpha", "beta"]) as server:
            for name, said in (("#gamma", "alpha, beta"), ("", "alpha, beta")):
                with pytest.raises(HomeschoolError, match=said) as caught:
                    async with Endpoint.open(server.url + name, pace=QUICK):
                        pass
                assert isinstance(caught.value, UsageError) == (name == "")
            stale = {**KNOWN, "model": "gone", "models": ["alpha"]}
            async with Endpoint.open(f"{server.url}#gone", known=stale, pace=QUICK) as model:
                with pytest.raises(HomeschoolError, match=r"does not exist.*alpha") as caught:
                    await model.generate(hello())
                assert not isinstance(caught.value, UnanswerableError)

    run(body)


def test_the_breaker_pauses_and_goes_on_when_the_server_is_back() -> None:
    async def body() -> None:
        patient = Pace(first_pause=0.02, longest_pause=0.1, start=5)
        async with serving() as server:
            port = int(server.url.split(":")[2].split("/")[0])
            model = Endpoint.open(f"{server.url}#stand-in", known=KNOWN, pace=patient)
            await model.__aenter__()
            await model.generate(hello())
        asking = [asyncio.create_task(model.generate(hello(number))) for number in range(30)]
        while not model.state():
            await asyncio.sleep(0.02)
        assert isinstance(model, Waiting) and "s (connection refused): paused" in model.state()
        await asyncio.sleep(0.5)  # far more failures than any request has attempts, had they counted
        async with serving(port=port):
            answers = await asyncio.gather(*asking)
            assert len(answers) == 30 and model.state() == ""
            await model.__aexit__(None, None, None)

    run(body)


@pytest.mark.parametrize("known", [KNOWN, None])
def test_a_server_that_never_comes_ends_the_run_with_what_to_do(known: dict[str, Any] | None) -> None:
    async def body() -> None:
        with pytest.raises(StoppedError, match=r"127.0.0.1:9/v1 has not answered for \d+ s .*same command goes on"):
            async with Endpoint.open("http://127.0.0.1:9/v1#stand-in", known=known, pace=QUICK) as model:
                await asyncio.gather(*(model.generate(hello(number)) for number in range(20)))

    run(body)


def test_who_gives_up_is_not_held_and_holds_nobody() -> None:
    async def body() -> None:
        async with pair(script=["hang"], pace=Pace()) as (model, server):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await model.generate(hello())
            await asyncio.sleep(0.05)
            assert server.stats()["in_flight"] == 0
            assert await model.generate(hello())

    run(body)


def test_a_full_server_is_filled_and_loses_nothing() -> None:
    async def body() -> None:
        async with pair(capacity=12, latency=0.01, pace=Pace(first_pause=0.02, longest_pause=0.5)) as (model, server):
            await asyncio.gather(*(model.generate(hello(number)) for number in range(600)))
            stats = server.stats()
            assert stats["answered"] == stats["bodies"] == 600
            assert stats["faults"].get("429", 0) < 600 and model.flow.window.size < 40

    run(body)


def test_several_may_enter_and_the_last_closes() -> None:
    async def body() -> None:
        async with serving() as server:
            model = Endpoint.open(server.url, pace=QUICK)
            assert model.known is None
            async with model:
                async with model:
                    pass
                assert await model.generate(hello()) and model.model == "stand-in"
            assert model._session is None and model.known is not None
            probed = server.stats()["requests"]
            async with model:  # what is known is not asked again
                assert server.stats()["requests"] == probed
            again = Endpoint.open(server.url, known=model.known)
            other = Endpoint.open(server.url + "#x")
            assert again.card == model.card and again.card.fingerprint != other.card.fingerprint

    run(body)


def test_the_key_is_sent_and_shows_nowhere(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("HOMESCHOOL_API_KEY", SECRET)
    echoing = [
        {"match": "hello 1", "status": 400, "error": f"no, Bearer {SECRET}"},
        {"match": "hello 2", "status": 418, "error": SECRET},
        {"match": "hello 3", "reply": f"your key is {SECRET}"},
    ]

    async def body() -> None:
        said: list[str] = []
        async with pair(key=SECRET, transcript=echoing) as (model, server):
            for number in (1, 2):
                with pytest.raises(HomeschoolError) as caught:
                    await model.generate(hello(number))
                said.append(f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}")
            (answer,) = await model.generate(hello(3))
            assert answer.text == "your key is ***"
            said += [repr(model), str(model.card), str(await model.probe()), *map(repr, server.bodies)]
            monkeypatch.setenv("HOMESCHOOL_API_KEY", SECRET + "-wrong")
            with pytest.raises(HomeschoolError, match="was refused") as caught:
                async with Endpoint.open(server.url, pace=QUICK):
                    pass
            monkeypatch.delenv("HOMESCHOOL_API_KEY")
            with pytest.raises(HomeschoolError, match="set HOMESCHOOL_API_KEY"):
                async with Endpoint.open(server.url, pace=QUICK):
                    pass
        said += [repr(caught.value), str(caught.value), caplog.text]
        assert len(said) > 6 and not any(SECRET in words for words in said)

    caplog.set_level(logging.DEBUG)
    run(body)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://me:hunter2@host/v1#m", "holds a user or password"),
        ("ftp://host/v1#m", "no address"),
        ("http:///v1#m", "no address"),
        ("http://host/v1?key=1#m", "no address"),
        ("http://host:port/v1", "no address"),
    ],
)
def test_a_wrong_address_is_refused_without_its_password(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Endpoint.open(name)
    assert "hunter2" not in str(caught.value)


def test_a_proxy_of_the_environment_is_used_but_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def body() -> None:
        proxy = await asyncio.start_server(answer, "127.0.0.1", 0)
        monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(HomeschoolError, match="403") as caught:
            async with Endpoint.open("http://far.example/v1#m", pace=QUICK):
                pass
        assert asked[0].startswith(b"GET http://far.example/v1/models ") and "hunter2" not in str(caught.value)
        assert b"Proxy-Authorization: Basic bWU6aHVudGVyMg==" in asked[0]
        async with pair() as (model, _):
            assert await model.generate(hello())
        proxy.close()

    run(body)
    assert all(_proxy(URL(near)) is None for near in ("http://localhost:1/v1", "http://[::1]:8000/v1"))
