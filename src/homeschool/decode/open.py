"""Opening a model by name, in one place: a checkpoint on this machine becomes a model through a strategy.

An endpoint already is a model, and so is a vLLM server of our own. Every layer above gets its models as arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from homeschool.core.discover import implementations, load
from homeschool.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from homeschool.core.protocols import Model
    from homeschool.models.local import Checkpoint


REMOTE = ("http://", "https://", "vllm:")


def open_model(
    name: str,
    *,
    strategy: str = "sample",
    device: str = "auto",
    concurrency: int = 256,
    log: Path | None = None,
    known: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> Model:
    """The model `name`: an endpoint (`http://HOST/v1#MODEL`), `vllm:NAME_OR_FOLDER`, or as `open_checkpoint` has it.

    A checkpoint is decoded by the `strategy` of that name in this folder. `concurrency` bounds the requests that an
    endpoint gets at once, `known` is what was found out about it before, `key` stands in for the
    environment's; `log` is the file for the words of a vLLM
    server. Raises UsageError.
    """
    if name.startswith("vllm:"):
        from homeschool.models.vllm import Vllm

        return Vllm.open(name, limit=concurrency, log=log, known=known)
    if name.startswith(REMOTE):
        from homeschool.models.endpoint import Endpoint

        return Endpoint.open(name, limit=concurrency, known=known, key=key)
    decoder = load("homeschool.decode", strategy, "strategy", kind="strategy")
    return decoder(open_checkpoint(name, device=device))


def open_checkpoint(name: str, *, device: str = "auto") -> Checkpoint:
    """The checkpoint `name`: `nano` (shipped), a folder, or `hf:ORG/NAME`. Raises UsageError."""
    if name.startswith(REMOTE):
        raise UsageError(
            f"{name!r} has no weights that could be read here", hint="give 'nano', a folder, or hf:ORG/NAME"
        )
    from homeschool.models.local import Checkpoint

    if name != "nano":
        return Checkpoint.open(name, device=device)
    from homeschool.models import nano

    checkpoint = Checkpoint.open(str(nano.folder()), device=device)
    checkpoint.name = name
    return checkpoint


def strategies() -> list[str]:
    """Names of the files here that offer a `strategy`."""
    return [entry["name"] for entry in implementations("homeschool.decode", "strategy")]
