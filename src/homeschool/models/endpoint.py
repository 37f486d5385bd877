"""A model behind any OpenAI-compatible server: `http://HOST[:PORT]/v1#MODEL`, asked over one lean HTTP client.

Whatever goes wrong on the way (429, 5xx, cut connections, malformed or empty replies, time-outs) is tried again under
the rules of `flow`; what the server says can never be answered is an UnanswerableError; a wrong key or model ends the
run. The key comes from HOMESCHOOL_API_KEY or OPENAI_API_KEY when connections are opened, goes into the Authorization
header and nowhere else, and is cut out of everything the server says (if it has at least 8 characters: a word like
`EMPTY`, which local servers are given, is no secret and stands in many texts).

Refused: an address with a password in it, redirects (they could carry the key elsewhere), replies above 64 MiB.
Proxies of the environment are used, but never for this machine itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from homeschool import __version__
from homeschool.core.errors import HomeschoolError, UnanswerableError, UnansweredError, UsageError
from homeschool.core.identity import digest
from homeschool.core.records import Completion, ModelCard, Request
from homeschool.models import probe, wire
from homeschool.models.flow import LATE, Errand, Fault, Flow, Pace
from homeschool.models.wire import Call, EmptyReply, MalformedReply, Refusal, Server

T = TypeVar("T")

KEYS = ("HOMESCHOOL_API_KEY", "OPENAI_API_KEY")
_LARGEST = 64 << 20  # bytes of a reply
_SHORTEST_SECRET = 8
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_RETRYABLE = {408: "timeout of the server", 409: "conflict", 425: "too early", 429: "rate limit"}
_FULL = (429, 503, 529)


class Endpoint:
    """A `Model` and an async context manager: the first to enter opens the connections, the last to leave closes them.

    `known` is what `probe` found out (plain JSON, holds no secret); an endpoint that is entered without it probes.
    `key` stands in for the environment's.
    """

    def __init__(
        self,
        base: str,
        model: str,
        *,
        limit: int = 256,
        known: Mapping[str, Any] | None = None,
        key: str | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.base = base
        self.flow = Flow(base, limit=limit, pace=pace)
        self._wanted = model
        self._limit = limit
        self._key = key
        self._pace = pace
        self._server: Server | None = None
        self._entered = 0
        self._ready: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None
        self._secret = ""
        self._urls = {path: URL(base + path) for path in (wire.CHAT, wire.RAW, probe.MODELS)}
        if known is not None and model in ("", known["model"]):
            self._server = Server.from_dict(known)

    @staticmethod
    def open(
        name: str,
        *,
        limit: int = 256,
        known: Mapping[str, Any] | None = None,
        key: str | None = None,
        pace: Pace | None = None,
    ) -> Endpoint:
        """The endpoint `http://HOST[:PORT]/v1#MODEL`, with at most `limit` requests in flight. Raises UsageError.

        Nothing is sent yet. Without `#MODEL` the server must have exactly one model.
        """
        address, _, model = name.partition("#")
        try:
            url = URL(address)
            if url.user or url.password:  # and the address is not repeated: it would show the password
                raise UsageError(
                    f"the address of a server at {url.host} holds a user or password",
                    hint=f"put the key into {KEYS[0]} and leave it out of the address",
                )
            usable = url.scheme in ("http", "https") and url.host and not url.query_string
        except ValueError:
            usable = False
        if not usable:
            raise UsageError(f"{address!r} is no address of a server", hint="write it as http://HOST:PORT/v1#MODEL")
        return Endpoint(address.rstrip("/"), model, limit=limit, known=known, key=key, pace=pace)

    def __repr__(self) -> str:
        return f"Endpoint({self.base}#{self.model})"

    @property
    def model(self) -> str:
        """The model's name; empty before probing if the address has none."""
        return self._server.model if self._server else self._wanted

    @property
    def known(self) -> dict[str, Any] | None:
        """What was found out about the server, as plain JSON; None if nothing yet."""
        return self._server.to_dict() if self._server else None

    @property
    def card(self) -> ModelCard:
        """Complete once the server is `known`; before, it has no capabilities."""
        capabilities: set[str] = set()
        if self._server:
            chat, raw = self._server.chat, self._server.raw
            capabilities = {*(chat if chat is not None else raw or ())}
            capabilities |= {name for name, features in (("chat", chat), ("raw", raw)) if features is not None}
            capabilities |= {"schema:raw"} if raw is not None and "schema" in raw else set()
            capabilities -= {"schema"} if chat is None else set()
        return ModelCard(
            name=f"{self.base}#{self.model}",
            fingerprint=digest("endpoint", self.base, self.model),
            capabilities=frozenset(capabilities),
            context=self._server.context if self._server else 0,
        )

    def state(self) -> str:
        """`http://... has not answered for 42 s (connection refused): paused, trying again`; empty if all is well."""
        return self.flow.state()

    async def __aenter__(self) -> Endpoint:
        self._entered += 1
        if self._entered == 1:
            self._connect()
            self._ready = asyncio.create_task(self._prepare())
        assert self._ready is not None
        async with contextlib.AsyncExitStack() as undo:
            undo.push_async_callback(self._leave)
            await asyncio.shield(self._ready)  # one who gives up must not take it from the others
            undo.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._leave()

    async def probe(self) -> dict[str, Any]:
        """Find out what the server does (again), with some tiny requests; see `probe.look`."""
        again = self._server is not None
        async with self:
            if again:
                await self._look()
            return self._ready_server().to_dict()

    async def generate(self, request: Request) -> list[Completion]:
        """The answers `request.samples`. Where the server draws one sample at a time, they are asked for at once."""
        calls = wire.calls_of(request, server=self._ready_server())
        if len(calls) == 1:
            answers = await self._answers(calls[0])
        else:
            tasks = [asyncio.create_task(self._answers(call)) for call in calls]
            try:
                answers = [answer for group in await asyncio.gather(*tasks) for answer in group]
            finally:
                for task in tasks:
                    task.cancel()
        # A greedy request draws nothing: every sample is the one answer.
        return answers if len(answers) == request.n else answers * request.n

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        """For each continuation, the log-probability of each of its tokens after `prompt`.

        Raises UsageError if the server does not score text, or if a token spans prompt and continuation.
        """
        server = self._ready_server()
        scores: list[tuple[float, ...]] = []
        for continuation in continuations:
            text = prompt + continuation

            def read(raw: bytes, end: int = len(text)) -> tuple[float, ...]:
                return wire.echoed(raw, start=len(prompt), end=end)

            scores.append(await self._final(wire.echo_call(text, server=server), read))
        return scores

    async def ask(
        self, path: str, body: Mapping[str, Any] | None, read: Callable[[bytes], T], *, attempts: int = 0
    ) -> T:
        """What `read` makes of the reply to one HTTP request (a GET if `body` is None), asked until there is one.

        `read` raises MalformedReply for a reply to ask for again. Raises Refusal, UnansweredError, StoppedError.
        """
        flow = self.flow
        sent = None if body is None else json.dumps(body).encode()
        errand = flow.errand(attempts)
        blanks: list[Any] = []
        while True:
            outcome = await self._attempt(errand, self._urls[path], sent, read, blanks)
            if not isinstance(outcome, Fault):
                return outcome
            try:
                pause = flow.pause(errand, outcome)
            except UnansweredError:
                # A model that has nothing to say says so every time; a fault of transport does not.
                if blanks and len(blanks) == errand.faults.total():
                    return blanks[-1]
                raise
            await asyncio.sleep(pause)

    async def _attempt(
        self, errand: Errand, url: URL, sent: bytes | None, read: Callable[[bytes], T], blanks: list[Any]
    ) -> T | Fault:
        """One request: what `read` makes of the reply, or why there is none. Raises Refusal."""
        assert self._session is not None, "enter the endpoint (async with) before asking it"
        flow = self.flow
        fault: Fault | None = None
        flight = await flow.depart(errand)
        try:
            method = "GET" if sent is None else "POST"
            reply = await self._session.request(method, url, data=sent, allow_redirects=False)
            try:
                raw = await _body(reply)
            finally:
                reply.close()  # a reply that was read to its end has given its connection back before
            if self._secret and self._secret.encode() in raw:
                raw = raw.replace(self._secret.encode(), b"***")
            if reply.status == 200:
                answer = read(raw)
                flow.land(flight)
                return answer
            fault = _fault_of_status(reply, raw)
            if fault is None:  # it answers, only not with what is wanted
                flow.land(flight)
                raise Refusal(reply.status, wire.complaint(raw))
        except EmptyReply as error:
            if error.answer is not None:
                blanks.append(error.answer)
            fault = Fault(error.kind, light=True)
        except MalformedReply as error:
            fault = Fault(error.kind, light=True)
        except asyncio.CancelledError:
            if not flow.expired(flight):
                raise
            fault = LATE
        except (aiohttp.ClientError, OSError) as error:
            fault = _fault_of_connection(error, self.base)
        finally:
            if fault is None:
                flow.abandon(flight)
        assert fault is not None  # for the type checker: every other way out has returned or raised
        flow.land(flight, fault)
        return fault

    async def _answers(self, call: Call) -> list[Completion]:
        return await self._final(call, lambda raw: wire.completions_of(raw, call=call))

    async def _final(self, call: Call, read: Callable[[bytes], T]) -> T:
        """Ask; a refusal becomes the error that says what it costs: this request, or the run."""
        try:
            return await self.ask(call.path, call.body, read)
        except Refusal as refusal:
            raise self._costs(refusal) from None

    def _costs(self, refusal: Refusal) -> HomeschoolError:
        status, said = refusal.status, f"{self.base} says: {refusal.said}" if refusal.said else f"{self.base} says no"
        if status in (400, 413, 422):
            return UnanswerableError(f"{said} ({status})", hint="shorten or change the request")
        if status == 404:
            return HomeschoolError(f"{said} ({status})", hint=self._others())
        if status in (401, 403):
            had = f"the key in {KEYS[0]} or {KEYS[1]} was refused: set another" if self._secret else f"set {KEYS[0]}"
            # Servers repeat keys, whole or in part, when they refuse them: their words are left out.
            return HomeschoolError(f"{self.base} does not let us in ({status})", hint=had)
        return HomeschoolError(f"{said} ({status})", hint="this will not change by asking again")

    def _others(self) -> str:
        models = self._server.models if self._server else ()
        return f"it has these models: {', '.join(models)}" if models else probe.NO_LIST

    def _ready_server(self) -> Server:
        assert self._server is not None, "enter the endpoint (async with) before asking it"
        return self._server

    def _connect(self) -> None:
        """Open the session, with a flow of its own: what an earlier one learnt may be wrong by now."""
        self.flow = Flow(self.base, limit=self._limit, pace=self._pace)
        # A key for OpenAI goes nowhere in clear text but to this machine.
        private = self.base.startswith("https://") or self._urls[wire.CHAT].host in _LOOPBACK
        names = KEYS if private else KEYS[:1]
        key = self._key or next((value for value in map(os.environ.get, names) if value), "").strip()
        self._secret = key if len(key) >= _SHORTEST_SECRET else ""
        headers = {
            "User-Agent": f"homeschool/{__version__}", "Content-Type": "application/json", "Accept-Encoding": "identity"
        }  # fmt: skip
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._limit),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            proxy=_proxy(URL(self.base)),
            timeout=aiohttp.ClientTimeout(),  # none: `flow` has the deadlines
        )
        self._ticker = asyncio.create_task(self._tick())

    async def _prepare(self) -> None:
        if self._server is None:
            await self._look()

    async def _look(self) -> None:
        try:
            self._server = await probe.look(self.ask, base=self.base, model=self._wanted)
        except Refusal as refusal:
            raise self._costs(refusal) from None

    async def _leave(self) -> None:
        self._entered -= 1
        if self._entered:
            return
        session, self._session = self._session, None
        for task in (self._ready, self._ticker):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, HomeschoolError):
                    await task
        self._ready = self._ticker = None
        if session is not None:
            await session.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.flow.period)
            self.flow.tick()


async def _body(reply: aiohttp.ClientResponse) -> bytes:
    """The reply's bytes. Raises MalformedReply above the bound, before they are held in memory."""
    announced = reply.content_length
    if announced is not None and announced <= _LARGEST and "Content-Encoding" not in reply.headers:
        return await reply.read()
    held = bytearray()
    async for part in reply.content.iter_any():
        held += part
        if len(held) > _LARGEST:
            raise MalformedReply(f"the reply has more than {_LARGEST >> 20} MiB")
    return bytes(held)


def _fault_of_status(reply: aiohttp.ClientResponse, raw: bytes) -> Fault | None:
    """The fault behind a status other than 200; None if asking again would not help."""
    status = reply.status
    if status not in _RETRYABLE and (status < 500 or status == 501):
        return None
    kind = _RETRYABLE.get(status, f"server error {status}")
    return Fault(kind, refused=status in _FULL, retry_after=_seconds(reply.headers.get("Retry-After", "")))


def _seconds(retry_after: str) -> float:
    """Seconds from now that a Retry-After header means: a number, or an HTTP date; 0 for neither."""
    with contextlib.suppress(ValueError, OverflowError):
        seconds = float(retry_after)
        return seconds if 0 < seconds < float("inf") else 0.0
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    return 0.0


def _fault_of_connection(error: Exception, base: str) -> Fault:
    """What kept a reply from coming. Raises HomeschoolError for what will not pass by itself."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        raise HomeschoolError(f"the certificate of {base} is not trusted", hint="check the address") from None
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        return Fault("connection refused" if refused else "no connection", unreachable=True)
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)) and not error.__cause__:
        return Fault(MalformedReply.kind, light=True)
    return Fault("connection cut", light=True)


def _proxy(url: URL) -> URL | None:
    """The proxy that the environment names for `url`."""
    host = url.host or ""
    if host in _LOOPBACK or host.startswith("127.") or urllib.request.proxy_bypass(host):
        return None
    named = urllib.request.getproxies().get(url.scheme)
    return URL(named if "://" in named else f"http://{named}") if named else None
