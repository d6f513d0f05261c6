"""The asynchronous client: dicts in, dicts out, typed errors.

One client is one cluster and one identity; `impersonating` gives another identity over the same
connections. Source: spec/controller-runtime.md 3.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import orjson
from multidict import CIMultiDict

from trimtab.kube import calls
from trimtab.kube.calls import Call, Lane, ObjectList, PatchKind, Propagation
from trimtab.kube.connection import Connection
from trimtab.kube.discovery import Discovery, Resource
from trimtab.kube.discovery_source import DiscoverySource
from trimtab.kube.errors import (
    ApiError,
    Gone,
    Malformed,
    NotFound,
    Timeout,
    Unauthorized,
    UnknownKind,
    Unreachable,
    error_from_response,
)
from trimtab.kube.ports import Clock, Observer, Silent, SystemTime
from trimtab.kube.ration import Ration
from trimtab.kube.retries import give_up, retry_delay
from trimtab.kube.transport import AioTransport, Response, StreamResponse, Transport
from trimtab.objects import GroupKind, gvk_of

__all__ = ["Client"]

READ_S = 60.0
WRITE_S = 40.0  # webhooks may hold a write for 30 s
TOTAL_S = 120.0
MAX_BODY_SHOWN = 2000


class _RealClock(SystemTime):
    """What a client uses when it was given no clock."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Client:
    """Talks to one API server. `qps` None lifts the ration. Use as an async context manager."""

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str = "trimtab",
        qps: float | None = 50.0,
        burst: int = 100,
        impersonate: str | None = None,
        impersonate_groups: Iterable[str] = (),
        clock: Clock | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.connection = connection
        self.clock: Clock = clock or _RealClock()
        self.observer: Observer = observer or Silent()
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._transport = transport or AioTransport(connection, clock=self.clock)
        self._ration = Ration(qps, burst, clock=self.clock)
        self._user_agent = user_agent
        self._headers = self._identity(
            impersonate or connection.impersonate_user,
            tuple(impersonate_groups) or connection.impersonate_groups,
            connection.impersonate_uid,
        )
        self._discovery = DiscoverySource(self._read, clock=self.clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    def impersonating(self, user: str, *, groups: Iterable[str] = ()) -> Client:
        """The same cluster as somebody else: connections, ration and discovery are shared.

        Closing it closes the original.
        """
        other = Client.__new__(Client)
        other.__dict__.update(self.__dict__)
        other._headers = other._identity(user, tuple(groups), "")  # noqa: SLF001 - own class
        return other

    def _identity(self, user: str, groups: tuple[str, ...], uid: str) -> list[tuple[str, str]]:
        headers = [("User-Agent", self._user_agent)]
        if user:
            headers.append(("Impersonate-User", user))
            headers.extend(("Impersonate-Group", group) for group in groups)
            if uid:
                headers.append(("Impersonate-Uid", uid))
        return headers

    # -- what is served --------------------------------------------------------------------

    async def discovery(self, *, refresh: bool = False) -> Discovery:
        """What the server serves; asked again after 10 minutes, or now with `refresh`."""
        return await self._discovery.get(refresh=refresh)

    def discovery_changed(self) -> None:
        """Ask the server again the next time: a CRD came, changed or went."""
        self._discovery.invalidate()

    async def resource(self, gk: GroupKind, *, version: str | None = None) -> Resource:
        """The served resource of a kind. Raises UnknownKind after one fresh look."""
        found = (await self._discovery.get()).resource(gk.group, gk.kind, version)
        if found is None:
            found = (await self._discovery.get(refresh=True)).resource(gk.group, gk.kind, version)
        if found is None:
            wanted = f"{gk} in version {version}" if version else str(gk)
            raise UnknownKind(
                f"the server does not know the kind {wanted}",
                hint="install its CustomResourceDefinition first",
            )
        return found

    # -- verbs -----------------------------------------------------------------------------

    async def get(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        *,
        version: str | None = None,
        subresource: str = "",
    ) -> dict[str, Any]:
        """One object. Raises NotFound, and UnknownKind when the kind is not served."""
        return await self._on(
            gk, version, lambda res: calls.get(res, namespace, name, subresource=subresource)
        )

    async def list(
        self,
        gk: GroupKind,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        version: str | None = None,
    ) -> ObjectList:
        """Every object of a kind, in one namespace or (None) in all, read page by page."""
        resource = await self.resource(gk, version=version)
        return await self.list_all(
            resource, namespace or "", label_selector=label_selector, field_selector=field_selector
        )

    async def list_all(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        lane: Lane = Lane.READ,
    ) -> ObjectList:
        """A whole list, at one version. When the pages expire (410) it is read in one piece."""
        items: list[dict[str, Any]] = []
        token, limit = "", calls.PAGE
        while True:
            call = calls.list_page(
                resource,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=limit,
                token=token,
                resource_version=resource_version,
                lane=lane,
            )
            try:
                page = await self._object(call)
            except Gone:
                if not token:
                    raise
                items, token, limit, resource_version = [], "", 0, ""
                continue
            items.extend(calls.typed_items(resource, page))
            meta = page.get("metadata") or {}
            token = str(meta.get("continue") or "")
            if not token:
                return ObjectList(items, str(meta.get("resourceVersion") or ""))

    async def create(
        self, obj: Mapping[str, Any], *, manager: str, dry_run: bool = False
    ) -> dict[str, Any]:
        """Raises AlreadyExists, Invalid, Forbidden."""
        return await self._on_object(
            obj, lambda res: calls.create(res, obj, manager=manager, dry_run=dry_run)
        )

    async def replace(
        self, obj: Mapping[str, Any], *, manager: str, subresource: str = "", dry_run: bool = False
    ) -> dict[str, Any]:
        """PUT. Raises Conflict when `metadata.resourceVersion` is stale."""
        return await self._on_object(
            obj,
            lambda res: calls.replace(
                res, obj, manager=manager, subresource=subresource, dry_run=dry_run
            ),
        )

    async def patch(
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
        version: str | None = None,
    ) -> dict[str, Any]:
        """A patch of one of three kinds. Raises NotFound, Conflict, Invalid."""
        return await self._on(
            gk,
            version,
            lambda res: calls.patch(
                res,
                namespace,
                name,
                body,
                kind=kind,
                manager=manager,
                subresource=subresource,
                dry_run=dry_run,
            ),
        )

    async def apply(
        self,
        obj: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply. Raises ApplyConflict with the fields others own."""
        return await self._on_object(
            obj,
            lambda res: calls.apply(
                res, obj, manager=manager, force=force, subresource=subresource, dry_run=dry_run
            ),
        )

    async def delete(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        *,
        propagation: Propagation = "Background",
        uid: str | None = None,
        grace: int | None = None,
        dry_run: bool = False,
        version: str | None = None,
    ) -> None:
        """Raises NotFound when it is not there, Conflict when `uid` is another's."""
        await self._on(
            gk,
            version,
            lambda res: calls.delete(
                res,
                namespace,
                name,
                propagation=propagation,
                uid=uid,
                grace=grace,
                dry_run=dry_run,
            ),
        )

    async def raw(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        """The body of any path of the server. Only GET is retried."""
        call = Call(
            method=method,
            path=path,
            query=tuple((query or {}).items()),
            body=body,
            content_type=content_type,
            accept=accept,
            verb=method.lower(),
            resource="raw",
            repeatable=method == "GET",
            lane=Lane.READ if method == "GET" else Lane.WRITE,
        )
        return (await self._send(call)).body

    @asynccontextmanager
    async def stream(self, call: Call, *, timeout_s: float) -> AsyncIterator[StreamResponse]:
        """The answer to a watch, open. Raises the typed error of a refusal. Not retried."""
        await self._ration.take(call.lane)
        started = self.clock.monotonic()
        code = "error"
        try:
            async with self._transport.stream(
                call.target, headers=self._headers_of(call), timeout_s=timeout_s
            ) as answer:
                code = str(answer.status)
                if answer.status == 401:
                    await self._transport.renew()
                if answer.status >= 300:
                    body = b"".join([chunk async for chunk in answer.chunks])
                    raise _refusal(Response(answer.status, answer.headers, body))
                self.observer.request(
                    call.verb, call.resource, code, self.clock.monotonic() - started
                )
                yield answer
        except ApiError as error:
            if code != "200":
                code = str(error.code or error.reason)
                self.observer.request(
                    call.verb, call.resource, code, self.clock.monotonic() - started
                )
            raise

    # -- sending ---------------------------------------------------------------------------

    async def _on_object(self, obj: Mapping[str, Any], build: Any) -> dict[str, Any]:
        gvk = gvk_of(obj)
        return await self._on(gvk.group_kind, gvk.version, build)

    async def _on(self, gk: GroupKind, version: str | None, build: Any) -> dict[str, Any]:
        """Send a call about a kind; when the server lost its path, look again and try once more."""
        resource = await self.resource(gk, version=version)
        try:
            return await self._object(build(resource))
        except NotFound as error:
            if error.details.get("name"):
                raise
            await self._discovery.get(refresh=True)
            fresh = await self.resource(gk, version=version)
            if fresh == resource:
                raise
            return await self._object(build(fresh))

    async def _object(self, call: Call) -> dict[str, Any]:
        response = await self._send(call)
        parsed = _json(response.body)
        if not isinstance(parsed, dict):
            raise Malformed(f"the answer to {call.verb} {call.resource} is not a JSON object")
        return parsed

    async def _read(self, path: str, accept: str, etag: str) -> Response:
        """A GET for discovery: 304 and 404 are answers, not errors."""
        call = Call(method="GET", path=path, accept=accept, verb="get", resource="discovery")
        extra = {"If-None-Match": etag} if etag else {}
        return await self._send(call, extra=extra, accepted=(304, 404, 406))

    async def _send(
        self,
        call: Call,
        *,
        extra: Mapping[str, str] | None = None,
        accepted: tuple[int, ...] = (),
    ) -> Response:
        """Send, and send again where that is harmless (section 3). Raises ApiError."""
        headers = self._headers_of(call, extra)
        attempt = 0
        renewed = False
        try:
            async with asyncio.timeout(TOTAL_S):
                while True:
                    await self._ration.take(call.lane)
                    try:
                        return await self._once(call, headers, accepted)
                    except Unauthorized:
                        if renewed or not await self._transport.renew():
                            raise
                        renewed = True
                        continue
                    except ApiError as error:
                        if attempt and call.verb == "delete" and isinstance(error, NotFound):
                            return Response(200, {}, b"{}")  # our first attempt deleted it
                        if give_up(error, attempt, repeatable=call.repeatable):
                            raise
                        await self.clock.sleep(retry_delay(error, attempt, self._rng))
                    attempt += 1
        except TimeoutError as error:
            raise Timeout(
                f"{call.verb} {call.resource} took longer than {TOTAL_S:.0f} s"
            ) from error

    async def _once(
        self, call: Call, headers: Mapping[str, str], accepted: tuple[int, ...]
    ) -> Response:
        started = self.clock.monotonic()
        code = "error"
        try:
            response = await self._transport.request(
                call.method,
                call.target,
                headers=headers,
                body=call.body,
                timeout_s=READ_S if call.method == "GET" else WRITE_S,
            )
            code = str(response.status)
        except (Unreachable, Timeout) as error:
            code = error.reason
            raise
        finally:
            self.observer.request(call.verb, call.resource, code, self.clock.monotonic() - started)
        if response.status < 300 or response.status in accepted:
            return response
        raise _refusal(response)

    def _headers_of(self, call: Call, extra: Mapping[str, str] | None = None) -> Any:
        headers = CIMultiDict(self._headers)
        headers["Accept"] = call.accept
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        if extra:
            headers.update(extra)
        return headers


def _refusal(response: Response) -> ApiError:
    return error_from_response(
        response.status,
        _json(response.body),
        response.body[:MAX_BODY_SHOWN].decode("utf-8", "replace"),
        retry_after=response.headers.get("retry-after"),
    )


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
