"""doit's database, written through after every task and safe to delete.

doit writes its rows only when a run ends; a kill loses them all, and a failed task holds
sqlite's write lock until then (doit-facts, persistence). This backend commits each row at once.
A file that sqlite cannot read is set aside with a warning: rows are a cache, nothing is lost.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from doit.dependency import DatabaseException, SqliteDB

BUSY_MS = 10_000


class WriteThroughDB(SqliteDB):  # type: ignore[misc]
    """doit's sqlite3 backend with autocommit rows; see the module."""

    desc = "sqlite3, written through after every task (orchestr)"
    _dirty: set[str]

    def _sqlite3(self, name: str) -> sqlite3.Connection:
        Path(name).absolute().parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._open_connection(name)
        except (DatabaseException, sqlite3.DatabaseError) as error:
            if "full" in str(error):  # nothing is wrong with the file, there is no room beside it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name) from error
            kept = f"{name}.corrupt-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
            Path(name).replace(kept)
            for side in ("-wal", "-shm", "-journal"):
                Path(name + side).unlink(missing_ok=True)
            sys.stderr.write(
                f"warning: {name} could not be read; it was kept as {kept}. "
                "It is only a cache: nothing is built again because of this.\n"
            )
            return self._open_connection(name)

    def _open_connection(self, name: str) -> sqlite3.Connection:
        conn: sqlite3.Connection = super()._sqlite3(name)
        conn.execute(f"pragma busy_timeout={BUSY_MS}")
        conn.execute("pragma journal_mode=wal")
        conn.execute("pragma synchronous=normal")
        conn.execute("select count(*) from doit").fetchone()  # a damaged page shows here
        conn.commit()
        conn.isolation_level = None
        return conn

    def flush(self) -> None:
        """Write the rows that changed since the last time, one transaction."""
        if not self._dirty:
            return
        rows = [(task, self.codec.encode(self._cache[task])) for task in self._dirty]
        try:
            self._conn.execute("begin immediate")
            self._conn.executemany("insert or replace into doit values (?,?)", rows)
            self._conn.execute("commit")
        except sqlite3.OperationalError:  # a full disk; the rows are tried again, or lost: a cache
            with suppress(sqlite3.Error):
                self._conn.execute("rollback")
            return
        self._dirty = set()

    def _get_task_data(self, task_id: str) -> Any:
        self._load_all()
        return self._rows.pop(task_id, {})

    def _load_all(self) -> None:
        """One query for all rows: 5,000 single ones cost more than the rest of a no-op run."""
        if getattr(self, "_rows", None) is None:
            found = self._conn.execute("select task_id, task_data from doit").fetchall()
            self._rows: dict[str, Any] = {row["task_id"]: row["task_data"] for row in found}

    def in_(self, task_id: str) -> bool:
        self._load_all()
        return task_id in self._cache or task_id in self._rows

    def remove(self, task_id: str) -> None:
        """Forget a row, at once."""
        self._load_all()
        self._rows.pop(task_id, None)
        super().remove(task_id)

    def remove_all(self) -> None:
        super().remove_all()
        self._rows = {}

    def dump(self) -> None:
        """The end of a doit command: everything is written already but for a few rows."""
        self.flush()
        self._conn.close()
