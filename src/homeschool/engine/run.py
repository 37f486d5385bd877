"""The run folder: what a person can read, and what makes the same command go on where it was.

    run.json      kind, settings, digest of both, seed, versions, and what was probed (written once, then reused)
    answers.db    every answer of every model (answers-2-of-8.db, if a part of the run was done by a process of its own)
    rows/, dropped/, checkpoints/, exam/, ...: as the work writes them

A folder belongs to one run. Opening it with other settings is refused and the difference named; so is a folder with
other files in it, and a run that another process is writing. Several processes may share a run in parts ("2 of 8"),
each with an answer store of its own. Versions are on record but not compared: a run may go on
after an upgrade, only no longer bit by bit.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a run a process does: the `number`th of `of`, counted from 1."""

    number: int = 1
    of: int = 1

    @staticmethod
    def parse(text: str) -> Part:
        """The part that `2/8` names. Raises UsageError."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise UsageError(f"{text!r} is no part of a run", hint="write `--shard 2/8` for the second of eight parts")
        return Part(int(number), int(of))

    def has(self, index: int) -> bool:
        """Whether the piece `index` of the work, counted from 0, belongs to this part."""
        return index % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"


class Run:
    """An open run folder. Made by `Run.open`; a context manager."""

    def __init__(self, folder: Path, record: dict[str, Any], *, locks: ExitStack, part: Part) -> None:
        self.folder = folder
        self.record = record
        """What run.json holds."""
        self.part = part
        self._locks = locks
        self._answers: AnswerStore | None = None

    @staticmethod
    def open(
        out: Path, *, kind: str, settings: Mapping[str, Any], part: Part | None = None, loose: Sequence[str] = ()
    ) -> Run:
        """Begin a run in `out`, or go on with the one that is there; with `part`, only that part of it.

        `settings` is the whole resolved config (`seed` is read from it, default 0); those named in `loose` are on
        record but may differ next time. Raises UsageError if `out` holds
        another run or other files, or if another process has it (or this part of it) open.
        """
        part = part or Part()
        with ExitStack() as undo:
            folder = _claim(out)
            locks = undo.enter_context(ExitStack())
            _lock(folder / LOCK, folder, locks, shared=part.of > 1)
            if part.of > 1:
                _lock(folder / f"{LOCK}-{part}", folder, locks, shared=False)
            undo.enter_context(alone(folder))
            _lock_split(folder, part, locks)
            wanted = json.loads(json.dumps(plain(settings)))
            bound = {name: value for name, value in wanted.items() if name not in loose}
            record = _load(folder / RECORD)
            if record is None:
                record = {
                    "kind": kind,
                    "settings": wanted,
                    "digest": digest("run", kind, bound),
                    "seed": wanted.get("seed", 0),
                    "versions": _versions(),
                    "probed": {},
                }
                write_json(folder / RECORD, record)
            elif record["digest"] != digest("run", kind, bound):
                before = {name: value for name, value in record["settings"].items() if name not in loose}
                raise _another_run(folder, {**record, "settings": before}, {"kind": kind, **bound})
            return Run(folder, record, locks=locks.pop_all(), part=part)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._answers is not None:
            self._answers.close()
            self._answers = None
        self._locks.close()

    @property
    def seed(self) -> int:
        return self.record["seed"]

    @property
    def answers(self) -> AnswerStore:
        """The run's answer store, opened on first use. It reads those of the run's other parts too."""
        return self.open_answers()

    def open_answers(self, *, reuse: Sequence[Path] = ()) -> AnswerStore:
        """The run's answer store, which also gives what the runs in the folders `reuse` were answered."""
        if self._answers is None:
            own = self.path(f"answers-{self.part}.db" if self.part.of > 1 else "answers.db")
            others = [path for folder in (self.folder, *reuse) for path in answer_files(folder) if path != own]
            self._answers = AnswerStore(own, reads=others)
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
            made = json.loads(json.dumps(plain(make())))
            with alone(self.folder):  # of several parts the first to know decides
                self.record = _load(self.folder / RECORD) or self.record
                self.record["probed"].setdefault(name, made)
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


def probed(folder: Path) -> dict[str, Any]:
    """What a run in `folder` has found out so far (see `Run.probed`); nothing if there is no run yet."""
    return (_load(folder / RECORD) or {}).get("probed", {})


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
    strangers = [name for name in found if not name.startswith(LOCK) and name != f"{RECORD}.part"]
    if strangers and RECORD not in found:
        raise UsageError(f"{out} is not a run and not empty (it holds {strangers[0]!r})", hint="choose another --out")
    return out


def answer_files(folder: Path) -> list[Path]:
    """The answer stores of a run: one, or one for every part that was done by a process of its own."""
    return sorted(folder.glob("answers*.db"))


def _lock(path: Path, folder: Path, locks: ExitStack, *, shared: bool) -> None:
    """Hold the lock `path` until `locks` is closed; the system lets go of it when the process ends, however it ends.

    A record lock (lockf) and not flock, because a worker forked from a killed process would inherit the latter.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})", hint="choose another --out") from error
    locks.callback(os.close, lock)
    try:
        fcntl.lockf(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise UsageError(
            f"process {holder} is writing the run {folder}", hint="wait until it ends, or choose another --out"
        ) from error
    with full_disk_stops(path):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _lock_split(folder: Path, part: Part, locks: ExitStack) -> None:
    """Refuse to split a run in eight while others do it in four: both would write the same shards."""
    for path in folder.glob(f"{LOCK}-split-*"):
        if path.name != f"{LOCK}-split-{part.of}":
            with ExitStack() as tried:
                _lock(path, folder, tried, shared=False)
    _lock(folder / f"{LOCK}-split-{part.of}", folder, locks, shared=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Waits until no other part of the run writes what they share: run.json, the papers at its end."""
    lock = os.open(folder / f"{LOCK}-record", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


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
