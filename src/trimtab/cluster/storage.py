"""The disk behind the store: SQLite, in batches, in a thread (spec/embedded-cluster.md 13)."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from trimtab.cluster.errors import ApiError
from trimtab.cluster.store import Change, Store
from trimtab.errors import TrimtabError
from trimtab.objects.identity import GroupKind

__all__ = ["Storage", "StorageError"]

_log = logging.getLogger(__name__)

BATCH: Final = 256
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects(
  grp TEXT NOT NULL, kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL,
  rv INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(grp, kind, ns, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
Row = tuple[str, str, str, str, int, bytes | None]


class StorageError(TrimtabError):
    """The database cannot be used: it is damaged, another process has it, or the disk is full."""

    reason = "StorageFailed"


class Storage:
    """One database file. Writes queue up and are committed together."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        self._pending: list[Row] = []
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cluster-storage")
        self._closing = False
        self.failed: StorageError | None = None
        try:
            # SQLite gives its other files the mode of this one.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(
                path, timeout=1.0, check_same_thread=False, isolation_level=None
            )
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def load(self) -> int:
        """Everything into the store; how many objects."""
        count = 0
        for group, kind, body in self._db.execute("SELECT grp, kind, body FROM objects"):
            self._store.load(GroupKind(group, kind), body)
            count += 1
        row = self._db.execute("SELECT value FROM meta WHERE key = 'rv'").fetchone()
        self._store.loaded(int(row[0]) if row else 1)
        self._store.journal = self._take
        return count

    async def run(self) -> None:
        """Commit what is queued until `close`."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
                try:
                    await loop.run_in_executor(self._thread, self._commit, batch)
                except sqlite3.Error as error:
                    self.failed = self._error(error)
                    _log.exception("the cluster's database failed: no more writes are taken")
                    message = f"the cluster's database cannot be written: {error}"
                    self._store.fail(ApiError(500, "InternalError", message))
                    return
                self._store.told(batch[-1][4])
            if self._closing:
                return

    def close_when_written(self) -> None:
        """`run` ends when all that was queued is on disk."""
        self._closing = True
        self._wake.set()

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._db.close()

    def _take(self, change: Change) -> None:
        body = None if change.kind == "DELETED" else change.new.body
        record = change.new
        self._pending.append(
            (change.gk.group, change.gk.kind, record.namespace, record.name, record.rv, body)
        )
        self._wake.set()

    def _commit(self, batch: Iterable[Row]) -> None:
        rows = list(batch)
        self._db.execute("BEGIN IMMEDIATE")
        for group, kind, namespace, name, rv, body in rows:
            if body is None:
                self._db.execute(
                    "DELETE FROM objects WHERE grp=? AND kind=? AND ns=? AND name=?",
                    (group, kind, namespace, name),
                )
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO objects VALUES(?,?,?,?,?,?)",
                    (group, kind, namespace, name, rv, body),
                )
        self._db.execute("INSERT OR REPLACE INTO meta VALUES('rv', ?)", (rows[-1][4],))
        self._db.execute("COMMIT")

    def _error(self, error: OSError | sqlite3.Error) -> StorageError:
        return StorageError(
            "the cluster's database cannot be used",
            where=str(self._path),
            why=str(error),
            hint="does another process use this directory? `trimtab cluster reset` starts anew",
        )
