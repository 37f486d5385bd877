"""The answer store: every answer of a model, under the name of its question, before anyone has seen it.

Resume is replay. A recipe that is run again asks the same questions (`Request.key`), and the store answers. So a
question is paid for once, and a killed run ends with the rows of an undisturbed one.

One SQLite file in WAL mode, one transaction per committed batch. `synchronous=NORMAL` survives any kill of the
process; a power cut may cost the last moments, which are then asked again, and never the file. The same question may
have several entries, one per `max_tokens` it was asked with: an answer that was cut short must not hide, nor be hidden
by, a longer one. Refused: a file that is not such a database. An entry whose checksum is wrong counts as absent.

WAL is not for network file systems, so each process (each shard of a run) writes a file of its own and reads the
others'. An answer that another file had is copied, so that a folder tells its whole story.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from homeschool.core.errors import HomeschoolError, UsageError
from homeschool.core.records import Completion
from homeschool.engine.files import disk_is_full, full_disk_stops

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL,
    max_tokens INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cut INTEGER NOT NULL,
    answer TEXT NOT NULL,
    checksum TEXT NOT NULL,
    question INTEGER NOT NULL,
    asked INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (key, max_tokens)
);
CREATE TABLE IF NOT EXISTS questions (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
"""

# The first answer is kept, because somebody has seen it; that it was asked again is counted.
_COMMIT = """
INSERT INTO answers (key, max_tokens, tokens, cut, answer, checksum, question) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key, max_tokens) DO UPDATE SET asked = asked + 1
"""
_COMMIT_QUESTION = "INSERT INTO questions (number, text) VALUES (?, ?)"
_REPAIR = "DELETE FROM answers WHERE key = ? AND max_tokens = ?"
_LOOKUP = """
SELECT key, max_tokens, tokens, cut, answer, checksum, question FROM answers
WHERE key IN ({marks}) ORDER BY key, max_tokens
"""
_QUESTION = "SELECT text FROM questions WHERE number = ?"
_QUESTION_OF = "SELECT question FROM answers WHERE key = ? AND question > 0"
_KEYS_PER_QUERY = 500

Entry = tuple[str, int, int, int, str, str, int]
"""key, max_tokens, tokens, cut, answer, checksum, number of the question (0: not on record)."""


class AnswerStore:
    """Answers by key, in one SQLite file at `path` (created if absent). A context manager; not for several threads.

    `reads` are other stores, of other shards or runs, that are looked into and never written.
    """

    def __init__(self, path: Path, *, reads: Sequence[Path] = ()) -> None:
        self.path = path
        self.damaged = 0
        """Damaged entries met so far; each was treated as absent."""
        self._unreadable: set[tuple[str, int]] = set()
        self._connection = _connect(path)
        self._questions: int = self._connection.execute("SELECT MAX(number) FROM questions").fetchone()[0] or 0
        """How many are stored. Nobody else writes this file."""
        self._others = [_connect(other, write=False) for other in reads]

    def __enter__(self) -> AnswerStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for connection in (self._connection, *self._others):
            connection.close()

    def lookup(self, keys: Sequence[str], *, max_tokens: int) -> dict[str, Completion]:
        """The stored answers to `keys` that serve a request for at most `max_tokens` tokens.

        A complete answer serves every limit it fits in; one cut at its limit (`length`) only that same limit. Which
        entry serves is a function of the key and the limit, never of the order in which entries came.
        """
        found = self._served(self._connection, keys, max_tokens)
        for other in self._others:
            missing = [key for key in keys if key not in found]
            if not missing:
                break
            borrowed = self._served(other, missing, max_tokens)
            self._borrow(other, [entry for entry, _ in borrowed.values()])
            found |= borrowed
        return {key: completion for key, (_, completion) in found.items()}

    def commit(
        self,
        answers: Sequence[Completion],
        *,
        max_tokens: int | Sequence[int],
        questions: Sequence[str] | None = None,
    ) -> None:
        """Store `answers` under their keys in one transaction: all of them or none.

        `max_tokens` is the limit they were asked with: one for all, or one for each. `questions` are the texts of what
        was asked, one for each answer (equal neighbours are stored once). A key that is already there keeps its answer
        and counts that it was asked again. Raises StoppedError if the disk is full.
        """
        limits = [max_tokens] * len(answers) if isinstance(max_tokens, int) else max_tokens
        with self._guarded(), self._connection:
            numbers = self._numbers(questions) if questions else [0] * len(answers)
            entries = [_written(*each) for each in zip(answers, limits, numbers, strict=True)]
            if self._unreadable:
                self._connection.executemany(_REPAIR, self._unreadable.intersection(entry[:2] for entry in entries))
                self._unreadable.difference_update(entry[:2] for entry in entries)
            self._connection.executemany(_COMMIT, entries)

    def question_of(self, key: str) -> dict[str, Any] | None:
        """What was asked for the answer `key` (prompt, sampling, schema, tools), or None if that is not on record."""
        with self._guarded():
            for connection in (self._connection, *self._others):
                for (number,) in connection.execute(_QUESTION_OF, [key]):
                    return json.loads(connection.execute(_QUESTION, [number]).fetchone()[0])
        return None

    def times_asked(self) -> dict[str, int]:
        """How often each key was asked of a model (with the same `max_tokens`): 1 if nothing stored was asked again."""
        with self._guarded():
            return dict(self._connection.execute("SELECT key, MAX(asked) FROM answers GROUP BY key"))

    def max_asked(self) -> int:
        """The largest of `times_asked`; 0 for an empty store."""
        with self._guarded():
            return self._connection.execute("SELECT MAX(asked) FROM answers").fetchone()[0] or 0

    def __len__(self) -> int:
        with self._guarded():
            return self._connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0]

    def _served(
        self, connection: sqlite3.Connection, keys: Sequence[str], max_tokens: int
    ) -> dict[str, tuple[Entry, Completion]]:
        found: dict[str, tuple[Entry, Completion]] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            try:
                entries = connection.execute(_LOOKUP.format(marks=",".join("?" * len(some))), some).fetchall()
            except sqlite3.Error as error:
                self._fail(error)
            for entry in entries:
                completion = self._read(entry)
                key, limit, tokens, cut = entry[:4]
                if completion is None or (key in found and limit != max_tokens):
                    continue
                if limit == max_tokens if cut else tokens <= max_tokens:
                    found[key] = (entry, completion)
        return found

    def _numbers(self, questions: Sequence[str]) -> list[int]:
        """Store the texts, and return the number of each."""
        numbers: list[int] = []
        new: list[tuple[int, str]] = []
        for place, text in enumerate(questions):
            if not place or text != questions[place - 1]:
                self._questions += 1
                new.append((self._questions, text))
            numbers.append(self._questions)
        self._connection.executemany(_COMMIT_QUESTION, new)
        return numbers

    def _borrow(self, other: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        """Copy answers, and what was asked, from another store."""
        if not entries:
            return
        with self._guarded(), self._connection:
            self._connection.executemany(_REPAIR, self._unreadable.intersection(entry[:2] for entry in entries))
            self._unreadable.difference_update(entry[:2] for entry in entries)
            texts = [other.execute(_QUESTION, [entry[6]]).fetchone() for entry in entries]
            numbers = [self._numbers([text[0]])[0] if text else 0 for text in texts]
            copies = [(*entry[:6], number) for entry, number in zip(entries, numbers, strict=True)]
            self._connection.executemany(_COMMIT, copies)

    def _read(self, entry: Entry) -> Completion | None:
        """The stored answer; None if the entry is damaged, which is remembered so that `commit` replaces it."""
        key, limit, tokens, cut, text, checksum, _ = entry
        try:
            if _checksum(key, limit, tokens, cut, text) != checksum:
                raise ValueError("checksum")
            return _completion(key, json.loads(text))
        except (ValueError, KeyError, TypeError):
            if (key, limit) not in self._unreadable:
                self._unreadable.add((key, limit))
                self.damaged += 1
            return None

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: sqlite3.Error) -> NoReturn:
        """A full disk stops the run; a file damaged beyond its entries is an error with a way out."""
        with full_disk_stops(self.path):
            if isinstance(error, sqlite3.OperationalError):
                raise error
        raise HomeschoolError(
            f"the answer store {self.path} is damaged ({error})",
            hint="move it away: the same command then asks for the answers again",
        ) from error


def _connect(path: Path, *, write: bool = True) -> sqlite3.Connection:
    with full_disk_stops(path):
        try:
            if not write:
                connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(path, timeout=30)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute("PRAGMA wal_autocheckpoint=8000")  # pages: syncing the file is what takes time
                connection.executescript(_TABLES)
            # A damaged text must reach its checksum, not end the query.
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            connection.execute(_LOOKUP.format(marks="?"), [""])
        except (sqlite3.DatabaseError, OSError) as error:
            if disk_is_full(error):
                raise
            hint = "choose another --out, or move the file away" if write else "name a run that has answers"
            raise UsageError(f"{path} is not an answer store ({error})", hint=hint) from error
    return connection


def _written(answer: Completion, limit: int, question: int) -> Entry:
    """A table row. A model that tells neither tokens nor their number used at most `limit` of them."""
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
    for name in _RARE:
        if value := getattr(answer, name):
            record[name] = value
    text = _ENCODER.encode(record)
    tokens = answer.tokens or limit
    cut = int(answer.finish_reason == "length")
    return answer.key, limit, tokens, cut, text, _checksum(answer.key, limit, tokens, cut, text), question


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)

_RARE = ("completion_tokens", "reasoning", "refusal", "tool_calls")
"""Fields of a Completion that most answers lack, written only where they say something."""


def _completion(key: str, record: dict[str, Any]) -> Completion:
    logprobs = record["logprobs"]
    return Completion(
        text=record["text"],
        finish_reason=record["finish_reason"],
        token_ids=tuple(record["token_ids"]),
        logprobs=None if logprobs is None else tuple(logprobs),
        prompt_tokens=record["prompt_tokens"],
        completion_tokens=record.get("completion_tokens", 0),
        reasoning=record.get("reasoning", ""),
        refusal=record.get("refusal", ""),
        tool_calls=tuple(record.get("tool_calls", ())),
        key=key,
        model=record["model"],
        sampling=record["sampling"],
        seed=record["seed"],
    )


def _checksum(*parts: str | int) -> str:
    """16 hex digits over a whole entry."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).hexdigest()
