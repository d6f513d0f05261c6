"""The truth, in memory: every object as JSON bytes, one version counter, a window of history.

Synchronous, on one event loop. A write changes memory at once and is queued for the disk; its
event is told (to watches and to listeners) when the disk has it (spec/embedded-cluster.md 13).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

from trimtab.cluster.errors import ApiError, gone
from trimtab.objects.identity import GroupKind

__all__ = ["Change", "Record", "Store"]

HISTORY: Final = 4096
Name = tuple[str, str]


class Record:
    """One stored object: its bytes, and decoded when somebody looked at it lately."""

    __slots__ = ("_obj", "body", "name", "namespace", "rv", "uid")

    def __init__(self, obj: dict[str, Any], body: bytes, rv: int) -> None:
        meta = obj["metadata"]
        self.namespace: str = meta.get("namespace") or ""
        self.name: str = meta["name"]
        self.uid: str = meta["uid"]
        self.rv = rv
        self.body = body
        self._obj: dict[str, Any] | None = obj

    @property
    def obj(self) -> dict[str, Any]:
        """The object, shared: nobody changes it. `copy` gives a private one."""
        if self._obj is None:
            self._obj = orjson.loads(self.body)
        return self._obj

    def copy(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found

    def forget_decoded(self) -> None:
        self._obj = None


class Change:
    """One event: `kind` is ADDED, MODIFIED or DELETED; `old` is None for ADDED."""

    __slots__ = ("gk", "kind", "new", "old")

    def __init__(self, gk: GroupKind, kind: str, old: Record | None, new: Record) -> None:
        self.gk = gk
        self.kind = kind
        self.old = old
        self.new = new

    @property
    def rv(self) -> int:
        return self.new.rv


class _Table:
    def __init__(self) -> None:
        self.records: dict[Name, Record] = {}
        self.ordered: list[Name] | None = []
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.floor = 0
        self.watches: set[Callable[[Change], None]] = set()

    def names(self) -> list[Name]:
        if self.ordered is None:
            self.ordered = sorted(self.records)
        return self.ordered


class Store:
    """All tables. `journal` takes each write; it calls `told(rv)` when it is safe on disk.

    Without a journal writes are told in the next turn of the loop.
    """

    def __init__(self) -> None:
        self.rv = 1
        self._tables: dict[GroupKind, _Table] = {}
        self._listeners: list[Callable[[Change], None]] = []
        self._untold: deque[Change] = deque()
        self._told_rv = 1
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._scheduled = False
        self.failed: ApiError | None = None
        self.journal: Callable[[Change], None] | None = None

    # -- reading -----------------------------------------------------------------------------

    def get(self, gk: GroupKind, namespace: str, name: str) -> Record | None:
        table = self._tables.get(gk)
        return table.records.get((namespace, name)) if table else None

    def iterate(self, gk: GroupKind, namespace: str | None = None) -> Iterator[Record]:
        """In order of namespace and name, bytewise."""
        table = self._tables.get(gk)
        if table is None:
            return
        for name in list(table.names()):
            record = table.records.get(name)
            if record is not None and (not namespace or name[0] == namespace):
                yield record

    def count(self, gk: GroupKind) -> int:
        table = self._tables.get(gk)
        return len(table.records) if table else 0

    def kinds(self) -> list[GroupKind]:
        return [gk for gk, table in self._tables.items() if table.records]

    @property
    def told_rv(self) -> int:
        """The newest version whose event was told."""
        return self._told_rv

    def at(self, gk: GroupKind, rv: int, namespace: str | None) -> list[Record]:
        """The records as they were at `rv`, walking the history back. Raises 410 when it is not
        kept that far."""
        table = self._table(gk)
        if rv < table.floor:
            raise gone(f"The provided resource version is too old: {rv} ({table.floor})")
        state = dict(table.records)
        for change in (*reversed(self._untold), *reversed(table.history)):
            if change.gk != gk or change.rv <= rv:
                continue
            key = (change.new.namespace, change.new.name)
            if change.old is None:
                state.pop(key, None)
            else:
                state[key] = change.old
        return [state[key] for key in sorted(state) if not namespace or key[0] == namespace]

    # -- writing -----------------------------------------------------------------------------

    def next_rv(self) -> int:
        self.rv += 1
        return self.rv

    def put(self, gk: GroupKind, obj: dict[str, Any]) -> Record:
        """Store `obj` as its new version; the version is written into its metadata."""
        if self.failed is not None:
            raise self.failed
        table = self._table(gk)
        rv = self.next_rv()
        obj["metadata"]["resourceVersion"] = str(rv)
        record = Record(obj, orjson.dumps(obj), rv)
        key = (record.namespace, record.name)
        old = table.records.get(key)
        table.records[key] = record
        if old is None:
            table.ordered = None
        else:
            old.forget_decoded()
        self._changed(Change(gk, "MODIFIED" if old else "ADDED", old, record))
        return record

    def remove(self, gk: GroupKind, namespace: str, name: str) -> Record:
        """Take the object away; the DELETED event carries its last state at a new version."""
        self.remove_with(gk, self._table(gk).records[namespace, name].copy())
        return self._untold[-1].new

    def remove_with(self, gk: GroupKind, obj: dict[str, Any]) -> dict[str, Any]:
        """Take the object away with `obj` as its last state, which is returned."""
        if self.failed is not None:
            raise self.failed
        meta = obj["metadata"]
        namespace = meta.get("namespace") or ""
        table = self._table(gk)
        old = table.records.pop((namespace, meta["name"]))
        table.ordered = None
        rv = self.next_rv()
        meta["resourceVersion"] = str(rv)
        record = Record(obj, orjson.dumps(obj), rv)
        self._changed(Change(gk, "DELETED", old, record))
        return record.copy()

    def load(self, gk: GroupKind, body: bytes) -> None:
        """Put back what the disk has, silently."""
        obj = orjson.loads(body)
        rv = int(obj["metadata"]["resourceVersion"])
        record = Record(obj, body, rv)
        table = self._table(gk)
        table.records[record.namespace, record.name] = record
        table.ordered = None

    def loaded(self, rv: int) -> None:
        """All is back: history begins here."""
        self.rv = self._told_rv = max(rv, self.rv)
        for table in self._tables.values():
            table.floor = self.rv

    def forget_decoded(self) -> None:
        """Keep the bytes alone: what is looked at is decoded again."""
        for table in self._tables.values():
            for record in table.records.values():
                record.forget_decoded()

    # -- telling -----------------------------------------------------------------------------

    def watch(self, gk: GroupKind, listener: Callable[[Change], None]) -> Callable[[], None]:
        watches = self._table(gk).watches
        watches.add(listener)
        return lambda: watches.discard(listener)

    def since(self, gk: GroupKind, rv: int) -> list[Change]:
        """Told changes of a kind after `rv`. Raises 410 when they are not all kept."""
        table = self._table(gk)
        if rv < table.floor:
            raise gone(f"too old resource version: {rv} ({table.floor})")
        changes = table.history
        start = bisect_right([change.rv for change in changes], rv)
        return list(changes)[start:]

    def compact(self) -> None:
        """Forget history: watches that start below this point get a 410."""
        for table in self._tables.values():
            table.history.clear()
            table.floor = self._told_rv

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def settled(self, rv: int | None = None) -> None:
        """Return when every write up to `rv` (default: now) is safe and told."""
        if self.failed is not None:
            raise self.failed
        wanted = self.rv if rv is None else rv
        if wanted <= self._told_rv:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        await future

    def fail(self, error: ApiError) -> None:
        """The disk is lost: whoever waits for it, and every later write, gets `error`."""
        self.failed = error
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)

    def told(self, rv: int) -> None:
        """The journal has everything up to `rv`: tell it."""
        while self._untold and self._untold[0].rv <= rv:
            change = self._untold.popleft()
            self._tell(change)
        self._told_rv = max(self._told_rv, rv)
        still: deque[tuple[int, asyncio.Future[None]]] = deque()
        for wanted, future in self._waiting:
            if wanted <= self._told_rv:
                if not future.done():
                    future.set_result(None)
            else:
                still.append((wanted, future))
        self._waiting = still

    def _tell(self, change: Change) -> None:
        table = self._table(change.gk)
        if len(table.history) == HISTORY:
            table.floor = table.history[0].rv
        table.history.append(change)
        self._told_rv = max(self._told_rv, change.rv)
        for watch in tuple(table.watches):
            watch(change)
        for listener in tuple(self._listeners):
            listener(change)

    def _changed(self, change: Change) -> None:
        self._untold.append(change)
        if self.journal is not None:
            self.journal(change)
        elif not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._tell_all)

    def _tell_all(self) -> None:
        self._scheduled = False
        self.told(self.rv)

    def _table(self, gk: GroupKind) -> _Table:
        table = self._tables.get(gk)
        if table is None:
            table = self._tables[gk] = _Table()
        return table
