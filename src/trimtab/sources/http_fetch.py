"""GET with limits: size, time, redirects that carry no credentials elsewhere (SEC-07)."""

from __future__ import annotations

import base64
import ssl
from urllib.parse import urljoin

import aiohttp
import msgspec

from trimtab.sources.errors import (
    AuthFailed,
    LimitExceeded,
    RevisionNotFound,
    Unreachable,
    UrlInvalid,
)
from trimtab.sources.model import Credentials
from trimtab.sources.url import origin_of, redact

__all__ = ["Answer", "fetch"]

_MAX_REDIRECTS = 5


class Answer(msgspec.Struct, frozen=True):
    """`status` 200 with the body, or 304 without one. `etag`, `modified`: for the next request."""

    status: int
    body: bytes
    etag: str = ""
    modified: str = ""


async def fetch(
    session: aiohttp.ClientSession,
    url: str,
    *,
    max_bytes: int,
    timeout_s: float,
    credentials: Credentials | None = None,
    known: Answer | None = None,
) -> Answer:
    """The body of `url`. `credentials` go to the origin of `url` only.

    Raises Unreachable, AuthFailed, RevisionNotFound (404), LimitExceeded, UrlInvalid.
    """
    origin = origin_of(url)
    here = url
    for _ in range(_MAX_REDIRECTS + 1):
        _check(here)
        sent = credentials if origin_of(here) == origin else None
        try:
            async with session.get(
                here,
                headers=_headers(sent, known),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
                ssl=_tls(credentials),
            ) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    here = urljoin(here, response.headers["Location"])
                    continue
                return await _answer(response, here, max_bytes)
        except TimeoutError as error:
            raise Unreachable(f"{redact(here)} did not answer within {timeout_s:g} s") from error
        except aiohttp.ClientError as error:
            raise Unreachable(f"cannot read {redact(here)}", why=redact(str(error))) from error
    raise Unreachable(f"{redact(url)} redirects too often", why=f"limit redirects={_MAX_REDIRECTS}")


async def _answer(response: aiohttp.ClientResponse, url: str, max_bytes: int) -> Answer:
    name = redact(url)
    if response.status in (401, 403):
        raise AuthFailed(f"{name} refuses the credentials", why=f"HTTP {response.status}")
    if response.status == 404:
        raise RevisionNotFound(f"{name} does not exist", why="HTTP 404")
    if response.status not in (200, 304):
        raise Unreachable(f"cannot read {name}", why=f"HTTP {response.status}")
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > max_bytes:
            raise LimitExceeded(f"{name} is too large", why=f"limit bytes={max_bytes}")
    headers = response.headers
    return Answer(
        response.status, bytes(body), headers.get("ETag", ""), headers.get("Last-Modified", "")
    )


def _headers(credentials: Credentials | None, known: Answer | None) -> dict[str, str]:
    headers = {"User-Agent": "trimtab"}
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    if known is not None and known.modified:
        headers["If-Modified-Since"] = known.modified
    if credentials is not None and credentials.bearer_token:
        headers["Authorization"] = f"Bearer {credentials.bearer_token}"
    elif credentials is not None and (credentials.username or credentials.password):
        headers["Authorization"] = _basic(credentials.username, credentials.password)
    return headers


def _tls(credentials: Credentials | None) -> ssl.SSLContext | bool:
    if credentials is not None and credentials.ca:
        return ssl.create_default_context(cadata=credentials.ca)
    return True


def _check(url: str) -> None:
    scheme, host, _ = origin_of(url)
    if scheme not in ("http", "https") or not host:
        raise UrlInvalid(f"{redact(url)!r} is not an http or https address")


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
