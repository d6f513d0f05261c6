"""API calls as values, before any network: both clients build them here and send them.

Source: spec/controller-runtime.md 3 (lanes, what may be retried).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec
import orjson

from trimtab.kube.discovery import Resource
from trimtab.objects import api_version

__all__ = [
    "Call",
    "Lane",
    "ObjectList",
    "PatchKind",
    "Propagation",
    "apply",
    "create",
    "delete",
    "get",
    "list_page",
    "patch",
    "replace",
    "typed_items",
    "watch",
]

PatchKind = Literal["merge", "json", "strategic"]
Propagation = Literal["Background", "Foreground", "Orphan"]

PAGE = 500
PATCH_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Lane(IntEnum):
    """Who goes first when requests are rationed. A lease renewal never waits."""

    LEASE = 0
    WRITE = 1
    STATUS = 2
    READ = 3
    RELIST = 4


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP exchange to be. `verb` and `resource` name it in metrics and errors.

    `repeatable`: sending it twice does no harm, so it may be retried after a broken connection.
    """

    method: str
    path: str
    verb: str
    resource: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    repeatable: bool = True
    lane: Lane = Lane.READ

    @property
    def target(self) -> str:
        """Path and query, quoted."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class ObjectList(msgspec.Struct, frozen=True):
    """A whole list, and the version it was true at."""

    items: list[dict[str, Any]]
    resource_version: str


def _path(resource: Resource, namespace: str, name: str = "", subresource: str = "") -> str:
    root = f"/apis/{resource.group}" if resource.group else "/api"
    path = f"{root}/{resource.version}"
    if resource.namespaced and namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{resource.plural}"
    if name:
        path += f"/{quote(name, safe='')}"
    return f"{path}/{quote(subresource, safe='/')}" if subresource else path


def _query(**values: str | int | bool | None) -> tuple[tuple[str, str], ...]:
    return tuple(
        (key, str(value).lower() if isinstance(value, bool) else str(value))
        for key, value in values.items()
        if value is not None and value != "" and value is not False
    )


def _write_query(manager: str, dry_run: bool, **more: str | bool | None) -> Any:
    return _query(fieldManager=manager, dryRun="All" if dry_run else None, **more)


def get(resource: Resource, namespace: str, name: str, *, subresource: str = "") -> Call:
    return Call(
        method="GET",
        path=_path(resource, namespace, name, subresource),
        verb="get",
        resource=resource.qualified,
    )


def list_page(
    resource: Resource,
    namespace: str = "",
    *,
    label_selector: str = "",
    field_selector: str = "",
    limit: int = PAGE,
    token: str = "",
    resource_version: str = "",
    lane: Lane = Lane.READ,
) -> Call:
    """One page. `limit` 0 asks for everything at once; `token` continues an earlier page."""
    return Call(
        method="GET",
        path=_path(resource, namespace),
        query=_query(
            limit=limit or None,
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=None if token else resource_version,
            **{"continue": token},
        ),
        verb="list",
        resource=resource.qualified,
        lane=lane,
    )


def watch(
    resource: Resource,
    namespace: str = "",
    *,
    resource_version: str = "",
    timeout_s: int,
    initial_events: bool = False,
    label_selector: str = "",
    field_selector: str = "",
) -> Call:
    return Call(
        method="GET",
        path=_path(resource, namespace),
        query=_query(
            watch=True,
            allowWatchBookmarks=True,
            timeoutSeconds=timeout_s,
            resourceVersion=resource_version,
            sendInitialEvents=initial_events,
            resourceVersionMatch="NotOlderThan" if initial_events else None,
            labelSelector=label_selector,
            fieldSelector=field_selector,
        ),
        verb="watch",
        resource=resource.qualified,
    )


def create(resource: Resource, obj: Mapping[str, Any], *, manager: str, dry_run: bool) -> Call:
    return Call(
        method="POST",
        path=_path(resource, _namespace(obj)),
        query=_write_query(manager, dry_run),
        body=orjson.dumps(obj),
        verb="create",
        resource=resource.qualified,
        repeatable=False,
        lane=Lane.WRITE,
    )


def replace(
    resource: Resource, obj: Mapping[str, Any], *, manager: str, subresource: str, dry_run: bool
) -> Call:
    return Call(
        method="PUT",
        path=_path(resource, _namespace(obj), _name(obj), subresource),
        query=_write_query(manager, dry_run),
        body=orjson.dumps(obj),
        verb="update",
        resource=resource.qualified,
        lane=_write_lane(subresource),
    )


def patch(
    resource: Resource,
    namespace: str,
    name: str,
    body: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    kind: PatchKind,
    manager: str,
    subresource: str,
    dry_run: bool,
) -> Call:
    """A JSON patch is not repeatable: `add` to a list twice adds twice."""
    return Call(
        method="PATCH",
        path=_path(resource, namespace, name, subresource),
        query=_write_query(manager, dry_run),
        body=orjson.dumps(body),
        content_type=PATCH_TYPES[kind],
        verb="patch",
        resource=resource.qualified,
        repeatable=kind != "json",
        lane=_write_lane(subresource),
    )


def apply(
    resource: Resource,
    obj: Mapping[str, Any],
    *,
    manager: str,
    force: bool,
    subresource: str,
    dry_run: bool,
) -> Call:
    """Server-side apply. JSON is YAML, so the body needs no other encoder."""
    return Call(
        method="PATCH",
        path=_path(resource, _namespace(obj), _name(obj), subresource),
        query=_write_query(manager, dry_run, force=force),
        body=orjson.dumps(obj),
        content_type="application/apply-patch+yaml",
        verb="apply",
        resource=resource.qualified,
        lane=_write_lane(subresource),
    )


def delete(
    resource: Resource,
    namespace: str,
    name: str,
    *,
    propagation: Propagation,
    uid: str | None,
    grace: int | None,
    dry_run: bool,
) -> Call:
    options: dict[str, Any] = {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": propagation,
    }
    if uid:
        options["preconditions"] = {"uid": uid}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    if dry_run:
        options["dryRun"] = ["All"]
    return Call(
        method="DELETE",
        path=_path(resource, namespace, name),
        body=orjson.dumps(options),
        verb="delete",
        resource=resource.qualified,
        lane=Lane.WRITE,
    )


def typed_items(resource: Resource, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of a list with `apiVersion` and `kind`, which built-in kinds leave out."""
    head = {
        "apiVersion": api_version(resource.group, resource.version),
        "kind": resource.kind,
    }
    return [{**head, **item} for item in document.get("items") or []]


def _write_lane(subresource: str) -> Lane:
    return Lane.STATUS if subresource == "status" else Lane.WRITE


def _namespace(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("namespace") or "")


def _name(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("name") or "")
