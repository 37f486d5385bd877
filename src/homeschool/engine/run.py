"""The run folder: what a person can read, and what makes the same command go on where it was.

    run.json      kind, settings, digest of both, seed, versions, and what was probed (written once, then reused)
    answers.db    every answer of every model
    rows/, dropped/, checkpoints/, exam/, ...: as the work writes them

A folder belongs to one run. Opening it with other settings is refused and the difference named; so is a folder with
other files in it, and a run that another process is writing. Versions are on record but not compared: a run may go on
after an upgrade, only no longer bit by bit.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from homeschool import __version__
from homeschool.core.config import plain
from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.identity import digest
from homeschool.engine.answers import AnswerStore
from homeschool.engine.files import full_disk_stops, write_json

RECORD = "run.json"
LOCK = ".lock"
PACKAGES = ("torch", "transformers")


class Run:
    """An open run folder. Made by `Run.open`; a context manager."""

    def __init__(self, folder: Path, record: dict[str, Any], *, lock: int) -> None:
        self.folder = folder
        self.record = record
        """What run.json holds."""
        self._lock = lock
        self._answers: AnswerStore | None = None

    @staticmethod
    def open(out: Path, *, kind: str, settings: Mapping[str, Any]) -> Run:
        """Begin a run in `out`, or go on with the one that is there.

        `settings` is the whole resolved config (`seed` is read from it, default 0). Raises UsageError if `out` holds
        another run or other files, or if another process has it open.
        """
        folder = _claim(out)
        lock = _locked(folder)
        with ExitStack() as undo:
            undo.callback(os.close, lock)
            wanted = json.loads(json.dumps(plain(settings)))
            record = _load(folder / RECORD)
            if record is None:
                record = {
                    "kind": kind,
                    "settings": wanted,
                    "digest": digest("run", kind, wanted),
                    "seed": wanted.get("seed", 0),
                    "versions": _versions(),
                    "probed": {},
                }
                write_json(folder / RECORD, record)
            elif record["digest"] != digest("run", kind, wanted):
                raise _another_run(folder, record, {"kind": kind, **wanted})
            undo.pop_all()
        return Run(folder, record, lock=lock)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._answers is not None:
            self._answers.close()
            self._answers = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def seed(self) -> int:
        return self.record["seed"]

    @property
    def answers(self) -> AnswerStore:
        """The run's answer store, opened on first use."""
        if self._answers is None:
            self._answers = AnswerStore(self.path("answers.db"))
        return self._answers

    def path(self, *parts: str | int) -> Path:
        """A path in the folder; the folder above it exists."""
        path = self.folder.joinpath(*map(str, parts))
        with full_disk_stops(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def probed(self, name: str, make: Callable[[], Any]) -> Any:
        """A fact that was measured or timed (micro-batch, concurrency): `make()` the first time, and from then on that.

        Time must not decide anything twice. The value is what JSON makes of it (tuples are lists), the first time too.
        """
        if name not in self.record["probed"]:
            self.record["probed"][name] = json.loads(json.dumps(plain(make())))
            write_json(self.folder / RECORD, self.record)
        return self.record["probed"][name]

    def save_json(self, name: str, value: Any) -> None:
        """Write `value` to the file `name` (a path in the folder, as `rounds/2/gate.json`), aside and renamed."""
        write_json(self.path(name), plain(value))

    def load_json(self, name: str) -> Any:
        """What `save_json` wrote, or None if it has not. Raises HomeschoolError if the file is damaged."""
        return _load(self.folder / name)


def read_run(folder: Path) -> dict[str, Any]:
    """The run.json of a folder, for those who only look. Raises UsageError if the folder is not a run."""
    record = _load(folder / RECORD)
    if record is None:
        raise UsageError(f"{folder} is not a run (it has no {RECORD})", hint="name a folder that was given as --out")
    return record


def _claim(out: Path) -> Path:
    """The folder, made if absent; refused if it holds anything but a run or the first moments of one."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", hint="choose another --out")
    try:
        with full_disk_stops(out):
            out.mkdir(parents=True, exist_ok=True)
            found = sorted(path.name for path in out.iterdir())
    except OSError as error:
        raise UsageError(f"{out} cannot be used ({error.strerror})", hint="choose another --out") from error
    strangers = [name for name in found if name not in (LOCK, f"{RECORD}.part")]
    if strangers and RECORD not in found:
        raise UsageError(f"{out} is not a run and not empty (it holds {strangers[0]!r})", hint="choose another --out")
    return out


def _locked(folder: Path) -> int:
    """A file descriptor that holds the folder's lock; the system lets go of it when the process ends, however it ends.

    A record lock (lockf) and not flock, because a worker forked from a killed process would inherit the latter.
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})", hint="choose another --out") from error
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise UsageError(
            f"process {holder} is writing the run {folder}", hint="wait until it ends, or choose another --out"
        ) from error
    with full_disk_stops(folder / LOCK):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise HomeschoolError(f"{path} is damaged ({error})", hint="move it away, or choose another --out") from error


def _another_run(folder: Path, record: Mapping[str, Any], wanted: Mapping[str, Any]) -> UsageError:
    """Names up to three settings that differ, with both values."""
    before = {name: repr(value) for name, value in _flat({"kind": record["kind"], **record["settings"]})}
    now = {name: repr(value) for name, value in _flat(wanted)}
    differ = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    told = [f"{name} was {before.get(name, 'not set')} and is {now.get(name, 'not set')}" for name in differ[:3]]
    more = f", and {len(differ) - 3} more" if len(differ) > 3 else ""
    return UsageError(f"{folder} holds another run: {', '.join(told)}{more}", hint="choose another --out")


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def _versions() -> dict[str, str]:
    """Of Python and of the packages that decide numbers, read from their metadata: importing torch takes seconds."""
    versions = {"homeschool": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
