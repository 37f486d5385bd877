"""The managed server, against a stand-in executable: nothing that it started may be left, however a run ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from homeschool.core.errors import HomeschoolError, StoppedError, UsageError
from homeschool.core.records import Message, Request, Sampling
from homeschool.models import child, vllm
from homeschool.models.vllm import Vllm

FAKE = Path(__file__).with_name("fake_vllm.py")
ROOT = Path(__file__).resolve().parents[2]
QUESTION = Request((Message("user", "how are you"),), Sampling(temperature=0, max_tokens=8))


class Stage:
    """What a test may set, and what the stand-in left there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.log = folder / "logs" / "vllm.log"

    def faults(self, **faults: Any) -> None:
        self._monkeypatch.setenv("FAKE_VLLM", json.dumps(faults))

    def lives(self) -> int:
        return len(list(self.folder.glob("*.server")))

    def command(self) -> dict[str, Any]:
        return json.loads((self.folder / "1.command").read_text())

    def left(self) -> list[str]:
        """Which of the processes that ever started are still there."""
        places = [place for role in ("server", "worker", "escaped") for place in self.folder.glob(f"*.{role}")]
        return [place.name for place in places if alive(int(place.read_text()))]

    def wait_until_nobody_is_left(self) -> None:
        deadline = time.monotonic() + 10
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.left() == []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HOMESCHOOL_VLLM", str(program))
    monkeypatch.setenv("FAKE_VLLM_DIR", str(tmp_path))
    monkeypatch.delenv("HOMESCHOOL_VLLM_ARGS", raising=False)
    monkeypatch.setattr(child, "GRACE_S", 0.5)
    monkeypatch.setattr(vllm, "POLL_S", 0.05)
    return Stage(tmp_path, monkeypatch)


def test_it_starts_serves_and_leaves_nobody(stage: Stage) -> None:
    async def run() -> tuple[str, list[str]]:
        async with Vllm.open("org/name", log=stage.log) as model:
            (answer,) = await model.generate(QUESTION)
            return answer.text, stage.left()

    text, there = asyncio.run(run())
    assert text
    assert sorted(there) == ["1.escaped", "1.server", "1.worker"]
    assert stage.left() == []


def test_it_starts_once_for_all_who_enter_and_ends_with_the_last(stage: Stage) -> None:

    async def run() -> None:
        model = Vllm.open("org/name", log=stage.log)

        async def user(stays_s: float) -> None:
            async with model:
                await model.generate(QUESTION)
                await asyncio.sleep(stays_s)
                await model.generate(QUESTION)

        await asyncio.gather(user(0), user(0.2), user(0.1))
        assert stage.left() == []
        async with model:
            await model.generate(QUESTION)

    asyncio.run(run())
    assert stage.lives() == 2
    assert stage.left() == []


def test_an_exception_ends_it_too(stage: Stage) -> None:
    async def run() -> None:
        async with Vllm.open("org/name", log=stage.log):
            raise RuntimeError("in the middle of it")

    with pytest.raises(RuntimeError, match="in the middle"):
        asyncio.run(run())
    assert stage.lives() == 1
    assert stage.left() == []


def test_the_program_gets_options_and_a_key_of_its_own_and_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")
    monkeypatch.setenv("HOMESCHOOL_VLLM_ARGS", "--max-model-len 4096")

    async def run() -> int:
        async with Vllm.open("org/name", log=stage.log) as model:
            return model.card.context

    assert asyncio.run(run()) == 4096
    command = stage.command()
    assert command["argv"][1:5] == ["serve", "org/name", "--max-model-len", "4096"]
    key = command["environ"]["VLLM_API_KEY"]
    assert len(key) > 30
    assert key not in " ".join(command["argv"])
    assert "OPENAI_API_KEY" not in command["environ"]


def test_a_server_that_ignores_the_end_is_killed(stage: Stage) -> None:
    stage.faults(stubborn=True)

    async def run() -> None:
        async with Vllm.open("org/name", log=stage.log):
            pass

    asyncio.run(run())
    assert stage.lives() == 1
    assert stage.left() == []


def test_being_cancelled_while_it_starts_ends_it(stage: Stage) -> None:
    stage.faults(slow=60)

    async def run() -> None:
        entering = asyncio.create_task(Vllm.open("org/name", log=stage.log).__aenter__())
        async with asyncio.timeout(10):
            while len(stage.left()) < 3:
                await asyncio.sleep(0.05)
        entering.cancel()
        await entering

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert stage.lives() == 1
    assert stage.left() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_is_gone_when_its_owner_is_killed(stage: Stage, number: signal.Signals) -> None:
    program = (
        "import asyncio, sys\n"
        "from homeschool.models.vllm import Vllm\n"
        "async def run():\n"
        "    async with Vllm.open('org/name', log=__import__('pathlib').Path(sys.argv[1])):\n"
        "        print('ready', flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(run())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(stage.log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    assert len(stage.left()) == 3
    owner.send_signal(number)
    owner.communicate(timeout=20)
    stage.wait_until_nobody_is_left()


def test_one_that_cannot_start_shows_the_end_of_its_log_without_the_key(stage: Stage) -> None:
    stage.faults(broken=True)

    async def run() -> None:
        async with Vllm.open("org/name", log=stage.log):
            pass

    with pytest.raises(StoppedError, match=r"ended with code 1 before it could serve 'org/name'") as error:
        asyncio.run(run())
    assert "CUDA out of memory" in error.value.hint
    assert str(stage.log) in error.value.hint
    assert stage.command()["environ"]["VLLM_API_KEY"] not in str(error.value)
    assert "in debt with its key ***" in error.value.hint


def test_one_that_takes_too_long_is_ended(stage: Stage) -> None:
    stage.faults(slow=60)

    async def run() -> None:
        async with Vllm.open("org/name", log=stage.log, patience_s=0.5):
            pass

    with pytest.raises(StoppedError, match="did not serve 'org/name' within"):
        asyncio.run(run())
    assert stage.left() == []


def test_a_port_that_is_taken_is_changed_for_another(stage: Stage) -> None:
    stage.faults(port_taken=1)

    async def run() -> str:
        async with Vllm.open("org/name", log=stage.log) as model:
            return (await model.generate(QUESTION))[0].text

    assert asyncio.run(run())
    assert stage.lives() == 2


def test_no_port_at_all_is_an_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.faults(port_taken=99)
    monkeypatch.setattr(vllm, "PORTS", 2)

    async def run() -> None:
        async with Vllm.open("org/name", log=stage.log):
            pass

    with pytest.raises(HomeschoolError, match="before it could serve"):
        asyncio.run(run())
    assert stage.lives() == 2


def questions(count: int) -> list[Request]:
    asked = [(Message("user", f"question {number}"),) for number in range(count)]
    return [Request(prompt, Sampling(max_tokens=8), seed=number) for number, prompt in enumerate(asked)]


def test_one_that_dies_is_started_again_and_nothing_is_lost(stage: Stage) -> None:
    async def run(deaths: int) -> list[str]:
        stage.faults(die_after=5, deaths=deaths + stage.lives())
        async with Vllm.open("org/name", log=stage.log) as model:
            answers = await asyncio.gather(*(model.generate(request) for request in questions(20)))
            assert model.deaths == deaths
            return [answer.text for (answer,) in answers]

    killed = asyncio.run(run(2))
    assert stage.lives() == 3
    assert killed == asyncio.run(run(0))
    assert stage.left() == []


def test_the_third_death_is_an_error_for_all_who_wait(stage: Stage) -> None:
    stage.faults(die_after=3, deaths=99)

    async def run() -> list[Any]:
        async with Vllm.open("org/name", log=stage.log) as model:
            asked = [model.generate(request) for request in questions(20)]
            return await asyncio.gather(*asked, return_exceptions=True)

    found = [one for one in asyncio.run(run()) if isinstance(one, BaseException)]
    assert len(found) >= 10
    assert {type(one) for one in found} == {StoppedError}
    assert "died 3 times" in str(found[0]) and "EngineDeadError" in str(found[0])
    assert stage.lives() == 3
    assert stage.left() == []


def test_who_it_is_has_no_port_but_the_files_and_the_options(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(name: str) -> str:
        return Vllm.open(name, log=stage.log).card.fingerprint

    assert named("org/name") == named("org/name") != named("org/other")
    folders = [tmp_path / name for name in ("one", "same", "other")]
    for folder in folders:
        folder.mkdir()
        (folder / "config.json").write_text(folder.name[:1] if folder.name == "other" else "{}")
    one, same, other = [named(str(folder)) for folder in folders]
    assert one == same != other
    monkeypatch.setenv("HOMESCHOOL_VLLM_ARGS", "--quantization fp8")
    assert named("org/name") != named("org/other")
    assert named(str(folders[0])) != one


def test_it_says_that_it_starts_and_keeps_what_it_found_out(stage: Stage) -> None:
    stage.faults(slow=0.5)

    async def run() -> tuple[str, str]:
        model = Vllm.open("vllm:org/name", log=stage.log)
        assert model.card.name == "vllm:org/name"
        entering = asyncio.create_task(model.__aenter__())
        await asyncio.sleep(0.2)
        starting = model.state()
        await entering
        ready = model.state()
        await model.__aexit__()
        again = Vllm.open("org/name", log=stage.log)
        again.known = model.known
        assert again.card == model.card
        assert "chat" in again.card.capabilities
        return starting, ready

    starting, ready = asyncio.run(run())
    assert starting.startswith("vllm:org/name has been starting for")
    assert ready == ""


@pytest.mark.parametrize(
    ("settings", "name", "says"),
    [
        ({"HOMESCHOOL_VLLM": "nowhere/vllm"}, "org/name", "'nowhere/vllm', which is not a program"),
        ({"HOMESCHOOL_VLLM": "", "PATH": "/nowhere"}, "org/name", "no `vllm` to serve 'org/name' with"),
        ({"HOMESCHOOL_VLLM_ARGS": "--port=80"}, "org/name", "sets '--port=80'"),
        ({}, "./no/such/folder", "no such folder"),
        ({}, "", "names no model"),
    ],
)
def test_wrong_usage_is_said_before_anything_starts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], name: str, says: str
) -> None:
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=says) as error:
        Vllm.open(name)
    assert error.value.hint
    assert stage.lives() == 0


def test_a_free_port_can_be_bound() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", vllm.free_port()))
        assert held.getsockname()[1] > 0
