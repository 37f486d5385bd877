"""vLLM as a child of this run: `vllm serve` started when the first user enters, gone for certain when the last leaves.

`vllm:NAME_OR_FOLDER` is an endpoint on this machine whose server we start, watch and end ourselves, so that a GPU's
memory is free again for training. vLLM is never imported: it lives in whichever environment has it (HOMESCHOOL_VLLM
names the program, else the PATH is searched; HOMESCHOOL_VLLM_ARGS adds options to `vllm serve`). Between it and us
stands `supervisor`, which ends it and every process below it when we leave, fail or are killed.

The server listens on loopback alone, under a key drawn for it, which it gets in its environment and nowhere else. If it
dies it is started again, at most twice, and what was in flight is asked again; a third death stops the run, with the
last lines of its log. A model's identity is its files (or name) and options, never the port.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.identity import digest
from homeschool.core.protocols import Waiting
from homeschool.core.records import Completion, ModelCard, Request
from homeschool.models.child import Child
from homeschool.models.endpoint import Endpoint
from homeschool.models.fingerprint import fingerprint

T = TypeVar("T")

FILES = ("*.safetensors", "*.bin", "*.gguf", "*.json", "*.model", "*.jinja", "merges.txt", "vocab.txt")
"""What vLLM reads of a checkpoint's folder, by pattern: what its fingerprint covers."""
OURS = ("--host", "--port", "--api-key", "--uds", "--served-model-name", "--config")
"""Options of `vllm serve` that only we may give."""

PATIENCE_S = 1800.0
"""How long a server may take to get ready: it may have to fetch, load, compile and warm up a model."""
POLL_S = 0.2
PORTS, RESTARTS = 3, 2


class Vllm:
    """A Model served by a vLLM of our own, and an async context manager: enter it before asking. See `Vllm.open`."""

    def __init__(
        self,
        name: str,
        *,
        program: str,
        options: Sequence[str],
        limit: int,
        known: Mapping[str, Any] | None,
        log: Path,
        patience_s: float,
    ) -> None:
        folder = Path(name).expanduser()
        self.served = str(folder.resolve()) if folder.is_dir() else name
        """What the server calls the model."""
        self.log = log
        self.deaths = 0
        """How often the server ended by itself since it was entered."""
        self._name = f"vllm:{name}"
        who = fingerprint(folder, patterns=FILES) if folder.is_dir() else name
        self._fingerprint = digest("vllm", who, *([list(options)] if options else []))
        self._command = [program, "serve", self.served, *options]
        self._limit, self._patience_s = limit, patience_s
        self._key = secrets.token_urlsafe(32)
        self._port = free_port()
        self._endpoint = self._connection(known)
        self._child: Child | None = None
        self._users = 0
        self._door = asyncio.Lock()
        self._ready = asyncio.Event()
        self._asking: set[asyncio.Future[Any]] = set()
        self._failure: HomeschoolError | None = None
        self._starting_since = 0.0
        self._watcher: asyncio.Task[None] | None = None

    @staticmethod
    def open(
        name: str,
        *,
        limit: int = 256,
        known: Mapping[str, Any] | None = None,
        log: Path | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Vllm:
        """The model `vllm:NAME_OR_FOLDER` (the prefix may be left away), with at most `limit` requests in flight.

        A name is what the Hub calls it. Nothing is started yet. known: as an endpoint's. log: where the server's output
        goes (default: a new file among the temporary ones). Raises UsageError if there is no vLLM, no such folder, or
        HOMESCHOOL_VLLM_ARGS has an option that is ours to give.
        """
        name = name.removeprefix("vllm:")
        if not name:
            raise UsageError("'vllm:' names no model", hint="write vllm:ORG/NAME or vllm:FOLDER")
        if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
            raise UsageError(f"cannot serve {name!r}: there is no such folder", hint="check the path of the model")
        options = shlex.split(os.environ.get("HOMESCHOOL_VLLM_ARGS", ""))
        taken = [option for option in options if option.split("=")[0] in OURS]
        if taken:
            raise UsageError(
                f"HOMESCHOOL_VLLM_ARGS sets {taken[0]!r}, which is chosen anew for every start",
                hint=f"leave out {', '.join(OURS)}",
            )
        program = find_program(name)
        log = log or Path(tempfile.mkdtemp(prefix="homeschool-vllm-")) / "vllm.log"
        return Vllm(name, program=program, options=options, limit=limit, known=known, log=log, patience_s=patience_s)

    @property
    def known(self) -> dict[str, Any] | None:
        """What was found out about the server, as an endpoint's."""
        return self._endpoint.known

    @known.setter
    def known(self, known: Mapping[str, Any] | None) -> None:
        assert not self._users, "what is known of a server is set before it is entered"
        self._endpoint = self._connection(known)

    @property
    def card(self) -> ModelCard:
        """Complete once the server is `known`; who it is, always."""
        return replace(self._endpoint.card, name=self._name, fingerprint=self._fingerprint)

    def state(self) -> str:
        """What it waits for: the server's start, or what an endpoint waits for."""
        if self._starting_since:
            return f"{self._name} has been starting for {time.monotonic() - self._starting_since:.0f} s"
        return self._endpoint.state() if isinstance(self._endpoint, Waiting) else ""

    async def generate(self, request: Request) -> list[Completion]:
        return await self._asked(lambda endpoint: endpoint.generate(request))

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[tuple[float, ...]]:
        return await self._asked(lambda endpoint: endpoint.score(prompt, continuations))

    async def __aenter__(self) -> Vllm:
        if not self._users and not self._door.locked():
            self._door = asyncio.Lock()  # a lock belongs to one event loop, a model may see several
        async with self._door:
            if self._child is None:
                await self._begin()
            self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users:
            async with self._door:
                if not self._users:  # nobody came in meanwhile
                    await self._end()

    async def _asked(self, ask: Callable[[Endpoint], Awaitable[T]]) -> T:
        """What `ask` gets, asked again if the server died meanwhile."""
        assert self._users, "enter the model (async with) before asking it"
        while True:
            await self._ready.wait()
            if self._failure is not None:
                raise self._failure
            asking = asyncio.ensure_future(ask(self._endpoint))
            self._asking.add(asking)
            try:
                return await asking
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not asking.cancelled() or (task is not None and task.cancelling()):
                    raise
            finally:
                self._asking.discard(asking)

    async def _begin(self) -> None:
        self._failure, self.deaths, self._ready = None, 0, asyncio.Event()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._end_child)
            for attempt in range(PORTS):
                self._port = free_port()
                try:
                    await self._launch()
                    break
                except PortTaken:
                    if attempt == PORTS - 1:
                        raise
            self._endpoint = self._connection(self.known)
            await self._endpoint.__aenter__()
            undo.pop_all()
        self._watcher = asyncio.create_task(self._watch())
        self._ready.set()

    async def _end(self) -> None:
        assert self._watcher is not None
        self._ready.clear()
        self._watcher.cancel()
        await asyncio.wait([self._watcher])
        try:
            await self._endpoint.__aexit__(None, None, None)
        finally:
            await self._end_child()

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop()

    async def _watch(self) -> None:
        """Starts the server again when it dies; gives up, and tells whoever is waiting, at the third death."""
        while self._failure is None:
            assert self._child is not None
            await self._child.ended()
            await self._child.stop()
            self.deaths += 1
            self._ready.clear()
            lost = list(self._asking)
            for asking in lost:
                asking.cancel()
            await asyncio.gather(*lost, return_exceptions=True)
            try:
                if self.deaths > RESTARTS:
                    raise StoppedError(
                        f"vLLM died {self.deaths} times serving {self.served!r}, at last with code {self._child.code}",
                        hint=self._child.words(),
                    )
                await self._launch()
                # Connections of its own: what the old ones learnt of an outage would only slow them down.
                await self._endpoint.__aexit__(None, None, None)
                await self._endpoint.__aenter__()
            except HomeschoolError as error:
                self._failure = error
            except OSError as error:
                self._failure = StoppedError(f"vLLM could not be started again ({error})", hint="free what is missing")
            self._ready.set()

    def _connection(self, known: Mapping[str, Any] | None) -> Endpoint:
        address = f"http://127.0.0.1:{self._port}/v1"
        return Endpoint(address, self.served, limit=self._limit, known=known, key=self._key)

    async def _launch(self) -> None:
        """Start a server on our port and wait until it answers. Raises StoppedError if it ends or takes too long."""
        command = [*self._command, "--host", "127.0.0.1", "--port", str(self._port)]
        self._child = child = Child(command, secret=("VLLM_API_KEY", self._key), log=self.log)
        self._starting_since = time.monotonic()
        try:
            child.start()
            while not await self._answers():
                if await child.ended(POLL_S):
                    taken = any("address already in use" in line.lower() for line in child.tail())
                    said = f"vLLM ended with code {child.code} before it could serve {self.served!r}"
                    raise (PortTaken if taken else StoppedError)(said, hint=child.words())
                if time.monotonic() - self._starting_since > self._patience_s:
                    words = child.words()
                    await child.stop()
                    raise StoppedError(
                        f"vLLM did not serve {self.served!r} within {self._patience_s:.0f} s", hint=words
                    )
        finally:
            self._starting_since = 0.0

    async def _answers(self) -> bool:
        """Whether our server is healthy and has our model."""
        own = aiohttp.ClientSession(
            f"http://127.0.0.1:{self._port}",
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=aiohttp.ClientTimeout(total=5),
        )
        async with own as session:
            with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
                async with session.get("/health") as reply:
                    if reply.status != 200:
                        return False
                async with session.get("/v1/models") as reply:
                    offered: Mapping[str, Any] = await reply.json()
                    return any(model.get("id") == self.served for model in offered.get("data", []))
        return False


class PortTaken(HomeschoolError):
    """Somebody else listens on the port that was free a moment ago."""


def find_program(name: str) -> str:
    """The path of `vllm`: HOMESCHOOL_VLLM, else from the PATH. Raises UsageError."""
    named = os.environ.get("HOMESCHOOL_VLLM", "")
    if named:
        path = Path(named).expanduser().absolute()
        if not path.is_file() or not os.access(path, os.X_OK):
            raise UsageError(f"HOMESCHOOL_VLLM is {named!r}, which is not a program", hint="give the path of `vllm`")
        return str(path)
    found = shutil.which("vllm")
    if found is None:
        raise UsageError(
            f"there is no `vllm` to serve {name!r} with",
            hint="python -m venv ~/vllm && ~/vllm/bin/pip install vllm && export HOMESCHOOL_VLLM=~/vllm/bin/vllm",
        )
    return str(Path(found).absolute())


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]
