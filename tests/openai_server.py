"""A loopback server that speaks the OpenAI protocol: the stand-in that every test of endpoints talks to.

It is no model. Its default answer is a pure function of (model, prompt, sampling, seed, index of the choice): some
words drawn by a hash, or a value that satisfies the JSON Schema that is asked for. It can also play a transcript that
a person wrote (`--transcript FILE.json`, a list; the first entry whose `match` stands in the last user message wins):

    [{"match": "capital of France", "reply": "Paris"},
     {"match": "", "reply": {"content": "", "refusal": "I would rather not", "finish_reason": "stop"}},
     {"match": "too long", "status": 400, "error": "maximum context length is 4096 tokens"},
     {"match": "a form", "replies": ["not JSON", "{\"a\": 1}"], "times": 2}]

`reply` is text or {content, finish_reason, refusal, tool_calls, reasoning_content}; `replies` are given in turn, call
by call; an entry with `times` is spent after so many calls.

Faults are drawn for each arrival from a seeded generator (never from the request), so a retry gets a draw of its own:
`429`, `429_after` (with Retry-After), `500`, `hang`, `cut` (connection), `malformed` (JSON), `empty` (body, choices or
content, in turn). `script` plays faults for the first arrivals before any is drawn; `ok` in it is no fault.

`GET /stats` counts: requests, answered (successes), bodies (distinct ones answered), most_answers_to_one_body,
answered_again (answered - bodies), in_flight, most_in_flight, and faults by name. Answers count when they are made.

    python tests/openai_server.py --port 0 --latency 0.05 --fault 429=0.1 --fault 500=0.05 --without n,logprobs
    async with serving(faults={"429": 0.1}) as server: ... server.url, server.stats()      # in this process
    with served("--latency", "0.05") as url: ... fetch_stats(url)                          # in a process of its own
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from values_of_schema import WORDS, value_of

FEATURES = ("models", "chat", "completions", "n", "logprobs", "schema", "tools", "seed", "max_tokens", "top_k", "echo")
FAULTS = ("429", "429_after", "500", "hang", "cut", "malformed", "empty")
_PATHS = {"/v1/chat/completions": "chat", "/v1/completions": "completions"}
_PARAMETER = {"schema": "response_format"}
_EMPTY = (b"", b'{"id":"x","object":"chat.completion","choices":[]}', None)


@dataclass(slots=True)
class Options:
    """What the server pretends to be."""

    models: Sequence[str] = ("stand-in",)
    latency: float = 0.0
    """Seconds before every answer."""
    without: Sequence[str] = ()
    """Features (of FEATURES) that are missing: ignored, or refused with 400 if `strict`, paths always with 404."""
    strict: bool = False
    key: str = ""
    """The bearer token that is required; empty for none."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """Rate of each fault, 0..1."""
    script: Sequence[str] = ()
    seed: int = 0
    retry_after: str = "1"
    capacity: int = 0
    """Requests served at once; any more get 429. 0 for no limit."""
    transcript: Sequence[Mapping[str, Any]] = ()
    context: int = 0
    """`max_model_len` of the models; a prompt with more words gets 400. 0 for none."""


class StandIn:
    """The server's behaviour and its counts; `handle` is a handler for aiohttp's low-level server."""

    def __init__(self, options: Options) -> None:
        unknown = [*(set(options.without) - set(FEATURES)), *({*options.faults, *options.script} - {*FAULTS, "ok"})]
        if unknown:
            raise ValueError(f"unknown features or faults {unknown}: known are {FEATURES} and {FAULTS}")
        self.options = options
        self.url = ""
        self.paths: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        """The last bodies that arrived (at most 1000), faulted ones too."""
        self._draw = random.Random(options.seed)
        self._script = iter(options.script)
        self._answers: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._spent: Counter[int] = Counter()
        self._in_flight = self._most_in_flight = 0

    def stats(self) -> dict[str, Any]:
        answered = self._answers.total()
        return {
            "requests": self.paths.total(),
            "answered": answered,
            "bodies": len(self._answers),
            "most_answers_to_one_body": max(self._answers.values(), default=0),
            "answered_again": answered - len(self._answers),
            "in_flight": self._in_flight,
            "most_in_flight": self._most_in_flight,
            "faults": dict(self._faults),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, options = request.path, self.options
        if path == "/stats":
            return _json(self.stats())
        if options.key and request.headers.get("Authorization") != f"Bearer {options.key}":
            given = request.headers.get("Authorization", "nothing")
            return _error(401, f"Incorrect API key provided: {given}.")
        if path == "/v1/models" and "models" not in options.without:
            extra = {"max_model_len": options.context} if options.context else {}
            return _json({"object": "list", "data": [{"id": m, "object": "model", **extra} for m in options.models]})
        if path not in _PATHS or _PATHS[path] in options.without:
            return _error(404, "Not Found")
        body = await request.read()
        self.paths[path] += 1
        if len(self.bodies) < 1000:
            self.bodies.append(body)
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        try:
            return await self._serve(request, path, body)
        finally:
            self._in_flight -= 1

    async def _serve(self, request: web.BaseRequest, path: str, body: bytes) -> web.StreamResponse:
        fault = next(self._script, None) or self._drawn()
        if 0 < self.options.capacity < self._in_flight:
            fault = "429"
        if fault != "ok":
            self._faults[fault] += 1
            if fault != "empty":
                return await self._fail(request, fault)
        if self.options.latency:
            await asyncio.sleep(self.options.latency)
        asked = json.loads(body)
        wrong = self._refusal(asked)
        if wrong is not None:
            return wrong
        reply = self._reply(path.endswith("/chat/completions"), asked, self._played(asked))
        if fault == "empty":
            blank = _EMPTY[self._faults["empty"] % len(_EMPTY)]
            return web.Response(body=_blanked(reply) if blank is None else blank, content_type="application/json")
        if isinstance(reply, bytes):
            self._answers[hash((path, body))] += 1
            return web.Response(body=reply, content_type="application/json")
        return reply

    def _drawn(self) -> str:
        if not self.options.faults:
            return "ok"
        at = self._draw.random()
        for name, rate in self.options.faults.items():
            at -= rate
            if at < 0:
                return name
        return "ok"

    async def _fail(self, request: web.BaseRequest, fault: str) -> web.StreamResponse:
        if fault == "429":
            return _error(429, "Rate limit reached")
        if fault == "429_after":
            return _error(429, "Rate limit reached", headers={"Retry-After": self.options.retry_after})
        if fault == "500":
            return _error(500, "The server had an error")
        if fault == "malformed":
            return web.Response(body=b'{"choices": [{"message": {"content": "hal', content_type="application/json")
        if fault == "hang":
            await asyncio.sleep(3600)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def _refusal(self, asked: Mapping[str, Any]) -> web.Response | None:
        """The error that a server gives which lacks what is asked for; None if it does not mind."""
        without = self.options.without
        if asked.get("model") not in self.options.models:
            return _error(404, f"The model `{asked.get('model')}` does not exist")
        for feature in without:
            name = _PARAMETER.get(feature, feature)
            refused = self.options.strict or feature in ("max_tokens", "top_k")
            if refused and name in asked and not (name == "n" and asked["n"] == 1):
                return _error(400, f"Unsupported parameter: '{name}' is not supported with this model.")
        if 0 < self.options.context < len(_question(asked).split()):
            return _error(400, f"This model's maximum context length is {self.options.context} tokens.")
        return None

    def _played(self, asked: Mapping[str, Any]) -> Any:
        """The transcript's reply: text, a mapping, a response, or None if no entry matches."""
        question = _question(asked) if self.options.transcript else ""
        for index, entry in enumerate(self.options.transcript):
            spent = self._spent[index]
            if entry.get("match", "") in question and spent < entry.get("times", spent + 1):
                self._spent[index] += 1
                if "status" in entry:
                    return _error(entry["status"], entry.get("error", "no"))
                replies = entry.get("replies") or [entry["reply"]]
                return replies[min(spent, len(replies) - 1)]
        return None

    def _reply(self, chat: bool, asked: Mapping[str, Any], played: Any) -> bytes | web.Response:
        if isinstance(played, web.Response):
            return played
        without = self.options.without
        count = 1 if "n" in without else int(asked.get("n") or 1)
        names = ("model", "messages", "prompt", "temperature", "top_p", "top_k", "tools", "response_format")
        identity = [asked.get(name) for name in names]
        if asked.get("temperature") != 0 and "seed" not in without:
            identity.append(asked.get("seed"))
        seed = json.dumps(identity).encode()
        choices, total = [], 0
        for index in range(count):
            drawn = hashlib.sha256(seed + b"%d" % (index if asked.get("temperature") != 0 else 0)).digest()
            message = {"content": played} if isinstance(played, str) else played or self._default(asked, drawn)
            text, finish, tokens = _cut(message.get("content") or "", asked)
            total += len(tokens)
            finish = message.get("finish_reason") or finish
            choices.append(_choice(chat, index, message, text, finish, self._logprobs(chat, asked, tokens, drawn)))
        prompt = len(_question(asked).split())
        usage = f'{{"prompt_tokens":{prompt},"completion_tokens":{total},"total_tokens":{prompt + total}}}'
        kind = "chat.completion" if chat else "text_completion"
        return f'{{"id":"x","object":"{kind}","choices":[{",".join(choices)}],"usage":{usage}}}'.encode()

    def _default(self, asked: Mapping[str, Any], drawn: bytes) -> dict[str, Any]:
        shape = asked.get("response_format") or {}
        if "schema" not in self.options.without and shape.get("type") == "json_schema":
            schema = shape["json_schema"]["schema"]
            return {"content": json.dumps(value_of(schema, drawn, schema), ensure_ascii=False)}
        if asked.get("tool_choice") == "required" and "tools" not in self.options.without:
            function = asked["tools"][0]["function"]
            schema = function.get("parameters") or {"type": "object"}
            call = {"name": function["name"], "arguments": json.dumps(value_of(schema, drawn, schema))}
            calls = [{"id": f"call_{drawn.hex()[:8]}", "type": "function", "function": call}]
            return {"content": None, "tool_calls": calls, "finish_reason": "tool_calls"}
        return {"content": " ".join([WORDS[byte & 31] for byte in drawn[: 4 + (drawn[31] & 15)]])}

    def _logprobs(self, chat: bool, asked: Mapping[str, Any], tokens: list[str], drawn: bytes) -> str:
        # 0 is a number to /completions ("none beside the token drawn") and False to chat.
        wanted = asked.get("logprobs")
        if "logprobs" in self.options.without or wanted is None or wanted is False:
            return "null"
        if not chat and asked.get("echo") and "echo" not in self.options.without:
            tokens = [*_tokens(asked["prompt"]), *tokens]
        numbers: list[float | None] = [-(drawn[i % 32] + 1) / 100 for i in range(len(tokens))]
        if chat:
            return json.dumps({"content": [{"token": t, "logprob": p} for t, p in zip(tokens, numbers, strict=True)]})
        if asked.get("echo"):
            numbers = [None, *[_surprise(token) for token in tokens[1:]]]
        starts = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
        return json.dumps({"tokens": tokens, "token_logprobs": numbers, "text_offset": starts})


def _surprise(token: str) -> float:
    """What echo says of a prompt's token: a function of the token alone."""
    return -(sum(token.encode()) % 50 + 1) / 10


def _question(asked: Mapping[str, Any]) -> str:
    """The last user message, or the prompt."""
    if "messages" not in asked:
        return str(asked.get("prompt", ""))
    said = [message.get("content") or "" for message in asked["messages"] if message["role"] == "user"]
    return said[-1] if said else ""


def _tokens(text: str) -> list[str]:
    """Words, each with the space before it: the tokens of a model that is none."""
    words = text.split(" ")
    return [words[0], *[" " + word for word in words[1:]]] if text else []


def _cut(text: str, asked: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """The text as far as `stop` and `max_tokens` let it go, why it ended, and its tokens."""
    stops = asked.get("stop") or ()
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop, 1)[0]
    tokens = _tokens(text)
    limit = asked.get("max_tokens", asked.get("max_completion_tokens", 16 if "prompt" in asked else 4096))
    if len(tokens) > limit:
        tokens = tokens[:limit]
        return "".join(tokens), "length", tokens
    return text, "stop", tokens


def _choice(chat: bool, index: int, message: Mapping[str, Any], text: str, finish: str, logprobs: str) -> str:
    end = f'"finish_reason":"{finish}","logprobs":{logprobs}}}'
    if not chat:
        return f'{{"index":{index},"text":{json.dumps(text)},{end}'
    rest = {key: message[key] for key in ("refusal", "tool_calls", "reasoning_content") if message.get(key)}
    extra = "," + json.dumps(rest)[1:-1] if rest else ""
    content = "null" if message.get("content") is None else json.dumps(text)
    return f'{{"index":{index},"message":{{"role":"assistant","content":{content}{extra}}},{end}'


def _blanked(reply: bytes | web.Response) -> bytes:
    """A reply whose every choice says nothing and stops."""
    if isinstance(reply, web.Response):
        return b""
    whole = json.loads(reply)
    for choice in whole["choices"]:
        choice.update({"message": {"role": "assistant", "content": ""}, "text": "", "finish_reason": "stop"})
        choice["logprobs"] = None
    return json.dumps(whole).encode()


def _json(value: Any) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")


def _error(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": status}}).encode()
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


@contextlib.asynccontextmanager
async def serving(*, port: int = 0, **options: Any) -> AsyncIterator[StandIn]:
    """The server in this event loop; `options` are the fields of Options."""
    stand_in = StandIn(Options(**options))
    # Leaving a request (a client that is gone or has given up) must end its handler, or hangs would pile up.
    server = web.Server(stand_in.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.05)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=4096)
        await site.start()
        stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield stand_in
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The server in a process of its own, with the command line's arguments; gives the base URL (ending in /v1)."""
    command = [sys.executable, __file__, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"{command} did not start")
        yield line.removeprefix("listening on ").strip()
    finally:
        process.kill()
        process.wait()


def fetch_stats(url: str) -> dict[str, Any]:
    """The counts of the server at `url`, from outside its process."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats", timeout=10) as reply:
        return json.load(reply)


def _parse(arguments: Sequence[str] | None) -> tuple[int, dict[str, Any]]:
    parser = argparse.ArgumentParser(description="A loopback stand-in that speaks the OpenAI protocol.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--models", default="stand-in", help="names, by commas")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--without", default="", help=f"features by commas: {', '.join(FEATURES)}")
    parser.add_argument("--strict", action="store_true", help="refuse what is missing with 400")
    parser.add_argument("--key", default="", help="the bearer token that is required")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE", help=", ".join(FAULTS))
    parser.add_argument("--script", default="", help="faults of the first arrivals, by commas; `ok` is none")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--retry-after", default="1")
    parser.add_argument("--capacity", type=int, default=0, help="requests served at once, more get 429")
    parser.add_argument("--transcript", help="a JSON file, see the top of this file")
    parser.add_argument("--context", type=int, default=0)
    given = vars(parser.parse_args(arguments))
    for name in ("models", "without", "script"):
        given[name] = [part for part in given[name].split(",") if part]
    given["faults"] = {name: float(rate) for name, rate in (fault.split("=") for fault in given.pop("fault"))}
    given["transcript"] = json.loads(Path(given["transcript"]).read_text()) if given["transcript"] else ()
    return given.pop("port"), given


async def _serve_for_ever(port: int, options: dict[str, Any]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(port=port, **options) as stand_in:
        print(f"listening on {stand_in.url}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve_for_ever(*_parse(None)))
