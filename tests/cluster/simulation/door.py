"""A door for kubectl into a `MemoryWorld`: just enough of discovery, get, list and watch."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .world import MemoryWorld

KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}
VERBS = ["get", "list", "watch"]


def _discovery(path: str) -> dict[str, Any] | None:
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/api/v1":
        return {"kind": "APIResourceList", "groupVersion": "v1", "resources": []}
    if path == "/apis":
        version = {"groupVersion": "apps/v1", "version": "v1"}
        group = {"name": "apps", "versions": [version], "preferredVersion": version}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
    if path == "/apis/apps/v1":
        resources = [
            {"name": n, "singularName": k.lower(), "namespaced": True, "kind": k, "verbs": VERBS}
            for n, k in KINDS.items()
        ]
        return {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": resources}
    return None


class Door:
    """Serves one world on a loopback port; `async with Door(world) as url`."""

    def __init__(self, world: MemoryWorld) -> None:
        self.world = world

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            url = urlsplit(head.split(" ", 2)[1])
            await self._answer(url.path, parse_qs(url.query), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has seen enough
        finally:
            writer.close()

    async def _answer(self, path: str, query: dict[str, list[str]], writer: Any) -> None:
        body = _discovery(path)
        parts = path.strip("/").split("/")
        status = "200 OK"
        if body is None and len(parts) >= 6 and parts[5] in KINDS:
            kind = KINDS[parts[5]]
            if query.get("watch"):
                await self._watch(kind, query, writer)
                return
            if len(parts) == 7:
                body = self.world.one(kind, parts[6])
            else:
                meta = {"resourceVersion": str(self.world.version)}
                body = {"kind": f"{kind}List", "apiVersion": "apps/v1", "metadata": meta}
                body["items"] = self.world.all(kind)
        if body is None:
            status = "404 Not Found"
            body = {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
        await writer.drain()

    async def _watch(self, kind: str, query: dict[str, list[str]], writer: Any) -> None:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        if query.get("sendInitialEvents") == ["true"]:
            for obj in self.world.all(kind):
                queue.put_nowait({"type": "ADDED", "object": obj})
            notes = {"k8s.io/initial-events-end": "true"}
            meta = {"resourceVersion": str(self.world.version), "annotations": notes}
            mark = {"kind": kind, "apiVersion": "apps/v1", "metadata": meta}
            queue.put_nowait({"type": "BOOKMARK", "object": mark})

        def listen(change: str, _: object, obj: dict[str, Any]) -> None:
            if obj["kind"] == kind:
                queue.put_nowait({"type": change, "object": obj})

        stop = self.world.subscribe(listen)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
        )
        try:
            while True:
                writer.write(json.dumps(await queue.get()).encode() + b"\n")
                await writer.drain()
        finally:
            stop()
