"""How often a row was met before, counted on disk: memory stays flat over millions of rows.

The counts are in SQLite's private temporary database, which the system removes with the process. Keys are the first 63
bits of an id: where two different rows share them, the later one counts as a repeat, which costs nothing, since its id
is still a hash of all of its content.
"""

from __future__ import annotations

import sqlite3
import tempfile
from types import TracebackType

from homeschool.core.errors import StoppedError

_CACHE_KIB = 8192
_MET = "INSERT OR IGNORE INTO met VALUES (?, 0)"
_MORE = "UPDATE met SET again = again + 1 WHERE key = ? RETURNING again"


class Occurrences:
    """Counts ids. A context manager: leaving it gives the disk back."""

    def __enter__(self) -> Occurrences:
        # Rows may be drawn by whichever thread has time, one at a time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in (f"cache_size = -{_CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("CREATE TABLE met (key INTEGER PRIMARY KEY, again INTEGER NOT NULL)")
        self._execute = self._database.execute
        self._execute("BEGIN")  # one transaction that never ends: nothing here outlives the process
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def add(self, name: str) -> int:
        """How often `name` (an id of hex digits) was added before."""
        key = (int(name[:16], 16) >> 1,)
        try:
            if self._execute(_MET, key).rowcount:
                return 0
            return int(self._execute(_MORE, key).fetchone()[0])
        except sqlite3.OperationalError as error:
            raise StoppedError(
                f"the rows of a source cannot be counted on disk ({error})",
                hint=f"make room in {tempfile.gettempdir()} and type the same command: it goes on from here",
            ) from error
