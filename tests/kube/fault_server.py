"""A small API server over raw sockets that misbehaves on request.

It holds one kind (ConfigMap) and can cut lines, answer 410, forget bookmarks, send duplicates.
What an honest server does is tested against the embedded cluster; this one is for faults.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def config_map(name: str, version: int, *, uid: str = "", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
        },
        "data": data,
    }


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version: int, *, end: bool = False) -> bytes:
    meta: dict[str, Any] = {"resourceVersion": str(version)}
    if end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta})


def status(code: int, reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message or reason,
        "details": details,
    }


class Request:
    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes):
        url = urlsplit(target)
        self.method = method
        self.path = unquote(url.path)
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.header_list = headers
        self.headers = dict(headers)
        self.body = body

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "true"


class Reply:
    """A scripted answer. `chunks` are sent one by one; then the stream ends cleanly, is cut
    (`cut`), or stays open until the client leaves (`hold`)."""

    def __init__(
        self,
        code: int = 200,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        chunks: list[bytes] | None = None,
        cut: bool = False,
        hold: bool = False,
        feed: asyncio.Queue[bytes] | None = None,
    ):
        self.code, self.body, self.headers = code, body, headers or {}
        self.chunks, self.cut, self.hold, self.feed = chunks, cut, hold, feed


class FaultServer:
    """`scripts` are answers for list and watch, in order; `default` answers when they ran out."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.watches: deque[Reply] = deque()
        self.lists: deque[Reply] = deque()
        self.other: Callable[[Request], Reply | None] = lambda _: None
        self.kinds = ["ConfigMap"]
        self.git_version = "v1.37.0"
        self.etag = '"one"'
        self.url = ""
        self.open = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.get_running_loop()

    def reply(self, request: Request) -> Reply:
        scripted = self.other(request)
        if scripted is not None:
            return scripted
        if request.path == "/version":
            return Reply(body={"gitVersion": self.git_version})
        if request.path in {"/api", "/apis"}:
            return self.discovery(request)
        if request.is_watch:
            if self.watches:
                return self.watches.popleft()
            return Reply(chunks=[], hold=True)
        if request.method == "GET" and self.lists:
            return self.lists.popleft()
        return Reply(404, status(404, "NotFound", "the server could not find the resource"))

    def discovery(self, request: Request) -> Reply:
        if request.headers.get("if-none-match") == self.etag:
            return Reply(304)
        kinds = self.kinds if request.path == "/api" else []
        document = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": [
                {
                    "metadata": {},
                    "versions": [
                        {
                            "version": "v1",
                            "freshness": "Current",
                            "resources": [
                                {
                                    "resource": f"{kind.lower()}s",
                                    "responseKind": {"group": "", "version": "v1", "kind": kind},
                                    "scope": "Namespaced",
                                    "singularResource": kind.lower(),
                                    "shortNames": ["cm"] if kind == "ConfigMap" else [],
                                    "verbs": VERBS,
                                }
                                for kind in kinds
                            ],
                        }
                    ],
                }
            ],
        }
        return Reply(body=document, headers={"Content-Type": DISCOVERY, "ETag": self.etag})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.writers.add(writer)
        try:
            while True:
                request = await read_request(reader)
                if request is None:
                    return
                self.requests.append(request)
                if not await self.answer(self.reply(request), writer, reader):
                    return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self.open -= 1
            self.writers.discard(writer)
            writer.close()

    async def answer(
        self, reply: Reply, writer: asyncio.StreamWriter, reader: asyncio.StreamReader
    ) -> bool:
        headers = {"Content-Type": "application/json", **reply.headers}
        if reply.chunks is None and reply.feed is None:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            if reply.code == 304:
                body = b""
            headers["Content-Length"] = str(len(body))
            writer.write(head(reply.code, headers) + body)
            await writer.drain()
            return True
        headers["Transfer-Encoding"] = "chunked"
        writer.write(head(reply.code, headers))
        for chunk in reply.chunks or []:
            writer.write(framed(chunk))
            await writer.drain()
            await asyncio.sleep(0)
        while reply.feed is not None:
            chunk = await reply.feed.get()
            if not chunk:
                break
            writer.write(framed(chunk))
            await writer.drain()
        if reply.cut:
            return False
        if reply.hold:
            await reader.read(1)
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def watched(self) -> list[Request]:
        return [request for request in self.requests if request.is_watch]

    def listed(self) -> list[Request]:
        return [
            request
            for request in self.requests
            if request.method == "GET"
            and request.path.endswith("configmaps")
            and not request.is_watch
        ]


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers: list[tuple[str, str]] = []
    while (line := await reader.readline()) not in {b"\r\n", b""}:
        name, _, value = line.decode().partition(":")
        headers.append((name.strip().lower(), value.strip()))
    length = int(dict(headers).get("content-length", "0"))
    return Request(method, target, headers, await reader.readexactly(length))


def head(code: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {code} x", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def framed(chunk: bytes) -> bytes:
    return f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"


@asynccontextmanager
async def fault_server() -> AsyncIterator[FaultServer]:
    server = FaultServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


async def eventually(check: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Wait until `check` is true; fail with its last value otherwise."""
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.005)
