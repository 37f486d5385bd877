"""What a git repository holds at HEAD, read from its objects without letting it do anything.

Neither its working tree nor its index is looked at: `ls-tree` names the files and `cat-file` gives their bytes, so no
filter, hook, monitor, pager or attribute of the repository ever runs. Of configuration only its own is read, and with
every transport forbidden and lazy fetching off a repository that lacks objects cannot make git call anyone. What
would read from elsewhere (a link out of `.git`, borrowed objects, a `.git` file that another repository does not
confirm) is refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.engine.sources.documents import Reader
from homeschool.engine.sources.files import PassedOver, listed, read_plain

_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "gc.auto=0")
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": os.devnull,
    "LC_ALL": "C",
}
_MOST_FILES = 1_000_000
"""A few kilobytes of trees that hold themselves many times over can name billions of files."""


class Blob(NamedTuple):
    """A tracked file: the name of its content, and its size in bytes."""

    name: str
    size: int


def is_repository(folder: Path) -> bool:
    """Whether it is a working tree or a bare repository."""
    return os.path.lexists(folder / ".git") or _is_store(folder)


def store_of(folder: Path) -> Path:
    """What git calls the GIT_DIR of a working tree or of a bare repository. Raises UsageError if it is none, or if it
    would read from anywhere else."""
    dot = folder / ".git"
    if dot.is_file() and not dot.is_symlink():
        store, shared = _linked(dot)
    else:
        store = shared = dot if dot.is_dir() and not dot.is_symlink() else folder
    if not _is_store(shared):
        raise UsageError(f"{folder} is not a git repository", hint="name the folder that holds .git")
    if outside := _outside(shared):
        raise UsageError(
            f"{folder} borrows from outside itself through {outside}", hint="clone it whole: git clone --no-local"
        )
    return store


def tracked(folder: Path, store: Path) -> tuple[dict[str, Blob], Counter[str]]:
    """The plain files at HEAD by path, in order, and what is no plain file there, counted."""
    notes = Counter[str]()
    blobs: dict[str, Blob] = {}
    with _git(store, ["ls-tree", "-r", "-z", "-l", "--full-tree", "HEAD"]) as process:
        for count, entry in enumerate(_until_zero(process.stdout), start=1):
            if count > _MOST_FILES:
                raise UsageError(f"{folder} has more than {_MOST_FILES} files", hint="name a folder of it")
            about, _, raw = entry.partition(b"\t")
            mode, _, name, size = about.decode().split()
            try:
                path = raw.decode("utf-8")
            except UnicodeDecodeError:
                path = ""
            if mode in ("120000", "160000"):
                notes["symlink" if mode == "120000" else "submodule"] += 1
            elif not path.isprintable() or not path:
                notes["unprintable name"] += 1
            else:
                # A file whose size is unknown is missing: reading it says so.
                blobs[path] = Blob(name, int(size) if size.isdigit() else 0)
        failed = process.wait()
    if failed:
        raise UsageError(f"{folder} has no commit that can be read", hint="commit its files, and fetch them all")
    return dict(sorted(blobs.items())), notes


@contextmanager
def reading(store: Path, blobs: dict[str, Blob], *, most: int) -> Iterator[Reader]:
    """Gives a function from a tracked path to its bytes; larger files than `most` bytes are passed over."""
    with _git(store, ["cat-file", "--batch"]) as process:

        def read(path: str) -> bytes:
            blob = blobs[path]
            if blob.size > most:
                raise PassedOver("too large")
            return _content(process, blob)

        yield read


def _content(process: subprocess.Popen[bytes], blob: Blob) -> bytes:
    asking, answers = process.stdin, process.stdout
    assert asking is not None and answers is not None
    try:
        asking.write(f"{blob.name}\n".encode())
        asking.flush()
    except BrokenPipeError:
        pass  # the answer is then missing, too
    head = answers.readline().split()
    if len(head) == 2:
        raise PassedOver("missing from the repository")
    if len(head) != 3 or int(head[2]) != blob.size:
        raise HomeschoolError(f"git gave no content of {blob.name}", hint="check the repository with git fsck")
    return answers.read(blob.size + 1)[:-1]


@contextmanager
def _git(store: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A running git that can only read; ended when the block is left."""
    git = shutil.which("git")
    if git is None:
        raise UsageError("a git repository cannot be read without git", hint="install git")
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    process = subprocess.Popen(
        [git, "--no-pager", *settings, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**_ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": str(store.absolute())},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _until_zero(stream: IO[bytes] | None) -> Iterator[bytes]:
    assert stream is not None
    rest = b""
    while block := stream.read(2**16):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole


def _is_store(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _outside(store: Path) -> str:
    """A part of the repository that git would read from outside it, or ""."""
    lenders = [part for part in ("commondir", "objects/info/alternates") if os.path.lexists(store / part)]
    links = [part for part in ("HEAD", "packed-refs", "objects", "refs") if (store / part).is_symlink()]
    inner = [f"a link in {part}" for part in ("objects", "refs") if listed(store / part).notes["symlink"]]
    return next(iter((*lenders, *links, *inner)), "")


def _linked(dot: Path) -> tuple[Path, Path]:
    """The GIT_DIR of a linked working tree and the repository it belongs to.

    That repository must know the tree: a `.git` file by itself could name any repository of this machine.
    """
    try:
        named = read_plain(dot, most=4096).decode("utf-8").strip().removeprefix("gitdir: ")
        tree = (dot.parent / named).resolve()
        back = read_plain(tree / "gitdir", most=4096).decode("utf-8").strip()
        shared = (tree / read_plain(tree / "commondir", most=4096).decode("utf-8").strip()).resolve()
        if Path(back).resolve() == dot.resolve() and tree.parent.parent == shared:
            return tree, shared
    except (PassedOver, ValueError):
        pass  # what is not there does not know it either
    raise UsageError(f"{dot} names a repository that does not know this folder", hint="name that one's own folder")
