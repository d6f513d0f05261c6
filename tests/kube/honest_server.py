"""A truthful store of ConfigMaps with history, behind the fault server's sockets.

Faults are injected by the test: `cut` drops every open stream, `compact` forgets history,
`streaming` refuses streamed lists, `stutter` sends some events twice.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from .fault_server import FaultServer, Reply, Request, bookmark, config_map, event, status


class HonestServer(FaultServer):
    def __init__(self) -> None:
        super().__init__()
        self.version = 10
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, bytes]] = []
        self.floor = 10
        self.streams: list[asyncio.Queue[bytes]] = []
        self.streaming = True
        self.stutter = False
        self.bookmarks = True
        self.incarnation = 0
        self.other = self.serve_store

    # -- the truth -------------------------------------------------------------------------

    def put(self, name: str, **data: str) -> dict[str, Any]:
        self.version += 1
        old = self.objects.get(name)
        if old is None:
            self.incarnation += 1
        uid = old["metadata"]["uid"] if old else f"{name}-{self.incarnation}"
        obj = config_map(name, self.version, uid=uid, **data)
        self.objects[name] = obj
        self.tell("MODIFIED" if old else "ADDED", obj)
        return obj

    def remove(self, name: str) -> None:
        old = self.objects.pop(name, None)
        if old is not None:
            self.version += 1
            meta = {**old["metadata"], "resourceVersion": str(self.version)}
            self.tell("DELETED", {**old, "metadata": meta})

    def tell(self, kind: str, obj: dict[str, Any]) -> None:
        line = event(kind, obj)
        self.history.append((self.version, line))
        for stream in self.streams:
            stream.put_nowait(line)
            if self.stutter:
                stream.put_nowait(line)

    def bookmark(self) -> None:
        for stream in self.streams:
            stream.put_nowait(bookmark(self.version))

    def cut(self, *, middle: bool = False) -> None:
        streams, self.streams = self.streams, []
        for stream in streams:
            if middle and self.history:
                stream.put_nowait(self.history[-1][1][:-9])
            stream.put_nowait(b"")

    def compact(self) -> None:
        self.floor = self.version
        self.history = []

    # -- over HTTP -------------------------------------------------------------------------

    def serve_store(self, request: Request) -> Reply | None:
        if not request.path.endswith("configmaps") or request.method != "GET":
            return None
        return self.watch(request) if request.is_watch else self.page(request)

    def page(self, request: Request) -> Reply:
        token = request.query.get("continue", "")
        names = sorted(self.objects)
        version, start = self.version, 0
        if token:
            at, start_name = json.loads(token)
            if at < self.floor:
                return Reply(410, status(410, "Expired"))
            # An honest continuation needs the old snapshot; this store keeps none but the present.
            if at != self.version:
                return Reply(410, status(410, "Expired"))
            start = names.index(start_name)
        limit = int(request.query.get("limit", "0")) and 2
        part = names[start : start + limit] if limit else names[start:]
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        if limit and start + limit < len(names):
            meta["continue"] = json.dumps([version, names[start + limit]])
        return Reply(body={"metadata": meta, "items": [self.objects[name] for name in part]})

    def watch(self, request: Request) -> Reply:
        feed: asyncio.Queue[bytes] = asyncio.Queue()
        if request.query.get("sendInitialEvents") == "true":
            if not self.streaming:
                return Reply(422, status(422, "Invalid", "sendInitialEvents is not supported"))
            for name in sorted(self.objects):
                feed.put_nowait(event("ADDED", self.objects[name]))
            feed.put_nowait(bookmark(self.version, end=True))
        else:
            since = int(request.query["resourceVersion"])
            if since < self.floor:
                gone = status(410, "Expired", f"too old resource version: {since} ({self.floor})")
                return Reply(chunks=[event("ERROR", gone)])
            for version, line in self.history:
                if version > since:
                    feed.put_nowait(line)
        self.streams.append(feed)
        return Reply(chunks=[], feed=feed)
