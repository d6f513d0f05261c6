"""The HTTP side of trimtab: health, metrics, the overview, and the archives of sources.

A small ASGI application on loopback. Reading only; what changes something goes through the
Kubernetes API, where its rights are checked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import orjson
from prometheus_client import CollectorRegistry, generate_latest

from trimtab.kube import ClusterCache
from trimtab.server.overview import READERS, Row, read_row, sort_rows

__all__ = ["App"]

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str = _TEXT


class App:
    """`GET /healthz /readyz /metrics /api/overview /artifacts/...`; anything else is 404 or 405.

    `ready` says whether the caches are synced; `extra` gives figures shown in the overview.
    """

    def __init__(
        self,
        cache: ClusterCache,
        *,
        artifacts: Path,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        extra: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._cache = cache
        self._artifacts = artifacts
        self._registry = registry
        self._ready = ready
        self._extra = extra

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        reply = self.answer(scope["method"], unquote(scope["path"]))
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.body", "body": body})

    def answer(self, method: str, path: str) -> Reply:
        if method not in ("GET", "HEAD"):
            return Reply(405, b"method not allowed\n")
        match path:
            case "/healthz" | "/livez":
                return Reply(200, b"ok")
            case "/readyz":
                return (
                    Reply(200, b"ok") if self._ready() else Reply(503, b"caches are not synced\n")
                )
            case "/metrics":
                return Reply(200, generate_latest(self._registry), "text/plain; version=0.0.4")
            case "/api/overview":
                return Reply(200, orjson.dumps(self._overview()), _JSON)
            case "/":
                return Reply(200, _INDEX)
        if path.startswith("/artifacts/"):
            return self._artifact(path.removeprefix("/artifacts/"))
        return Reply(404, b"not found\n")

    def rows(self) -> list[Row]:
        return sort_rows(read_row(gk, live.obj) for gk in READERS for live in self._cache.list(gk))

    def _overview(self) -> dict[str, Any]:
        rows = self.rows()
        return {
            "objects": [msgspec.structs.asdict(row) for row in rows],
            "total": len(rows),
            "settled": sum(row.settled for row in rows),
            "problems": sum(row.problem for row in rows),
            **self._extra(),
        }

    def _artifact(self, relative: str) -> Reply:
        """Only files below the store: what leaves it, by `..` or a link, is not there."""
        if "\0" in relative:
            return Reply(404, b"not found\n")
        root = self._artifacts.resolve()
        file = (root / relative).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            return Reply(404, b"not found\n")
        return Reply(200, file.read_bytes(), "application/gzip")


_INDEX: Final = b"""trimtab
  /api/overview   every custom resource and its state, as JSON
  /healthz        alive
  /readyz         caches are synced
  /metrics        Prometheus
"""


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
