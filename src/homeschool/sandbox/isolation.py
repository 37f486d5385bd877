"""Which wall there is on this machine, and the refusal where there is none. Nothing is run behind less than was asked.

`bubblewrap` where it is installed, else `namespaces`: user, pid, mount, network, IPC and UTS namespaces by the kernel's
own calls, landlock where the kernel has it. Both have the same system-call filter, limits and keeper. `none` is taken
only when a person asks for it by name, and stands on every verdict from then on.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from homeschool.core.errors import RefusedError, UsageError, nearest
from homeschool.sandbox.world import interpreter, world

VARIABLE = "HOMESCHOOL_SANDBOX"
"""Names the isolation for this process and all it starts; `--sandbox` sets it."""
HINT = (
    "apt install bubblewrap and allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1 "
    "kernel.apparmor_restrict_unprivileged_userns=0), or go on unwalled by `--sandbox none`"
)
KINDS = ("bubblewrap", "namespaces", "none")


def marked(verifier: str) -> str:
    """A verifier's name, as it stands on its verdicts: with `+no-sandbox` where programs run without a wall."""
    return f"{verifier}+no-sandbox" if os.environ.get(VARIABLE) == "none" else verifier


def chosen(name: str | None = None) -> tuple[str, ...]:
    """The isolations to try, best first. Raises UsageError for an unknown one, RefusedError where there can be none."""
    name = name or os.environ.get(VARIABLE) or "auto"
    if name != "auto" and name not in KINDS:
        raise UsageError(f"unknown sandbox {name!r}", hint=nearest(name, (*KINDS, "auto")))
    if name == "bubblewrap" and not shutil.which("bwrap"):
        raise RefusedError("bubblewrap is not installed", hint="apt install bubblewrap, or --sandbox namespaces")
    if name != "none" and sys.platform != "linux":
        raise RefusedError(
            f"the sandbox needs Linux, and this is {sys.platform}",
            hint="run in a Linux machine or virtual machine; `--sandbox none` runs programs without a wall",
        )
    if name == "auto":
        return ("bubblewrap", "namespaces") if shutil.which("bwrap") else ("namespaces",)
    return (name,)


def world_of(isolation: str, *, python: str | None = None) -> dict[str, Any]:
    """What a box of this isolation is started with. Raises RefusedError if its filter cannot be made."""
    if isolation == "none":
        return world(isolation, interpreter(python))
    from homeschool.sandbox.filter import staged

    return world(isolation, interpreter(python), bwrap=shutil.which("bwrap") or "", filters=staged())


def refusal(reasons: dict[str, str]) -> RefusedError:
    """The error of a machine where no wall stands. `reasons` by isolation."""
    said = "; ".join(f"{name}: {why}" for name, why in reasons.items())
    return RefusedError(f"no sandbox can be had here ({said})", hint=HINT)
