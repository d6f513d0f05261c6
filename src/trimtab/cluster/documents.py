"""Discovery and OpenAPI as answers: negotiated, with hashes that clients keep.

Source: spec/embedded-cluster.md 3, 4.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import orjson

from trimtab.cluster import discovery
from trimtab.cluster.app import Reply, Request, reply
from trimtab.cluster.errors import unknown_path
from trimtab.cluster.negotiate import accepted
from trimtab.cluster.openapi import OpenApi
from trimtab.cluster.registry import Registry

__all__ = ["Documents"]


class Documents:
    """`address()` is host and port of the server."""

    def __init__(self, registry: Registry, address: Callable[[], str]) -> None:
        self._registry = registry
        self._address = address
        self._openapi = OpenApi(registry)

    def discovery(self, request: Request, parts: list[str], *, core: bool) -> Reply:
        if len(parts) == 2 and not core:
            found = discovery.group(self._registry, parts[1])
            if found is None:
                raise unknown_path()
            return reply(found)
        wanted = accepted(request.header("accept"), allowed=("APIGroupDiscoveryList",))
        if wanted.as_:
            body = discovery.aggregated(self._registry, core=core, version=wanted.version or "v2")
            version = wanted.version or "v2"
            media = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        else:
            body = discovery.versions(self._address()) if core else discovery.groups(self._registry)
            media = "application/json"
        raw = orjson.dumps(body)
        tag = f'"{hashlib.sha256(raw).hexdigest().upper()}"'
        headers = (("etag", tag), ("vary", "Accept"))
        if request.header("if-none-match") == tag:
            return Reply(304, b"", media, headers)
        return Reply(200, raw, media, headers)

    def open_api(self, request: Request, parts: list[str]) -> Reply:
        if parts[1:] == ["v3"]:
            return reply(self._openapi.index())
        if parts[1:2] != ["v3"]:
            raise unknown_path()
        if len(parts) not in (4, 5):
            raise unknown_path()
        group, version = ("", parts[3]) if parts[2] == "api" else (parts[3], parts[-1])
        found = self._openapi.document(group, version)
        if found is None:
            raise unknown_path()
        body, hash_ = found
        given = request.query.get("hash")
        if given and given != hash_:
            return Reply(301, b"", headers=(("location", f"{request.path}?hash={hash_}"),))
        headers: tuple[tuple[str, str], ...] = (("etag", f'"{hash_}"'),)
        if given:
            headers += (
                ("cache-control", "public, immutable"),
                ("expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
            )
        return Reply(200, body, headers=headers)
