"""Opening a model by name, in one place: a checkpoint on this machine becomes a model through a strategy.

Every layer above gets its models as arguments. Refused: endpoints and vLLM, which this version does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeschool.core.discover import implementations, load
from homeschool.core.errors import UsageError

if TYPE_CHECKING:
    from homeschool.core.protocols import BatchModel
    from homeschool.models.local import Checkpoint


def open_model(name: str, *, strategy: str = "sample", device: str = "auto") -> BatchModel:
    """The model `name` (see `open_checkpoint`), decoded by the file of that name in this folder."""
    decoder = load("homeschool.decode", strategy, "strategy", kind="strategy")
    return decoder(open_checkpoint(name, device=device))


def open_checkpoint(name: str, *, device: str = "auto") -> Checkpoint:
    """The checkpoint `name`: `nano` (shipped), a folder, or `hf:ORG/NAME`. Raises UsageError."""
    if name.startswith(("http://", "https://", "vllm:")):
        raise UsageError(
            f"cannot open {name!r}: only local models are supported in this version",
            hint="give 'nano', a folder, or hf:ORG/NAME",
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
