"""Every path of the API: which handler answers it (spec/embedded-cluster.md 2, 7.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, Final, Protocol

import orjson

from trimtab.cluster import discovery
from trimtab.cluster.accounts import token_request
from trimtab.cluster.app import Reply, Request, Stream, reply
from trimtab.cluster.asked import (
    body_of,
    check_apply,
    deletion_asked,
    deletion_of,
    options_of,
)
from trimtab.cluster.auth import Auth
from trimtab.cluster.control import Control
from trimtab.cluster.convert import Forms
from trimtab.cluster.documents import Documents
from trimtab.cluster.errors import ApiError, not_found, not_implemented, unknown_path
from trimtab.cluster.eviction import take_from_budget
from trimtab.cluster.listing import Selection, list_page
from trimtab.cluster.metrics import RequestMetrics
from trimtab.cluster.negotiate import Accepted, accepted
from trimtab.cluster.patching import change_of
from trimtab.cluster.podlogs import follow, log_lines
from trimtab.cluster.rbac import Authorizer
from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.cluster.reviews import REVIEWS, Reviews
from trimtab.cluster.scale import Scales
from trimtab.cluster.store import Record, Store
from trimtab.cluster.tables import table
from trimtab.cluster.tokens import Tokens
from trimtab.cluster.watching import Watch
from trimtab.cluster.writer import Options, Writer
from trimtab.lang import yaml

__all__ = ["Routes"]

Object = dict[str, Any]
APPLY: Final = "application/apply-patch+yaml"
_LISTS: Final = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


class Now(Protocol):
    def now(self) -> datetime: ...


class Routes:
    """The handlers of one cluster."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        writer: Writer,
        *,
        clock: Now,
        rng: Random,
        version: Object,
        address: Callable[[], str],
        control: Control,
        metrics: RequestMetrics,
        auth: Auth,
        authorizer: Authorizer,
        tokens: Tokens,
    ) -> None:
        self._store = store
        self._registry = registry
        self._writer = writer
        self._clock = clock
        self._rng = rng
        self._version = version
        self._scales = Scales(registry, writer, clock=clock)
        self._control = control
        self._metrics = metrics
        self._auth = auth
        self._tokens = tokens
        self._reviews = Reviews(auth, authorizer)
        self._documents = Documents(registry, address)
        self._forms = Forms(registry)
        self.ready = False

    async def handle(self, request: Request) -> Reply | Stream:
        path = request.path.rstrip("/") or "/"
        parts = path.strip("/").split("/")
        match parts[0]:
            case "api" | "apis":
                return await self._api(request, parts)
            case "openapi":
                return self._documents.open_api(request, parts)
            case "version":
                return reply(self._version)
            case "healthz" | "livez" | "readyz":
                return self._health(request, parts)
            case "metrics" if parts == ["metrics"]:
                return Reply(200, self._counts().encode(), "text/plain; version=0.0.4")
            case "embedded" if len(parts) == 2:
                return await self._control.answer(request, parts[1])
            case "" if path == "/":
                return reply(
                    {
                        "paths": [
                            "/api",
                            "/apis",
                            "/embedded/advance",
                            "/embedded/capabilities",
                            "/embedded/compact",
                            "/embedded/settle",
                            "/healthz",
                            "/livez",
                            "/metrics",
                            "/openapi/v3",
                            "/readyz",
                            "/version",
                        ]
                    }
                )
        raise unknown_path()

    def _health(self, request: Request, parts: list[str]) -> Reply:
        """`/readyz`, one check of it, or all of them with `?verbose`."""
        checks = {"ping": True, "storage": self._store.failed is None}
        if parts[0] == "readyz":
            checks["bootstrap"] = self.ready
        if len(parts) == 2:
            if parts[1] not in checks:
                raise unknown_path()
            checks = {parts[1]: checks[parts[1]]}
        passed = all(checks.values())
        lines = [
            f"[{'+' if ok else '-'}]{name} {'ok' if ok else 'failed'}"
            for name, ok in checks.items()
        ]
        end = f"{parts[0]} check {'passed' if passed else 'failed'}"
        text = "ok" if passed and "verbose" not in request.query else "\n".join([*lines, end, ""])
        return Reply(200 if passed else 500, text.encode(), "text/plain; charset=utf-8")

    def _counts(self) -> str:
        objects = {}
        for gk in self._store.kinds():
            resource = self._registry.of_kind(gk)
            if resource is not None:
                objects[resource.title] = self._store.count(gk)
        return self._metrics.text(objects)

    # -- discovery ---------------------------------------------------------------------------

    async def _api(self, request: Request, parts: list[str]) -> Reply | Stream:
        core = parts[0] == "api"
        depth = 1 if core else 2
        if len(parts) <= depth:
            return self._documents.discovery(request, parts, core=core)
        group, version = ("", parts[1]) if core else (parts[1], parts[2])
        rest = parts[2:] if core else parts[3:]
        if not rest:
            found = discovery.resource_list(self._registry, group, version)
            if found is None:
                raise unknown_path()
            return reply(found)
        return await self._resource(request, group, version, rest)

    # -- resources ---------------------------------------------------------------------------

    async def _resource(
        self, request: Request, group: str, version: str, rest: list[str]
    ) -> Reply | Stream:
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        resource = self._registry.find(group, version, rest[0])
        if resource is None or (namespace and not resource.namespaced):
            raise unknown_path()
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if subresource and subresource not in resource.subresources:
            raise unknown_path()
        if not name:
            return await self._collection(request, resource, namespace)
        if resource.namespaced and not namespace:
            raise unknown_path()
        return await self._one(request, resource, namespace, name, subresource)

    async def _collection(
        self, request: Request, resource: Resource, namespace: str
    ) -> Reply | Stream:
        verbs = {
            "GET": "watch" if request.flag("watch") else "list",
            "POST": "create",
            "DELETE": "deletecollection",
        }
        self._allow(resource, verbs.get(request.method, ""), request.method)
        if request.method == "POST":
            return await self._create(request, resource, namespace)
        selection = Selection(
            resource,
            namespace,
            request.query.get("labelSelector", ""),
            request.query.get("fieldSelector", ""),
        )
        if request.method == "DELETE":
            return await self._delete_collection(request, resource, selection)
        wanted = accepted(request.header("accept"), allowed=_LISTS)
        if request.flag("watch"):
            return self._watch(request, resource, selection, wanted)
        return self._list(request, resource, selection, wanted)

    def _allow(self, resource: Resource, verb: str, method: str) -> None:
        if verb not in resource.verbs:
            raise ApiError(
                405, "MethodNotAllowed", f"{method} is not supported on {resource.title}"
            )

    def _list(
        self, request: Request, resource: Resource, selection: Selection, wanted: Accepted
    ) -> Reply:
        page = list_page(self._store, resource, selection, request.query)
        meta: Object = {"resourceVersion": str(page.resource_version)}
        if page.token:
            meta["continue"] = page.token
        if page.remaining is not None:
            meta["remainingItemCount"] = page.remaining
        if wanted.as_ == "Table":
            return reply(self._table(request, resource, page.records, meta))
        if wanted.as_:
            items = [_partial(record.obj) for record in page.records]
            body = {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta,
                "items": items,
            }
            return reply(body)
        head = orjson.dumps(
            {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta}
        )
        items_raw = b",".join(self._body(resource, record) for record in page.records)
        raw = head[:-1] + b',"items":[' + items_raw + b"]}"
        return _encoded(raw, wanted)

    def _table(
        self,
        request: Request,
        resource: Resource,
        records: Any,
        meta: Object,
        *,
        definitions: bool = True,
    ) -> Object:
        return table(
            resource,
            self._registry.custom(resource),
            records,
            include=request.query.get("includeObject", "Metadata"),
            now=self._clock.now(),
            meta=meta,
            definitions=definitions,
        )

    def _body(self, resource: Resource, record: Record) -> bytes:
        """The object's bytes in the version asked for."""
        if record.obj.get("apiVersion") == resource.api_version:
            return record.body
        return orjson.dumps(self._forms.outward(resource, record.obj))

    def _watch(
        self, request: Request, resource: Resource, selection: Selection, wanted: Accepted
    ) -> Stream:
        def render(record: Record, first: bool) -> bytes:
            if wanted.as_ == "Table":
                meta = {"resourceVersion": str(record.rv)}
                return orjson.dumps(
                    self._table(request, resource, [record], meta, definitions=first)
                )
            if wanted.as_:
                return orjson.dumps(_partial(record.obj))
            return self._body(resource, record)

        watch = Watch(self._store, resource, selection, request.query, render=render, rng=self._rng)
        watch.check()
        return Stream(watch.chunks(), end=watch.end)

    async def _create(self, request: Request, resource: Resource, namespace: str) -> Reply:
        body, duplicates = body_of(request)
        if resource.kind in REVIEWS:
            return reply(self._reviews.answer(resource, body, request.user, namespace), 201)
        options = self._options(request, duplicates)
        body = self._forms.inward(resource, body)
        home = self._forms.home(resource)
        obj, warnings = self._writer.create(home, namespace, body, options)
        return await self._written(request, resource, obj, 201, warnings)

    async def _delete_collection(
        self, request: Request, resource: Resource, selection: Selection
    ) -> Reply:
        deletion = deletion_asked(request)
        items = []
        for record in list(self._store.iterate(resource.storage, selection.namespace or None)):
            if selection.holds(record):
                obj, _ = self._writer.delete(resource, record.namespace, record.name, deletion)
                items.append(obj)
        await self._store.settled()
        meta = {"resourceVersion": str(self._store.rv)}
        return reply(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.api_version,
                "metadata": meta,
                "items": items,
            }
        )

    # -- one object --------------------------------------------------------------------------

    async def _one(
        self, request: Request, resource: Resource, namespace: str, name: str, subresource: str
    ) -> Reply | Stream:
        if subresource == "log" and request.method == "GET":
            return self._log(request, resource, namespace, name)
        if subresource == "scale":
            return await self._scale(request, resource, namespace, name)
        if subresource not in ("", "status", "finalize", "approval"):
            if resource.kind == "Pod" and subresource == "eviction" and request.method == "POST":
                return await self._evict(request, resource, namespace, name)
            if subresource == "token" and request.method == "POST":
                return self._token(request, resource, namespace, name)
            raise not_implemented(f"{resource.plural}/{subresource}")
        verbs = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        self._allow(resource, verbs.get(request.method, ""), request.method)
        match request.method:
            case "GET":
                return self._get(request, resource, namespace, name)
            case "PUT":
                body, duplicates = body_of(request)
                options = self._options(request, duplicates)
                body, home = self._forms.inward(resource, body), self._forms.home(resource)
                obj, warnings, created = self._writer.update(
                    home, namespace, name, body, options, subresource
                )
                return await self._written(
                    request, resource, obj, 201 if created else 200, warnings
                )
            case "PATCH":
                return await self._patch(request, resource, namespace, name, subresource)
        return await self._delete(request, resource, namespace, name)

    def _get(self, request: Request, resource: Resource, namespace: str, name: str) -> Reply:
        record = self._find(resource, namespace, name)
        wanted = accepted(request.header("accept"), allowed=_LISTS)
        if wanted.as_ == "Table":
            meta = {"resourceVersion": str(record.rv)}
            return reply(self._table(request, resource, [record], meta))
        if wanted.as_:
            return reply(_partial(record.obj))
        return _encoded(self._body(resource, record), wanted)

    def _find(self, resource: Resource, namespace: str, name: str) -> Record:
        record = self._store.get(resource.storage, namespace, name)
        if record is None:
            raise not_found(resource.title, name)
        return record

    async def _patch(
        self, request: Request, resource: Resource, namespace: str, name: str, subresource: str
    ) -> Reply:
        media = request.header("content-type").partition(";")[0].strip()
        body, duplicates = body_of(request)
        options = self._options(request, duplicates)
        if media == APPLY:
            check_apply(request)
            body = self._forms.inward(resource, body)
            obj, warnings, created = self._writer.apply(
                self._forms.home(resource), namespace, name, body, options, subresource
            )
            return await self._written(request, resource, obj, 201 if created else 200, warnings)
        if request.query.get("force"):
            raise ApiError(
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden:'
                " may not be specified for non-apply patch",
            )
        change = change_of(media, body, self._registry.schema(resource), resource)
        home = self._forms.home(resource)
        if self._forms.is_other(resource):
            plain = change

            def change(obj: Object) -> Object:
                changed = plain(self._forms.outward(resource, obj))
                found: Object = self._forms.inward(resource, changed)
                return found

        obj, warnings = self._writer.patch(home, namespace, name, change, options, subresource)
        return await self._written(request, resource, obj, 200, warnings)

    async def _delete(
        self, request: Request, resource: Resource, namespace: str, name: str
    ) -> Reply:
        uid = self._find(resource, namespace, name).uid
        obj, gone = self._writer.delete(resource, namespace, name, deletion_asked(request))
        await self._store.settled()
        if not gone:
            return reply(obj)
        details = {"name": name, "group": resource.group, "kind": resource.plural, "uid": uid}
        return reply(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": {key: value for key, value in details.items() if value},
            }
        )

    async def _evict(
        self, request: Request, resource: Resource, namespace: str, name: str
    ) -> Reply:
        """Delete a Pod unless its disruption budget is used up. Raises 429."""
        body, duplicates = body_of(request)
        given = body.get("deleteOptions") if isinstance(body, dict) else None
        deletion = deletion_of(given or {}, request.query)
        dry_run = deletion.dry_run or self._options(request, duplicates).dry_run
        pod = self._find(resource, namespace, name)
        take_from_budget(self._store, self._registry, self._writer, pod, dry_run=dry_run)
        if not dry_run:
            self._writer.delete(resource, namespace, name, deletion)
        await self._store.settled()
        return reply(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201
        )

    def _token(self, request: Request, resource: Resource, namespace: str, name: str) -> Reply:
        body, _ = body_of(request)
        account = self._find(resource, namespace, name)
        return reply(token_request(self._tokens, account, body, now=self._clock.now()), 201)

    def _log(
        self, request: Request, resource: Resource, namespace: str, name: str
    ) -> Reply | Stream:
        record = self._find(resource, namespace, name)
        lines = log_lines(record.obj, request.query, now=self._clock.now())
        if request.flag("follow"):
            following = follow(self._store, resource, record, lines)
            return Stream(following.chunks(), "text/plain", following.end)
        return Reply(200, "".join(f"{line}\n" for line in lines).encode(), "text/plain")

    async def _scale(
        self, request: Request, resource: Resource, namespace: str, name: str
    ) -> Reply:
        record = self._find(resource, namespace, name)
        if request.method == "GET":
            return reply(self._scales.read(resource, record))
        if request.method not in ("PUT", "PATCH"):
            raise ApiError(405, "MethodNotAllowed", f"{request.method} is not supported on scale")
        body, duplicates = body_of(request)
        options = self._options(request, duplicates)
        media = request.header("content-type").partition(";")[0].strip()
        if request.method == "PUT":
            scale, warnings = self._scales.update(resource, record, body, options)
        elif media == APPLY:
            check_apply(request)
            scale, warnings = self._scales.apply(resource, record, body, options)
        else:
            change = change_of(media, body, None, resource)
            scale, warnings = self._scales.patch(resource, record, change, options)
        await self._store.settled()
        return reply(scale, warnings=tuple(warnings))

    # -- pieces ------------------------------------------------------------------------------

    def _options(self, request: Request, duplicates: tuple[str, ...]) -> Options:
        return options_of(
            request, duplicates, guard=partial(self._auth.check_escalation, request.user)
        )

    async def _written(
        self, request: Request, resource: Resource, obj: Object, status: int, warnings: list[str]
    ) -> Reply:
        """The answer, once the disk has what it tells of."""
        custom = self._registry.custom(resource)
        texts = tuple(warnings) + ((custom.deprecation,) if custom and custom.deprecation else ())
        await self._store.settled()
        obj = self._forms.outward(resource, obj)
        wanted = accepted(request.header("accept"), allowed=_LISTS)
        if wanted.as_ == "Table":
            record = Record(obj, b"", int(obj["metadata"].get("resourceVersion") or 0))
            meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return reply(self._table(request, resource, [record], meta), status, texts)
        if wanted.as_:
            return reply(_partial(obj), status, texts)
        return reply(obj, status, texts)


def _partial(obj: Object) -> Object:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }


def _encoded(raw: bytes, wanted: Accepted) -> Reply:
    if not wanted.yaml:
        return Reply(200, raw)
    return Reply(200, yaml.dump(orjson.loads(raw)).encode(), "application/yaml")
