"""Watches: JSON lines from a version on, with bookmarks and streaming lists.

Source: spec/embedded-cluster.md 7.6. Events of one change are rendered once a representation and
shared by all watches of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from random import Random
from typing import Any, Final

import orjson

from trimtab.cluster.errors import ApiError
from trimtab.cluster.listing import Selection, parse_version, too_large
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Change, Record, Store

__all__ = ["Render", "Watch"]

Render = Callable[[Record, bool], bytes]
"""(record, is it the first of this stream) -> the object as JSON."""
BUFFER: Final = 5000
JOIN: Final = 64
BOOKMARK_S: Final = 60.0


class Watch:
    """One stream. `chunks` yields bytes until the time is over, the client goes, or an error."""

    def __init__(
        self,
        store: Store,
        resource: Resource,
        selection: Selection,
        query: Mapping[str, str],
        *,
        render: Render,
        rng: Random,
    ) -> None:
        self._store = store
        self._resource = resource
        self._selection = selection
        self._query = query
        self._render = render
        self._bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self._initial = query.get("sendInitialEvents") in ("true", "1")
        self._timeout = int(query.get("timeoutSeconds") or rng.randint(1800, 3600))
        self._pending: deque[Change] = deque()
        self._wake = asyncio.Event()
        self._overflow = False
        self._first = True
        self._rv = 0

    def check(self) -> None:
        """Raises 422 for options that do not fit together, before anything is sent."""
        match = self._query.get("resourceVersionMatch", "")
        if self._initial and match != "NotOlderThan":
            raise ApiError(
                422,
                "Invalid",
                'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden:'
                " sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )
        if match and not self._query.get("sendInitialEvents"):
            raise ApiError(
                422,
                "Invalid",
                'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden:'
                " resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )

    async def chunks(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        unsubscribe = self._store.watch(self._resource.storage, self._take)
        try:
            try:
                async for chunk in self._begin():
                    yield chunk
            except ApiError as error:
                yield _line("ERROR", orjson.dumps(error.status()))
                return
            async for chunk in self._follow(deadline):
                yield chunk
        finally:
            unsubscribe()

    def end(self) -> None:
        """The server stops: the stream ends cleanly."""
        self._timeout = 0
        self._overflow = True
        self._wake.set()

    # -- the beginning -----------------------------------------------------------------------

    async def _begin(self) -> AsyncIterator[bytes]:
        await self._store.settled()
        text = self._query.get("resourceVersion", "")
        wanted = parse_version(text)
        if wanted > self._store.rv:
            await asyncio.sleep(0.5)
            if wanted > self._store.rv:
                raise too_large(wanted, self._store.rv)
        self._pending.clear()
        self._rv = self._store.told_rv
        if self._initial or wanted == 0:
            async for chunk in self._state():
                yield chunk
            if self._initial:
                yield self._bookmark({"k8s.io/initial-events-end": "true"})
            return
        lines = [
            line
            for change in self._store.since(self._resource.storage, wanted)
            for line in self._event(change)
        ]
        if lines:
            yield b"".join(lines)

    async def _state(self) -> AsyncIterator[bytes]:
        if self._query.get("sendInitialEvents") in ("false", "0"):
            return
        lines: list[bytes] = []
        for record in self._store.iterate(
            self._resource.storage, self._selection.namespace or None
        ):
            if self._selection.holds(record):
                lines.append(self._object("ADDED", record))
                if len(lines) >= JOIN:
                    yield b"".join(lines)
                    lines = []
                    await asyncio.sleep(0)
        if lines:
            yield b"".join(lines)

    # -- what follows ------------------------------------------------------------------------

    async def _follow(self, deadline: float) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        next_bookmark = loop.time() + BOOKMARK_S
        while True:
            lines: list[bytes] = []
            while self._pending and len(lines) < JOIN:
                change = self._pending.popleft()
                self._rv = change.rv
                lines.extend(self._event(change))
            if lines:
                yield b"".join(lines)
                continue
            if self._pending:
                continue
            if self._overflow:
                return
            now = loop.time()
            if now >= deadline or now >= next_bookmark:
                if self._bookmarks:
                    self._rv = max(self._rv, self._store.told_rv)
                    yield self._bookmark({})
                if now >= deadline:
                    return
                next_bookmark = now + BOOKMARK_S
            self._wake.clear()
            try:
                async with asyncio.timeout(max(0.001, min(deadline, next_bookmark) - now)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _take(self, change: Change) -> None:
        if len(self._pending) >= BUFFER:
            # A slow reader must not hold anybody up: it is told to begin again.
            self._overflow = True
            self._pending.clear()
        elif not self._overflow:
            self._pending.append(change)
        self._wake.set()

    def _event(self, change: Change) -> list[bytes]:
        holds = self._selection.holds(change.new)
        if change.kind == "DELETED":
            return [self._object("DELETED", change.new)] if holds else []
        before = change.old is not None and self._selection.holds(change.old)
        if holds:
            return [self._object("MODIFIED" if before else "ADDED", change.new)]
        if before and change.old is not None:
            return [self._object("DELETED", _at_version(change.old, change.rv))]
        return []

    def _object(self, kind: str, record: Record) -> bytes:
        body = self._render(record, self._first)
        self._first = False
        return _line(kind, body)

    def _bookmark(self, annotations: dict[str, str]) -> bytes:
        meta: dict[str, Any] = {"resourceVersion": str(self._rv), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        body = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.api_version,
            "metadata": meta,
        }
        return _line("BOOKMARK", orjson.dumps(body))


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def _at_version(record: Record, rv: int) -> Record:
    """An object that left the selection: its former content, at the version of the change."""
    obj = record.copy()
    obj["metadata"]["resourceVersion"] = str(rv)
    return Record(obj, orjson.dumps(obj), rv)
