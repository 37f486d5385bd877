"""The OpenAI protocol as pure functions: a Request to what is sent, and what came back to Completions.

Nothing here touches a network. What a server can do is in `Server` (found out by `probe`), and a request that asks
for more is refused with a UsageError, never sent as something else: a text prompt does not quietly become a chat, a
schema is not quietly left out. A reply that is not what the protocol promises raises MalformedReply, whatever it
holds; one that says nothing raises EmptyReply.

Source: the API references of OpenAI (chat completions; completions) and vLLM (`top_k`, `max_model_len`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeschool.core.errors import UsageError
from homeschool.core.identity import seed_of
from homeschool.core.records import Completion, Request

CHAT = "/chat/completions"
RAW = "/completions"
LOWEST = -9999.0
"""What servers write for a log-probability of minus infinity, which JSON cannot hold."""
_SEED_BITS = (1 << 31) - 1  # servers that keep seeds in 32 signed bits refuse larger ones
_SHOWN = 300  # characters of a server's own words that go into an error


class MalformedReply(Exception):
    """What came back is no answer. `kind` is a phrase that can be counted."""

    kind = "malformed reply"


class EmptyReply(MalformedReply):
    """A reply that says nothing. `answer` is what it would be if it is honest: a model may have nothing to say."""

    kind = "empty reply"

    def __init__(self, message: str, *, answer: list[Completion] | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class Refusal(Exception):
    """The server says no with this HTTP status, and asking again would not help."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{said} ({status})")
        self.status = status
        self.said = said


@dataclass(frozen=True, slots=True)
class Server:
    """What one model of one server does. Features: n, seed, top_k, logprobs, schema, tools (chat), echo (raw)."""

    model: str
    chat: frozenset[str] | None = frozenset()
    """Features of chat completions; None if the server has none."""
    raw: frozenset[str] | None = None
    """Features of text completions; None if the server has none."""
    limit_name: str = "max_tokens"
    """What the server calls the limit of an answer's length in a chat."""
    context: int = 0
    """Longest prompt plus answer in tokens; 0 if the server does not tell."""
    models: tuple[str, ...] = ()
    """All names that the server lists."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "model": self.model,
            "chat": None if self.chat is None else sorted(self.chat),
            "raw": None if self.raw is None else sorted(self.raw),
            "limit_name": self.limit_name,
            "context": self.context,
            "models": list(self.models),
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> Server:
        """The inverse of `to_dict`."""
        chat, raw = record["chat"], record["raw"]
        return Server(
            model=record["model"],
            chat=None if chat is None else frozenset(chat),
            raw=None if raw is None else frozenset(raw),
            limit_name=record["limit_name"],
            context=record["context"],
            models=tuple(record["models"]),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request: where, what, and how many choices must come back (0: at least one)."""

    path: str
    body: Mapping[str, Any]
    choices: int = 1


def calls_of(request: Request, *, server: Server) -> list[Call]:
    """The calls that answer `request`: one where the server draws several samples at once, else one per sample.

    A greedy request is one call for one choice. Raises UsageError for what the server cannot do.
    """
    path = RAW if isinstance(request.prompt, str) else CHAT
    features = _features(request, server)
    body = _body(request, server, features)
    if request.sampling.temperature == 0 or request.n == 1:
        return [Call(path, _seeded(body, request, request.first, features))]
    if "n" in features:
        body["n"] = request.n
        return [Call(path, _seeded(body, request, request.first, features), request.n)]
    return [Call(path, _seeded(body, request, sample, features)) for sample in request.samples]


def echo_call(text: str, *, server: Server) -> Call:
    """The call that gives the log-probability of every token of `text`. Raises UsageError if there is none."""
    if server.raw is None or "echo" not in server.raw:
        raise UsageError(
            f"{server.model!r} is on a server that does not score text (completions with echo and logprobs)",
            hint="score with a local model or a vLLM server",
        )
    # One token, and not none, is drawn: some servers refuse 0.
    return Call(RAW, {"model": server.model, "prompt": text, "max_tokens": 1, "temperature": 0, "echo": True,
                      "logprobs": 1})  # fmt: skip


def parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises EmptyReply for nothing, MalformedReply for anything else."""
    if not raw.strip():
        raise EmptyReply("the reply is empty")
    try:
        reply = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedReply(f"the reply is not JSON: {shown(raw)}") from error
    if not isinstance(reply, dict):
        raise MalformedReply(f"the reply is no JSON object: {shown(raw)}")
    return reply


def completions_of(raw: bytes, *, call: Call) -> list[Completion]:
    """The answers in a reply to `call`, in order of the choices' index. Raises MalformedReply."""
    reply = parsed(raw)
    choices = reply.get("choices")
    if choices == []:
        raise EmptyReply("the reply has no choices")
    if not isinstance(choices, list) or len(choices) != (call.choices or len(choices)):
        raise MalformedReply(f"a reply with {call.choices or 'some'} choices was expected, not {shown(raw)}")
    if len(choices) > 1:
        choices = _in_order(choices)
    read = _chat_choice if call.path == CHAT else _raw_choice
    counts = _counts(reply.get("usage"), len(choices))
    answers = [read(_mapping(choice), *count) for choice, count in zip(choices, counts, strict=True)]
    if all(map(_blank, answers)):
        honest = all(answer.finish_reason == "stop" for answer in answers)
        raise EmptyReply("the answer is empty", answer=answers if honest else None)
    return answers


def echoed(raw: bytes, *, start: int, end: int) -> tuple[float, ...]:
    """Log-probabilities of the tokens of characters `start` to `end` in a reply to `echo_call`.

    Raises MalformedReply, and UsageError if no token begins at `start`: prompt and continuation share a token.
    """
    told = echoed_all(parsed(raw), end=end)
    if start not in told:
        raise UsageError(
            "the last token of the prompt reaches into the continuation, so its tokens cannot be scored alone",
            hint="move the white space between them to the start of the continuation",
        )
    return tuple(_logprob(number) for at, numbers in told.items() if at >= start for number in numbers)


def echoed_all(reply: Mapping[str, Any], *, end: int) -> dict[int, list[Any]]:
    """What a reply to `echo_call` says of the tokens before character `end`, by the character they start at.

    Several tokens start at one character where each is only a part of it. Raises MalformedReply.
    """
    choices = _list(reply.get("choices"))
    told = _mapping(_mapping(choices[0] if choices else None).get("logprobs"))
    numbers, offsets = _list(told.get("token_logprobs")), _list(told.get("text_offset"))
    if len(numbers) != len(offsets) or any(type(offset) is not int for offset in offsets):
        raise MalformedReply("the reply has no log-probabilities of the prompt")
    found: dict[int, list[Any]] = {}
    for number, at in zip(numbers, offsets, strict=True):
        if at < end:
            found.setdefault(at, []).append(number)
    return found


def shown(words: bytes | str, secret: str = "") -> str:
    """A server's own words, short, on one line and without `secret`."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    if secret:
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def complaint(raw: bytes, secret: str = "") -> str:
    """What a server says is wrong: the message of its error object, or its reply as it is; never with `secret`."""
    try:
        reply = parsed(raw)
    except MalformedReply:
        return shown(raw, secret)
    error = reply.get("error", reply)
    said = (error.get("message") or error.get("detail")) if isinstance(error, dict) else error
    return shown(said if isinstance(said, str) else raw, secret)


def _features(request: Request, server: Server) -> frozenset[str]:
    """What the server can do for this kind of prompt. Raises UsageError if the request wants more."""
    if isinstance(request.prompt, str):
        if server.raw is None:
            raise UsageError(
                f"{server.model!r} is on a server that has no text completions",
                hint="ask it in messages (chat=true; in your own recipe a list of {role, content})",
            )
        features = server.raw
    elif server.chat is None:
        raise UsageError(
            f"{server.model!r} is on a server that has no chat completions", hint="ask with plain text: chat=false"
        )
    else:
        features = server.chat
    wanted = {
        "schema": request.schema is not None,
        "tools": bool(request.tools),
        "logprobs": request.logprobs,
        "top_k": request.sampling.top_k > 0 and request.sampling.temperature > 0,
    }
    for feature, needed in wanted.items():
        if needed and feature not in features:
            raise UsageError(
                f"the server of {server.model!r} does not do {feature!r} for this kind of prompt",
                hint=f"leave {feature} out, or use a server that has it",
            )
    return features


def _body(request: Request, server: Server, features: frozenset[str]) -> dict[str, Any]:
    """The JSON body without seed and n."""
    sampling = request.sampling
    body: dict[str, Any] = {"model": server.model}
    if isinstance(request.prompt, str):
        body["prompt"] = request.prompt
        body["max_tokens"] = sampling.max_tokens
    else:
        body["messages"] = [message.to_dict() for message in request.prompt]
        body[server.limit_name] = sampling.max_tokens
    body["temperature"] = sampling.temperature
    if sampling.temperature > 0 and sampling.top_p != 1:
        body["top_p"] = sampling.top_p
    if sampling.temperature > 0 and sampling.top_k > 0:
        body["top_k"] = sampling.top_k
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.logprobs:
        body["logprobs"] = 1 if isinstance(request.prompt, str) else True
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.schema is not None:
        form = {"name": "answer", "schema": dict(request.schema), "strict": _is_strict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def _is_strict(schema: Any) -> bool:
    """Whether a schema is of the kind that OpenAI's strict mode takes: objects have their fields, all, and no other."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        fields = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(fields):
            return False
    return all(map(_is_strict, schema.values()))


def _seeded(body: dict[str, Any], request: Request, sample: int, features: frozenset[str]) -> dict[str, Any]:
    """The body with the seed of `sample`. A greedy answer has no use for one."""
    if "seed" not in features or request.sampling.temperature == 0:
        return body
    return {**body, "seed": seed_of(request.seed, sample) & _SEED_BITS}


def _chat_choice(choice: Mapping[str, Any], prompt_tokens: int, tokens: int) -> Completion:
    message = _mapping(choice.get("message"))
    told = choice.get("logprobs")
    listed = None if told is None else _mapping(told).get("content")
    logprobs = None if listed is None else tuple(_logprob(_mapping(token).get("logprob")) for token in _list(listed))
    return Completion(
        text=_text(message.get("content")),
        finish_reason=_text(choice.get("finish_reason")) or "stop",
        logprobs=logprobs,
        prompt_tokens=prompt_tokens,
        completion_tokens=len(logprobs) if logprobs else tokens,
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")),
        refusal=_text(message.get("refusal")),
        tool_calls=tuple(_tool_call(call) for call in _list(message.get("tool_calls"))),
    )


def _raw_choice(choice: Mapping[str, Any], prompt_tokens: int, tokens: int) -> Completion:
    told = choice.get("logprobs")
    listed = None if told is None else _mapping(told).get("token_logprobs")
    logprobs = None if listed is None else tuple(_logprob(number) for number in _list(listed))
    return Completion(
        text=_text(choice.get("text")),
        finish_reason=_text(choice.get("finish_reason")) or "stop",
        logprobs=logprobs,
        prompt_tokens=prompt_tokens,
        completion_tokens=len(logprobs) if logprobs else tokens,
    )


def _tool_call(call: Any) -> Mapping[str, Any]:
    """A call as the protocol has it. Arguments stay text: whether they are JSON is for who runs the tool to judge."""
    call = _mapping(call)
    function = _mapping(call.get("function"))
    arguments = function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    named = {"name": _text(function.get("name")), "arguments": written}
    return {"id": _text(call.get("id")), "type": "function", "function": named}


def _counts(usage: Any, choices: int) -> list[tuple[int, int]]:
    """Tokens of prompt and answer for each choice. A server counts the answers of all choices together: the sum is
    right, and each one's share is only an average (a choice with log-probabilities is counted by them instead)."""
    if not isinstance(usage, dict):
        return [(0, 0)] * choices
    prompt, total = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    share, rest = divmod(total, choices)
    return [(prompt, share + (at < rest)) for at in range(choices)]


def _blank(answer: Completion) -> bool:
    """Whether an answer says nothing although nothing cut it short."""
    said = answer.text or answer.refusal or answer.tool_calls
    return not said and answer.finish_reason not in ("length", "content_filter")


def _in_order(choices: list[Any]) -> list[Any]:
    """Choices by their index; a server that does not number them is taken at its order."""
    indices = [_mapping(choice).get("index", at) for at, choice in enumerate(choices)]
    if any(type(index) is not int for index in indices) or sorted(indices) != list(range(len(choices))):
        raise MalformedReply(f"the choices are numbered {indices!r:.100}")
    return [choice for _, choice in sorted(zip(indices, choices, strict=True), key=lambda pair: pair[0])]


def _count(value: Any) -> int:
    return value if type(value) is int and 0 < value < 1 << 53 else 0


def _logprob(value: Any) -> float:
    if type(value) not in (int, float) or not value < math.inf:  # NaN is not below anything either
        raise MalformedReply(f"a log-probability is {value!r:.50}")
    return float(max(value, LOWEST))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedReply(f"text was expected, not {type(value).__name__}")
    if value.isascii():
        return value
    # Half a surrogate pair is legal in JSON, and in no file that is written later.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedReply(f"a JSON object was expected, not {type(value).__name__}")
    return value


def _list(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise MalformedReply(f"a list was expected, not {type(value).__name__}")
    return value
