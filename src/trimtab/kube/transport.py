"""HTTP to one API server: requests, and streams cut into lines.

Narrow on purpose, so that tests and an in-process server can stand in its place.
Source: spec/controller-runtime.md 3, 17.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext, SSLError
from typing import Any, Protocol

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from trimtab.kube.connection import Connection, ssl_context
from trimtab.kube.credentials import Credential, Credentials
from trimtab.kube.errors import ConfigError, Malformed, Timeout, Unreachable
from trimtab.kube.ports import Clock

__all__ = ["AioTransport", "LineSplitter", "Response", "StreamResponse", "Transport"]

MAX_LINE = 16 * 1024 * 1024
CONNECT_S = 5.0
KEEP_ALIVE_S = 30.0
MAX_CONNECTIONS = 100


class Response(msgspec.Struct, frozen=True):
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamResponse(msgspec.Struct, frozen=True):
    """An answer being read. `chunks` raises Unreachable when the connection breaks."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """`target` is path and query, already quoted."""

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Response: ...

    def stream(
        self, target: str, *, headers: Mapping[str, str], timeout_s: float
    ) -> Any:  # an async context manager of StreamResponse
        ...

    async def renew(self) -> bool: ...

    async def close(self) -> None: ...


class LineSplitter:
    """Cuts chunks into lines. What follows the last newline stays inside and is never given out:
    a partial line at the end of a stream is a broken connection, not an event."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines this chunk completes, without newlines. Raises Malformed over the limit."""
        first, newline, rest = chunk.partition(b"\n")
        if not newline:
            self._keep(chunk)
            return []
        self._keep(first)
        lines = [b"".join(self._parts)]
        *whole, last = rest.split(b"\n")
        lines.extend(whole)
        self._parts, self._size = [], 0
        self._keep(last)
        return [line for line in lines if line]

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._size += len(part)
        if self._size > self._limit:
            raise Malformed(f"a line of the watch is longer than {self._limit} bytes")
        self._parts.append(part)


class AioTransport:
    """aiohttp over one session. Use as an async context manager or call `close`."""

    def __init__(self, connection: Connection, *, clock: Clock) -> None:
        self._connection = connection
        self._credentials = Credentials(connection, clock=clock)
        self._session: aiohttp.ClientSession | None = None
        self._refresh = asyncio.Lock()
        self._context: SSLContext | None = None
        self._context_key: tuple[object, ...] | None = None

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Response:
        """One exchange. Raises Unreachable, Timeout, Unauthorized (a plugin), ConfigError."""
        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        async with (
            self._errors(timeout_s),
            await self._open(method, target, headers, body, limits) as answer,
        ):
            content = await answer.read()
            return Response(answer.status, _lower(answer.headers), content)

    @asynccontextmanager
    async def stream(
        self, target: str, *, headers: Mapping[str, str], timeout_s: float
    ) -> AsyncIterator[StreamResponse]:
        """A GET whose body is read as it arrives; at most `timeout_s` in all."""
        limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
        async with self._errors(timeout_s):
            answer = await self._open("GET", target, headers, None, limits)
        try:
            yield StreamResponse(
                answer.status, _lower(answer.headers), self._chunks(answer, timeout_s)
            )
        finally:
            answer.close()

    async def _chunks(
        self, answer: aiohttp.ClientResponse, timeout_s: float
    ) -> AsyncIterator[bytes]:
        async with self._errors(timeout_s):
            async for chunk in answer.content.iter_any():
                yield chunk

    async def renew(self) -> bool:
        """After a 401: drop the credential. False when no other can be had."""
        return self._credentials.invalidate()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        credential = await self._credential()
        sent = CIMultiDict(headers)
        if credential.authorization:
            sent["Authorization"] = credential.authorization
        if self._session is None:
            self._session = self._new_session()
        return await self._session.request(
            method,
            URL(self._connection.server + target, encoded=True),
            headers=sent,
            data=body,
            timeout=limits,
            ssl=self._tls(credential) or True,
            server_hostname=self._connection.tls_server_name or None,
            proxy=self._connection.proxy_url or None,
            allow_redirects=False,
        )

    async def _credential(self) -> Credential:
        held = self._credentials.current()
        if held is not None:
            return held
        async with self._refresh:
            held = self._credentials.current()
            if held is not None:
                return held
            if self._connection.exec is None and not self._connection.token_file:
                return self._credentials.fetch()
            return await asyncio.to_thread(self._credentials.fetch)

    def _tls(self, credential: Credential) -> SSLContext | None:
        if not self._connection.server.startswith("https:"):
            return None
        try:
            stamps = tuple(Path(name).stat().st_mtime_ns for name in self._connection.files)
        except OSError as error:
            raise ConfigError(
                "a TLS file of the cluster connection is missing",
                where=error.filename,
                why=error.strerror or "",
            ) from error
        key = (stamps, credential.cert_pem)
        if self._context is None or key != self._context_key:
            self._context = ssl_context(
                self._connection, cert_pem=credential.cert_pem, key_pem=credential.key_pem
            )
            self._context_key = key
        return self._context

    def _new_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_S,
            ttl_dns_cache=int(KEEP_ALIVE_S),
            socket_factory=_socket,
        )
        return aiohttp.ClientSession(
            connector=connector, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
        )

    @asynccontextmanager
    async def _errors(self, timeout_s: float) -> AsyncIterator[None]:
        try:
            yield
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise Unreachable(
                    f"{self._connection.server} did not accept the connection in {CONNECT_S:.0f} s",
                    sent=False,
                ) from error
            raise Timeout(
                f"{self._connection.server} gave no answer in {timeout_s:.0f} s"
            ) from error
        except (aiohttp.ClientConnectorError, SSLError) as error:
            raise Unreachable(
                f"cannot connect to {self._connection.server}", sent=False, why=str(error)
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(
                f"the connection to {self._connection.server} broke",
                sent=True,
                why=str(error) or type(error).__name__,
            ) from error


def _socket(address: Any) -> socket.socket:
    """A socket whose dead peer is noticed after about 75 s (spec/controller-runtime.md 3)."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
