"""Renders that were made before, in memory and on disk (spec/rendering.md 9).

The disk holds what memory forgot or a restart lost. It never holds a Secret, and it may vanish or
be damaged at any time: then renders are made again.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections import OrderedDict
from pathlib import Path

import msgspec

from trimtab.render.model import Manifests
from trimtab.sources import Tree

__all__ = ["DiskCache", "MemoryCache", "holds_secret"]

_PER_KEY = 8


class _Kept(msgspec.Struct):
    manifests: Manifests
    size: int
    trees: set[str]


class MemoryCache:
    """Newest results of each key, bounded by the bytes of their encoded form."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, list[_Kept]] = OrderedDict()

    def find(self, key: str, tree_id: str, tree: Tree) -> Manifests | None:
        """The newest result whose read-set holds in `tree`."""
        rows = self._kept.get(key)
        if rows is None:
            return None
        self._kept.move_to_end(key)
        for row in rows:
            if tree_id in row.trees:
                return row.manifests
        for row in rows:
            if row.manifests.reads.holds_in(tree):
                if len(row.trees) > 64:
                    row.trees.clear()
                row.trees.add(tree_id)
                return row.manifests
        return None

    def knows(self, key: str) -> bool:
        return key in self._kept

    def put(self, key: str, tree_id: str, manifests: Manifests, size: int) -> None:
        rows = self._kept.setdefault(key, [])
        rows.insert(0, _Kept(manifests, size, {tree_id}))
        self._bytes += size
        while len(rows) > _PER_KEY:
            self._bytes -= rows.pop().size
        self._kept.move_to_end(key)
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= sum(row.size for row in dropped)


class DiskCache:
    """One SQLite file; used from threads, one at a time. A failure turns into a miss."""

    def __init__(self, file: Path, max_bytes: int) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._written = 0
        self.failures = 0

    def find(self, key: str) -> list[Manifests]:
        """Results of a key, newest first. Rows that cannot be read are left out."""
        with self._lock:
            try:
                query = "SELECT body FROM renders WHERE key = ? ORDER BY at DESC LIMIT ?"
                rows = self._open().execute(query, (key, _PER_KEY)).fetchall()
            except (sqlite3.Error, OSError):
                self._failed()
                return []
        return [found for (body,) in rows if (found := _decode(body)) is not None]

    def put(self, key: str, tree_id: str, manifests: Manifests) -> None:
        body = zlib.compress(msgspec.msgpack.encode(manifests), 1)
        with self._lock:
            try:
                database = self._open()
                with database:
                    database.execute(
                        "INSERT OR REPLACE INTO renders (key, tree, size, body, at) VALUES "
                        "(?, ?, ?, ?, (SELECT coalesce(max(at), 0) + 1 FROM renders))",
                        (key, tree_id, len(body), body),
                    )
                    self._written += len(body)
                    if self._written > self._max_bytes // 16:
                        self._written = 0
                        self._shrink(database)
            except (sqlite3.Error, OSError):
                self._failed()

    def close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(self._file, check_same_thread=False, timeout=2)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS renders (key TEXT, tree TEXT, size INTEGER, "
                "body BLOB, at INTEGER, PRIMARY KEY (key, tree))"
            )
            self._database.execute("CREATE INDEX IF NOT EXISTS by_age ON renders (at)")
        return self._database

    def _shrink(self, database: sqlite3.Connection) -> None:
        """Drop the oldest until half of the allowance is left."""
        total = database.execute("SELECT coalesce(sum(size), 0) FROM renders").fetchone()[0]
        while total > self._max_bytes:
            query = "SELECT key, tree, size FROM renders ORDER BY at LIMIT 100"
            oldest = database.execute(query).fetchall()
            for key, tree, size in oldest:
                database.execute("DELETE FROM renders WHERE key = ? AND tree = ?", (key, tree))
                total -= size

    def _failed(self) -> None:
        """Damaged or full: start anew next time. The file is a cache and nothing else."""
        self.failures += 1
        try:
            if self._database is not None:
                self._database.close()
        finally:
            self._database = None
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._file}{suffix}").unlink(missing_ok=True)


def holds_secret(manifests: Manifests) -> bool:
    """Whether an object is a Secret; such a render stays in memory (SEC-12)."""
    return any(
        item.obj.get("kind") == "Secret" and item.obj.get("apiVersion") == "v1"
        for item in manifests.items
    )


def _decode(body: bytes) -> Manifests | None:
    try:
        return msgspec.msgpack.decode(zlib.decompress(body), type=Manifests)
    except (zlib.error, msgspec.MsgspecError):
        return None
