"""The API server as an ASGI application: paths to handlers, errors to Status bodies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

import msgspec
import orjson

from trimtab.cluster.auth import ANONYMOUS, Auth
from trimtab.cluster.errors import ApiError, internal
from trimtab.cluster.metrics import RequestMetrics
from trimtab.cluster.rbac import User
from trimtab.errors import TrimtabError

__all__ = ["App", "Reply", "Request", "Stream"]

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
BODY_LIMIT: Final = 3 * 1024 * 1024
OPEN_PATHS: Final = ("/version", "/healthz", "/livez", "/readyz")


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    user: User
    body: bytes = b""

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def flag(self, name: str) -> bool:
        return self.query.get(name, "") in ("true", "1", "True")


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Stream(msgspec.Struct, frozen=True):
    chunks: AsyncIterator[bytes]
    content_type: str = "application/json"
    end: Callable[[], None] = lambda: None


Handler = Callable[[Request], Awaitable[Reply | Stream]]


def reply(value: Any, status: int = 200, warnings: tuple[str, ...] = ()) -> Reply:
    headers = tuple(("warning", f'299 - "{_quoted(text)}"') for text in warnings)
    return Reply(status, orjson.dumps(value), headers=headers)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")[:250]


class App:
    """Authenticates, reads the body within its limit, calls the handler, writes the answer."""

    def __init__(self, handle: Handler, *, auth: Auth, metrics: RequestMetrics) -> None:
        self._handle = handle
        self._auth = auth
        self._metrics = metrics
        self._streams: set[Stream] = set()

    def end_streams(self) -> None:
        for stream in tuple(self._streams):
            stream.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        audit = str(uuid4())
        began = time.perf_counter()
        try:
            request = await self._request(scope, receive)
            answer = _pretty(request, await self._handle(request))
        except ApiError as error:
            answer = _error(error)
        except TrimtabError as error:
            answer = _error(ApiError(500, "InternalError", str(error)))
        except RecursionError:
            answer = _error(ApiError(400, "BadRequest", "the object is nested too deeply"))
        except Exception as error:  # noqa: BLE001
            # One request that we cannot handle gets a Status like every other answer.
            _log.exception("request failed: %s %s", scope["method"], scope["path"])
            answer = _error(internal(error))
        code = 200 if isinstance(answer, Stream) else answer.status
        took = time.perf_counter() - began
        self._metrics.observe(scope["method"], scope["path"], code, took)
        if isinstance(answer, Stream):
            await self._stream(answer, audit, receive, send)
        else:
            await _write(answer, audit, send)

    async def _request(self, scope: Scope, receive: Receive) -> Request:
        """The request of a user who may make it; nobody else's body is read."""
        headers = _header_map(scope["headers"])
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        method, path = scope["method"], unquote(scope["path"])
        if path.startswith(OPEN_PATHS):
            user = ANONYMOUS
        else:
            user = self._auth.user(headers)
            self._auth.check(user, method, path, query)
        body = b"" if method in ("GET", "HEAD") else await _body(receive)
        return Request(method, path, query, headers, user, body)

    async def _stream(self, stream: Stream, audit: str, receive: Receive, send: Send) -> None:
        headers = _headers(stream.content_type, audit, ())
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        self._streams.add(stream)

        async def until_gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            stream.end()

        gone = asyncio.create_task(until_gone())
        try:
            async for chunk in stream.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._streams.discard(stream)
            gone.cancel()


def _pretty(request: Request, answer: Reply | Stream) -> Reply | Stream:
    """Indented for a reader who asked for it."""
    if isinstance(answer, Stream) or not request.flag("pretty") or not answer.body:
        return answer
    if not answer.content_type.startswith("application/json"):
        return answer
    body = orjson.dumps(orjson.loads(answer.body), option=orjson.OPT_INDENT_2)
    return msgspec.structs.replace(answer, body=body)


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(400, "BadRequest", "the client went away")
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_LIMIT:
            raise ApiError(
                413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}"
            )
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _error(error: ApiError) -> Reply:
    return Reply(error.code, orjson.dumps(error.status()), headers=tuple(error.headers.items()))


def _headers(
    content_type: str, audit: str, extra: tuple[tuple[str, str], ...]
) -> list[tuple[bytes, bytes]]:
    found = {"cache-control": "no-cache, private", "content-type": content_type, "audit-id": audit}
    rows = [(key, value) for key, value in found.items() if key not in {k for k, _ in extra}]
    return [(key.encode(), value.encode()) for key, value in (*rows, *extra)]


async def _write(answer: Reply, audit: str, send: Send) -> None:
    headers = _headers(answer.content_type, audit, answer.headers)
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _header_map(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """By name; those that may be repeated (of impersonation) joined by line feeds."""
    found: dict[str, str] = {}
    for raw_name, raw in pairs:
        name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
        if name in found and name.startswith("impersonate-"):
            value = f"{found[name]}\n{value}"
        found[name] = value
    return found
