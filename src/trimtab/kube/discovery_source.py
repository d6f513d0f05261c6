"""Fetches and keeps what a server serves: single flight, ETags, at most 10 minutes old.

Source: spec/controller-runtime.md 3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from trimtab.kube.discovery import (
    AGGREGATED,
    Discovery,
    Resource,
    legacy_resources,
    parse_aggregated,
)
from trimtab.kube.errors import ApiError, InternalError, Malformed, ServiceUnavailable
from trimtab.kube.ports import Clock
from trimtab.kube.transport import Response

__all__ = ["DiscoverySource"]

MAX_AGE_S = 600.0

Read = Callable[[str, str, str], Awaitable[Response]]  # path, accept, etag


class DiscoverySource:
    """One server's discovery. `get` is safe to call from many tasks at once."""

    def __init__(self, read: Read, *, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: Discovery | None = None
        self._fetched_at = 0.0
        self._fetches = 0
        self._version = ""
        self._pages: dict[str, tuple[str, list[Resource]]] = {}

    def invalidate(self) -> None:
        """Fetch anew at the next `get`."""
        self._fetched_at = float("-inf")

    async def get(self, *, refresh: bool = False) -> Discovery:
        """The current discovery. Raises ApiError when the server cannot be asked and nothing
        is known yet; with something known, an old answer beats none unless `refresh`."""
        if not refresh and self._known is not None and self._fresh():
            return self._known
        seen = self._fetches
        async with self._lock:
            # Somebody fetched while we waited: that is as fresh as we would get.
            if self._known is not None and self._fetches > seen:
                return self._known
            try:
                self._known = await self._fetch()
            except ApiError:
                if refresh or self._known is None:
                    raise
            self._fetches += 1
            self._fetched_at = self._clock.monotonic()
            return self._known

    def _fresh(self) -> bool:
        return self._clock.monotonic() - self._fetched_at < MAX_AGE_S

    async def _fetch(self) -> Discovery:
        if not self._version:
            answer = await self._read("/version", "application/json", "")
            self._version = str(_object(answer).get("gitVersion") or "")
        found = [*await self._page("/api"), *await self._page("/apis")]
        return Discovery(found, version=self._version)

    async def _page(self, path: str) -> list[Resource]:
        etag, known = self._pages.get(path, ("", []))
        answer = await self._read(path, AGGREGATED, etag)
        if answer.status == 304:
            return known
        if answer.status == 406:
            answer = await self._read(path, "application/json", "")
        document = _object(answer)
        if document.get("kind") == "APIGroupDiscoveryList":
            found = parse_aggregated(document, known)
            self._pages[path] = (answer.headers.get("etag", ""), found)
            return found
        return await self._legacy(path, document)

    async def _legacy(self, path: str, document: dict[str, Any]) -> list[Resource]:
        if document.get("kind") == "APIVersions":
            paths = [f"{path}/{version}" for version in document.get("versions") or []]
        else:
            paths = [
                f"{path}/{version['groupVersion']}"
                for group in document.get("groups") or []
                for version in _preferred_first(group)
            ]
        return [resource for each in paths for resource in await self._legacy_group(each)]

    async def _legacy_group(self, path: str) -> list[Resource]:
        try:
            answer = await self._read(path, "application/json", "")
        except (ServiceUnavailable, InternalError):
            # The group's own server is away: the other groups still count, and so does what
            # was known of this one.
            version = path.removeprefix("/apis/").removeprefix("/api/")
            known = self._known.resources(every_version=True) if self._known else ()
            return [each for each in known if each.api_version == version]
        return legacy_resources(_object(answer)) if answer.status == 200 else []


def _preferred_first(group: dict[str, Any]) -> list[dict[str, Any]]:
    preferred = (group.get("preferredVersion") or {}).get("groupVersion")
    versions = list(group.get("versions") or [])
    return sorted(versions, key=lambda version: version.get("groupVersion") != preferred)


def _object(answer: Response) -> dict[str, Any]:
    if answer.status == 200:
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise Malformed("the server's discovery is not JSON", why=str(error)) from error
        if isinstance(document, dict):
            return document
    raise Malformed(f"the server's discovery answered {answer.status}")
