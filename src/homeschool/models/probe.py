"""What a server really does, found out with a few tiny requests: servers claim, ignore and refuse at will.

`look` asks for the list of models, for a few words of chat and of raw text, and then, all at once, for each feature on
each of the two paths. A feature counts only if it shows in the reply: two choices came back, there are
log-probabilities, the JSON satisfies a schema that no model would hit by chance. A seed, tools and `top_k` cannot be
seen, so they count if they are not refused. Transport faults are retried like those of any request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from homeschool.core.errors import HomeschoolError, UnansweredError, UsageError
from homeschool.core.records import Completion
from homeschool.models import wire
from homeschool.models.wire import CHAT, RAW, Call, MalformedReply, Refusal, Server

MODELS = "/models"
NO_LIST = "check the address (it ends in /v1) and #MODEL"
_ATTEMPTS = 8
_MISSING = (400, 404, 405, 413, 415, 422, 501)  # statuses that mean "not this", as 401 means "not you"
_LONG = 1024  # tokens; a thinking model may use many before it says a word
_TEXT = "Hello there, little bird"
_SCHEMA = {
    "type": "object",
    "properties": {"zebra_count": {"enum": ["seventeen"]}, "is_probe": {"type": "boolean"}},
    "required": ["zebra_count", "is_probe"],
    "additionalProperties": False,
}
_TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}


class Ask(Protocol):
    """One HTTP request, see `Endpoint.ask`: a GET if there is no body. Raises Refusal if the server says no."""

    async def __call__(
        self, path: str, body: Mapping[str, Any] | None, read: Callable[[bytes], Any], *, attempts: int = 0
    ) -> Any: ...


async def look(ask: Ask, *, base: str, model: str) -> Server:
    """What `model` on the server at `base` does; an empty name stands for the server's only model.

    Raises UsageError if there is no only model, HomeschoolError if it answers neither chat nor text, Refusal if we are
    not let in, and the errors of any request.
    """
    listed = await _listed(ask)
    if not model and len(listed) != 1:
        names = ", ".join(listed) or "none that it lists"
        raise UsageError(f"{base} needs the name of a model", hint=f"add #MODEL to the address; its models: {names}")
    prober = _Prober(ask, model or next(iter(listed)))
    refusals = await asyncio.gather(prober.refusal_of(CHAT), prober.refusal_of(RAW))
    if refusals[0] and refusals[1]:
        named = f"its models: {', '.join(listed)}" if listed else NO_LIST
        raise HomeschoolError(f"{base} answers neither chat nor text with {prober.model!r}: {refusals[0]}", hint=named)
    chat, raw = [None if refusal else await prober.features(path)
                 for path, refusal in zip((CHAT, RAW), refusals, strict=True)]  # fmt: skip
    return Server(
        model=prober.model,
        chat=chat,
        raw=raw,
        limit_name=prober.limit_name,
        context=listed.get(prober.model, 0),
        models=tuple(listed),
    )


class _Prober:
    """The tiny requests to one model."""

    def __init__(self, ask: Ask, model: str) -> None:
        self._ask = ask
        self.model = model
        self.limit_name = "max_tokens"

    async def refusal_of(self, path: str) -> Refusal | None:
        """Why the server does not answer on `path`; None if it does. Finds out what it calls `max_tokens` there."""
        try:
            await self._say(path)
        except Refusal as refusal:
            if refusal.status not in _MISSING:
                raise
            if path == CHAT and "max_tokens" in refusal.said.replace("max_completion_tokens", "max_tokens"):
                return await self._with_other_limit()
            return refusal
        except UnansweredError as error:
            if not _is_its_way_to_refuse(error):
                raise
            return Refusal(500, error.message)
        return None

    async def _with_other_limit(self) -> Refusal | None:
        self.limit_name = "max_completion_tokens"
        try:
            await self._say(CHAT)
        except Refusal as refusal:
            return refusal
        return None

    async def features(self, path: str) -> frozenset[str]:
        """What shows on `path`; see `Server`."""
        checks = {
            "n": self._shows(path, lambda said: len(said) == 2, n=2),
            "seed": self._shows(path, bool, seed=7),
            "top_k": self._shows(path, bool, top_k=5),
            "logprobs": self._shows(path, _has_logprobs, logprobs=True if path == CHAT else 1),
            "schema": self._shows(path, _obeyed, response_format=_format(), long=True),
        }
        if path == CHAT:
            checks["tools"] = self._shows(path, bool, tools=[_TOOL])
        else:
            checks["echo"] = self._echoes()
        found = await asyncio.gather(*checks.values())
        return frozenset(name for name, shows in zip(checks, found, strict=True) if shows)

    async def _shows(self, path: str, sees: Callable[[list[Completion]], bool], **extra: Any) -> bool:
        """Whether the reply to a request with `extra` is one that `sees` accepts; a refused request is none."""
        return await _unless_refused(self._say(path, **extra), sees)

    async def _echoes(self) -> bool:
        server = Server(self.model, raw=frozenset(["echo"]))
        call = wire.echo_call(_TEXT, server=server)
        return await _unless_refused(self._ask(RAW, call.body, wire.parsed, attempts=_ATTEMPTS), _has_echo)

    async def _say(self, path: str, *, long: bool = False, **extra: Any) -> list[Completion]:
        """The answers to a tiny request."""
        said: dict[str, Any] = {"messages": [{"role": "user", "content": _TEXT}]} if path == CHAT else {"prompt": _TEXT}
        name = self.limit_name if path == CHAT else "max_tokens"
        # Who wants max_completion_tokens is a thinking model, and may fail if it cannot think to the end.
        tokens = _LONG if long or name != "max_tokens" else 16
        body = {"model": self.model, **said, name: tokens, "temperature": 1, **extra}
        call = Call(path, body, choices=0)
        return await self._ask(path, body, lambda raw: wire.completions_of(raw, call=call), attempts=_ATTEMPTS)


async def _listed(ask: Ask) -> dict[str, int]:
    """The server's models and their contexts (0 if it does not tell); none if it has no list."""
    try:
        reply = await ask(MODELS, None, wire.parsed, attempts=_ATTEMPTS)
    except Refusal as refusal:
        if refusal.status not in _MISSING:
            raise
        return {}
    entries = reply.get("data")
    listed: dict[str, int] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            length = entry.get("max_model_len")
            listed[entry["id"]] = length if type(length) is int and length > 0 else 0
    return listed


async def _unless_refused(asking: Any, sees: Callable[[Any], bool]) -> bool:
    try:
        return bool(sees(await asking))
    except Refusal as refusal:
        if refusal.status not in _MISSING:
            raise
    except UnansweredError as error:
        if not _is_its_way_to_refuse(error):
            raise
    return False


def _is_its_way_to_refuse(error: UnansweredError) -> bool:
    """Some servers say 500 to what they do not know (llama.cpp to tools without a template)."""
    return error.kind.startswith(("server error", MalformedReply.kind))


def _format() -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": _SCHEMA, "strict": True}}


def _obeyed(said: list[Completion]) -> bool:
    """Whether the answer satisfies the schema, which nothing in the prompt speaks of."""
    try:
        value = json.loads(said[0].text)
    except (ValueError, RecursionError):
        return False
    names = isinstance(value, dict) and value.keys() == {"zebra_count", "is_probe"}
    return names and value["zebra_count"] == "seventeen" and isinstance(value["is_probe"], bool)


def _has_logprobs(said: list[Completion]) -> bool:
    return bool(said[0].logprobs)


def _has_echo(reply: dict[str, Any]) -> bool:
    """Whether there are log-probabilities of the prompt's tokens. One more token than them was drawn at most."""
    try:
        return len(wire.echoed_all(reply, end=len(_TEXT))) >= 2
    except MalformedReply:
        return False
