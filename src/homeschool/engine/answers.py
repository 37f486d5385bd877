"""The answer store: every answer of a model, under the name of its question, before anyone has seen it.

Resume is replay. A recipe that is run again asks the same questions (`Request.key`), and the store answers. So a
question is paid for once, and a killed run ends with the rows of an undisturbed one.

One SQLite file in WAL mode, one transaction per committed batch. `synchronous=NORMAL` survives any kill of the
process; a power cut may cost the last moments, which are then asked again, and never the file. The same question may
have several entries, one per `max_tokens` it was asked with: an answer that was cut short must not hide, nor be hidden
by, a longer one. Refused: a file that is not such a database. An entry whose checksum is wrong counts as absent.
WAL is not for network file systems: one store per machine.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import Completion
from homeschool.engine.files import disk_is_full, full_disk_stops

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cut INTEGER NOT NULL,
    answer TEXT NOT NULL,
    checksum TEXT NOT NULL,
    asked INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (key, max_tokens)
) WITHOUT ROWID
"""

# The first answer is kept, because somebody has seen it; that it was asked again is counted.
_COMMIT = """
INSERT INTO answers (key, max_tokens, tokens, cut, answer, checksum) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key, max_tokens) DO UPDATE SET asked = asked + 1
"""
_REPAIR = "DELETE FROM answers WHERE key = ? AND max_tokens = ?"
_LOOKUP = """
SELECT key, max_tokens, tokens, cut, answer, checksum FROM answers WHERE key IN ({marks}) ORDER BY key, max_tokens
"""
_KEYS_PER_QUERY = 500


class AnswerStore:
    """Answers by key, in one SQLite file at `path` (created if absent). A context manager; not for several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Damaged entries met so far; each was treated as absent."""
        self._unreadable: set[tuple[str, int]] = set()
        self._connection = self._open()

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def lookup(self, keys: Sequence[str], *, max_tokens: int) -> dict[str, Completion]:
        """The stored answers to `keys` that serve a request for at most `max_tokens` tokens.

        A complete answer serves every limit it fits in; one cut at its limit (`length`) only that same limit. Which
        entry serves is a function of the key and the limit, never of the order in which entries came.
        """
        found: dict[str, Completion] = {}
        with self._guarded():
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                query = _LOOKUP.format(marks=",".join("?" * len(some)))
                for entry in self._connection.execute(query, some):
                    completion = self._read(*entry)
                    key, limit, tokens, cut = entry[:4]
                    if completion is None or (key in found and limit != max_tokens):
                        continue
                    if limit == max_tokens if cut else tokens <= max_tokens:
                        found[key] = completion
        return found

    def commit(self, answers: Sequence[Completion], *, max_tokens: int | Sequence[int]) -> None:
        """Store `answers` under their keys in one transaction: all of them or none.

        `max_tokens` is the limit they were asked with: one for all, or one for each. A key that is already there keeps
        its answer and counts that it was asked again. Raises StoppedError if the disk is full.
        """
        limits = [max_tokens] * len(answers) if isinstance(max_tokens, int) else max_tokens
        entries = [_written(answer, limit) for answer, limit in zip(answers, limits, strict=True)]
        with self._guarded(), self._connection:
            self._connection.executemany(_REPAIR, self._unreadable.intersection(entry[:2] for entry in entries))
            self._connection.executemany(_COMMIT, entries)
        self._unreadable.difference_update(entry[:2] for entry in entries)

    def times_asked(self) -> dict[str, int]:
        """How often each key was asked of a model (with the same `max_tokens`): 1 if nothing stored was asked again."""
        with self._guarded():
            return dict(self._connection.execute("SELECT key, MAX(asked) FROM answers GROUP BY key"))

    def max_asked(self) -> int:
        """The largest of `times_asked`; 0 for an empty store."""
        return max(self.times_asked().values(), default=0)

    def __len__(self) -> int:
        with self._guarded():
            return self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0]

    def _read(self, key: str, limit: int, tokens: int, cut: int, text: str, checksum: str) -> Completion | None:
        """The stored answer; None if the entry is damaged, which is remembered so that `commit` replaces it."""
        try:
            if _checksum(key, limit, tokens, cut, text) != checksum:
                raise ValueError("checksum")
            return _completion(key, json.loads(text))
        except (ValueError, KeyError, TypeError):
            if (key, limit) not in self._unreadable:
                self._unreadable.add((key, limit))
                self.damaged += 1
            return None

    def _open(self) -> sqlite3.Connection:
        with full_disk_stops(self.path):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(self.path, timeout=30)
                # A damaged text must reach its checksum, not end the query.
                connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(_TABLE)
                connection.execute(_LOOKUP.format(marks="?"), [""])
            except (sqlite3.DatabaseError, OSError) as error:
                if disk_is_full(error):
                    raise
                raise UsageError(
                    f"{self.path} is not an answer store ({error})", hint="choose another --out, or move the file away"
                ) from error
        return connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """A full disk stops the run; a file damaged beyond its entries is an error with a way out."""
        with full_disk_stops(self.path):
            try:
                yield
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                raise HomeschoolError(
                    f"the answer store {self.path} is damaged ({error})",
                    hint="move it away: the same command then asks for the answers again",
                ) from error


def _written(answer: Completion, limit: int) -> tuple[str, int, int, int, str, str]:
    """A table row. A model that tells no token ids used at most `limit` of them."""
    record: dict[str, Any] = {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "token_ids": answer.token_ids,
        "logprobs": answer.logprobs,
        "prompt_tokens": answer.prompt_tokens,
        "model": answer.model,
        "sampling": dict(answer.sampling),
        "seed": answer.seed,
    }
    text = json.dumps(record, separators=(",", ":"))
    tokens = len(answer.token_ids) or limit
    cut = int(answer.finish_reason == "length")
    return answer.key, limit, tokens, cut, text, _checksum(answer.key, limit, tokens, cut, text)


def _completion(key: str, record: dict[str, Any]) -> Completion:
    logprobs = record["logprobs"]
    return Completion(
        text=record["text"],
        finish_reason=record["finish_reason"],
        token_ids=tuple(record["token_ids"]),
        logprobs=None if logprobs is None else tuple(logprobs),
        prompt_tokens=record["prompt_tokens"],
        key=key,
        model=record["model"],
        sampling=record["sampling"],
        seed=record["seed"],
    )


def _checksum(*parts: str | int) -> str:
    """16 hex digits over a whole entry."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()
