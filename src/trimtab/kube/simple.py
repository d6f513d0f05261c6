"""The small synchronous client of the command line: the standard library's HTTP, one connection.

The same calls, connection and errors as the asynchronous one; importing it loads no aiohttp.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from trimtab.kube import calls
from trimtab.kube.calls import Call, ObjectList, PatchKind, Propagation
from trimtab.kube.connection import Connection, ssl_context
from trimtab.kube.credentials import Credential, Credentials
from trimtab.kube.discovery import (
    AGGREGATED,
    Discovery,
    Resource,
    legacy_resources,
    parse_aggregated,
)
from trimtab.kube.errors import (
    ApiError,
    Gone,
    Malformed,
    Timeout,
    Unauthorized,
    UnknownKind,
    Unreachable,
    error_from_response,
    error_from_status,
)
from trimtab.kube.ports import SystemTime
from trimtab.kube.retries import give_up, retry_delay
from trimtab.objects import GroupKind, gvk_of

__all__ = ["SimpleClient"]

CONNECT_S = 5.0
REQUEST_S = 60.0


class SimpleClient:
    """Blocking requests to one API server. Use as a context manager."""

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str = "trimtab",
        impersonate: str | None = None,
    ) -> None:
        self.connection = connection
        self._clock = SystemTime()
        self._credentials = Credentials(connection, clock=self._clock)
        self._rng = Random()  # noqa: S311 - jitter
        self._headers = [("User-Agent", user_agent)]
        user = impersonate or connection.impersonate_user
        if user:
            self._headers.append(("Impersonate-User", user))
            self._headers.extend(("Impersonate-Group", g) for g in connection.impersonate_groups)
        self._http: http.client.HTTPConnection | None = None
        self._prefix = urlsplit(connection.server).path.rstrip("/")
        self._known: Discovery | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    # -- what is served --------------------------------------------------------------------

    def discovery(self, *, refresh: bool = False) -> Discovery:
        """What the server serves; asked once for each client."""
        if self._known is None or refresh:
            version = self._json(self.raw("GET", "/version")).get("gitVersion")
            found = [*self._page("/api"), *self._page("/apis")]
            self._known = Discovery(found, version=str(version or ""))
        return self._known

    def resource(self, gk: GroupKind, *, version: str | None = None) -> Resource:
        """The served resource of a kind. Raises UnknownKind."""
        for refresh in (False, True):
            found = self.discovery(refresh=refresh).resource(gk.group, gk.kind, version)
            if found is not None:
                return found
        raise UnknownKind(
            f"the server does not know the kind {gk}",
            hint="install its CustomResourceDefinition first",
        )

    def _page(self, path: str) -> list[Resource]:
        document = self._json(self.raw("GET", path, accept=AGGREGATED))
        if document.get("kind") == "APIGroupDiscoveryList":
            return parse_aggregated(document)
        if document.get("kind") == "APIVersions":
            paths = [f"{path}/{version}" for version in document.get("versions") or []]
        else:
            paths = [
                f"{path}/{version['groupVersion']}"
                for group in document.get("groups") or []
                for version in group.get("versions") or []
            ]
        return [
            one for each in paths for one in legacy_resources(self._json(self.raw("GET", each)))
        ]

    # -- verbs -----------------------------------------------------------------------------

    def get(
        self, gk: GroupKind, namespace: str, name: str, *, version: str | None = None
    ) -> dict[str, Any]:
        """One object. Raises NotFound."""
        return self._object(calls.get(self.resource(gk, version=version), namespace, name))

    def list(
        self,
        gk: GroupKind,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        version: str | None = None,
    ) -> ObjectList:
        """Every object of a kind, in one namespace or (None) in all."""
        resource = self.resource(gk, version=version)
        items: list[dict[str, Any]] = []
        token, limit = "", calls.PAGE
        while True:
            call = calls.list_page(
                resource,
                namespace or "",
                label_selector=label_selector,
                field_selector=field_selector,
                limit=limit,
                token=token,
            )
            try:
                page = self._object(call)
            except Gone:
                if not token:
                    raise
                items, token, limit = [], "", 0
                continue
            items.extend(calls.typed_items(resource, page))
            meta = page.get("metadata") or {}
            token = str(meta.get("continue") or "")
            if not token:
                return ObjectList(items, str(meta.get("resourceVersion") or ""))

    def create(
        self, obj: Mapping[str, Any], *, manager: str, dry_run: bool = False
    ) -> dict[str, Any]:
        """Raises AlreadyExists, Invalid."""
        resource = self._resource_of(obj)
        return self._object(calls.create(resource, obj, manager=manager, dry_run=dry_run))

    def replace(
        self, obj: Mapping[str, Any], *, manager: str, subresource: str = "", dry_run: bool = False
    ) -> dict[str, Any]:
        """PUT. Raises Conflict when `metadata.resourceVersion` is stale."""
        return self._object(
            calls.replace(
                self._resource_of(obj),
                obj,
                manager=manager,
                subresource=subresource,
                dry_run=dry_run,
            )
        )

    def patch(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        kind: PatchKind,
        manager: str,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Raises NotFound, Conflict, Invalid."""
        return self._object(
            calls.patch(
                self.resource(gk),
                namespace,
                name,
                body,
                kind=kind,
                manager=manager,
                subresource=subresource,
                dry_run=dry_run,
            )
        )

    def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply. Raises ApplyConflict."""
        return self._object(
            calls.apply(
                self._resource_of(obj),
                obj,
                manager=manager,
                force=force,
                subresource=subresource,
                dry_run=dry_run,
            )
        )

    def delete(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        *,
        propagation: Propagation = "Background",
        uid: str | None = None,
        grace: int | None = None,
        dry_run: bool = False,
    ) -> None:
        """Raises NotFound."""
        self._object(
            calls.delete(
                self.resource(gk),
                namespace,
                name,
                propagation=propagation,
                uid=uid,
                grace=grace,
                dry_run=dry_run,
            )
        )

    def watch(
        self,
        gk: GroupKind,
        namespace: str | None = None,
        *,
        name: str = "",
        resource_version: str = "",
        timeout_s: int = 60,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """(type, object) of each event until `timeout_s` is over. Without a version the present
        objects come first, as ADDED. Raises ApiError, Gone for a version too old."""
        call = calls.watch(
            self.resource(gk),
            namespace or "",
            resource_version=resource_version,
            timeout_s=timeout_s,
            field_selector=f"metadata.name={name}" if name else "",
        )
        connection = self._connect(self._credential(), timeout_s + CONNECT_S)
        try:
            answer = self._exchange(connection, call)
            if answer.status >= 300:
                raise _refusal(answer, answer.read())
            for line in answer:
                if not line.endswith(b"\n"):
                    return
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise error_from_status(event["object"])
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]
        except TimeoutError:
            return
        except (http.client.HTTPException, OSError, orjson.JSONDecodeError) as error:
            raise Unreachable("the watch broke", sent=True, why=str(error)) from error
        finally:
            connection.close()

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """The body of any path of the server."""
        return self._send(
            Call(
                method=method,
                path=path,
                body=body,
                content_type=content_type,
                accept=accept,
                verb=method.lower(),
                resource="raw",
                repeatable=method == "GET",
            )
        )

    # -- sending ---------------------------------------------------------------------------

    def _resource_of(self, obj: Mapping[str, Any]) -> Resource:
        gvk = gvk_of(obj)
        return self.resource(gvk.group_kind, version=gvk.version)

    def _object(self, call: Call) -> dict[str, Any]:
        return self._json(self._send(call))

    def _json(self, body: bytes) -> dict[str, Any]:
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed("the server's answer is not JSON", why=str(error)) from error
        if not isinstance(parsed, dict):
            raise Malformed("the server's answer is not a JSON object")
        return parsed

    def _send(self, call: Call) -> bytes:
        attempt, renewed = 0, False
        while True:
            try:
                return self._once(call)
            except Unauthorized:
                if renewed or not self._credentials.invalidate():
                    raise
                renewed = True
                self.close()
            except ApiError as error:
                if give_up(error, attempt, repeatable=call.repeatable):
                    raise
                time.sleep(retry_delay(error, attempt, self._rng))
                attempt += 1

    def _once(self, call: Call) -> bytes:
        if self._http is not None and _closed_by_peer(self._http):
            self.close()
        if self._http is None:
            self._http = self._connect(self._credential(), REQUEST_S)
        try:
            answer = self._exchange(self._http, call)
            body = answer.read()
        except TimeoutError as error:
            self.close()
            raise Timeout(
                f"{self.connection.server} gave no answer in {REQUEST_S:.0f} s"
            ) from error
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise Unreachable(
                f"the connection to {self.connection.server} broke",
                sent=True,
                why=str(error) or type(error).__name__,
            ) from error
        if answer.status >= 300:
            raise _refusal(answer, body)
        return body

    def _exchange(
        self, connection: http.client.HTTPConnection, call: Call
    ) -> http.client.HTTPResponse:
        connection.putrequest(call.method, self._prefix + call.target, skip_accept_encoding=True)
        headers = [*self._headers, ("Accept", call.accept)]
        if call.body is not None:
            headers.append(("Content-Type", call.content_type))
            headers.append(("Content-Length", str(len(call.body))))
        authorization = self._credential().authorization
        if authorization:
            headers.append(("Authorization", authorization))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(call.body)
        return connection.getresponse()

    def _credential(self) -> Credential:
        return self._credentials.current() or self._credentials.fetch()

    def _connect(self, credential: Credential, timeout_s: float) -> http.client.HTTPConnection:
        """An open connection. Raises Unreachable before anything was sent."""
        url = urlsplit(self.connection.server)
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        context = ssl_context(
            self.connection, cert_pem=credential.cert_pem, key_pem=credential.key_pem
        )
        try:
            sock = self._dial(host, port)
            if context is not None:
                sock = context.wrap_socket(
                    sock, server_hostname=self.connection.tls_server_name or host
                )
            sock.settimeout(timeout_s)
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(
                f"cannot connect to {self.connection.server}",
                sent=False,
                why=str(error),
                hint="is the cluster running, and is this the right context?",
            ) from error
        opened = http.client.HTTPConnection(host, port, timeout=timeout_s)
        opened.sock = sock
        opened.auto_open = 0  # a silent reconnect would leave TLS out
        return opened

    def _dial(self, host: str, port: int) -> socket.socket:
        if not self.connection.proxy_url:
            return socket.create_connection((host, port), timeout=CONNECT_S)
        proxy = urlsplit(self.connection.proxy_url)
        tunnel = http.client.HTTPConnection(proxy.hostname or "", proxy.port or 80, CONNECT_S)
        tunnel.set_tunnel(host, port)
        tunnel.connect()
        return tunnel.sock


def _closed_by_peer(connection: http.client.HTTPConnection) -> bool:
    """Is the idle connection gone? Nothing is due to arrive on it, so readable means ended."""
    sock = connection.sock
    return sock is None or bool(select.select([sock], [], [], 0)[0])


def _refusal(answer: http.client.HTTPResponse, body: bytes) -> ApiError:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    return error_from_response(
        answer.status,
        parsed,
        body[:2000].decode("utf-8", "replace"),
        retry_after=answer.getheader("Retry-After"),
    )
