"""A stand-in for the program `vllm`: the same command line, the same signals and processes, no model.

It answers as tests/openai_server.py does, under the key in VLLM_API_KEY, and has two workers below it as vLLM has
engines: both ignore SIGTERM, and the second leaves the process group. Every process writes its id into the folder
FAKE_VLLM_DIR, as `LIFE.ROLE`, so that a test can see who is left. FAKE_VLLM is a JSON object of faults:

    {"slow": SECONDS, "broken": true, "port_taken": LIVES, "die_after": REQUESTS, "deaths": LIVES, "stubborn": true}
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import web
from openai_server import Options, StandIn

FOLDER = Path(os.environ["FAKE_VLLM_DIR"])
FAULTS = json.loads(os.environ.get("FAKE_VLLM", "{}"))


def main() -> None:
    life = len(list(FOLDER.glob("*.server"))) + 1
    (FOLDER / f"{life}.server").write_text(str(os.getpid()))
    (FOLDER / f"{life}.command").write_text(json.dumps({"argv": sys.argv, "environ": dict(os.environ)}))
    print(f"life {life} of vLLM, in debt with its key {os.environ['VLLM_API_KEY']}", flush=True)
    given = dict(zip(sys.argv[3::2], sys.argv[4::2], strict=True))
    assert sys.argv[1] == "serve" and given["--host"] == "127.0.0.1", sys.argv
    if FAULTS.get("broken"):
        sys.exit("RuntimeError: CUDA out of memory")
    if life <= FAULTS.get("port_taken", 0):
        sys.exit("OSError: [Errno 98] Address already in use")
    for role in ("worker", "escaped"):
        if os.fork() == 0:
            work(life, role)
    if FAULTS.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(FAULTS.get("slow", 0))
    asyncio.run(serve(life, sys.argv[2], int(given["--port"])))


def work(life: int, role: str) -> NoReturn:
    """What an engine looks like from outside: a process that holds on."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if role == "escaped":
        os.setsid()
    (FOLDER / f"{life}.{role}").write_text(str(os.getpid()))
    while True:
        time.sleep(60)


async def serve(life: int, model: str, port: int) -> None:
    stand_in = StandIn(Options(models=[model], key=os.environ["VLLM_API_KEY"], latency=0.02, context=4096))
    left = FAULTS.get("die_after", 0) if life <= FAULTS.get("deaths", 0) else 0

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal left
        if request.path == "/health":
            return web.Response()
        if left > 0 and b"question" in await request.read():  # and not a probe
            left -= 1
            if left == 0:
                print("EngineDeadError", flush=True)
                os._exit(7)
        return await stand_in.handle(request)

    runner = web.ServerRunner(web.Server(handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    ended = asyncio.Event()
    if not FAULTS.get("stubborn"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    main()
