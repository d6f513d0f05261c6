"""Finalizers: added before the first outside effect, removed without touching those of others.

Source: spec/controller-runtime.md 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.kube import Client, Conflict, Invalid, NotFound
from trimtab.objects import gvk_of, key_of

__all__ = ["add_finalizer", "add_patch", "has_finalizer", "remove_finalizer", "remove_patch"]

ATTEMPTS = 5


def has_finalizer(obj: Mapping[str, Any], name: str) -> bool:
    return name in ((obj.get("metadata") or {}).get("finalizers") or [])


def add_patch(obj: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The JSON patch that adds a finalizer to exactly this version of the object."""
    meta = obj.get("metadata") or {}
    guard = {
        "op": "test",
        "path": "/metadata/resourceVersion",
        "value": meta.get("resourceVersion"),
    }
    if meta.get("finalizers"):
        return [guard, {"op": "add", "path": "/metadata/finalizers/-", "value": name}]
    return [guard, {"op": "add", "path": "/metadata/finalizers", "value": [name]}]


def remove_patch(obj: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The JSON patch that removes the finalizer if it still stands where it was seen."""
    path = f"/metadata/finalizers/{obj['metadata']['finalizers'].index(name)}"
    return [{"op": "test", "path": path, "value": name}, {"op": "remove", "path": path}]


async def add_finalizer(
    client: Client, obj: Mapping[str, Any], name: str, *, manager: str
) -> dict[str, Any]:
    """The object with the finalizer. Raises NotFound when the object is gone, Conflict when it is
    being deleted: then there is nothing left to protect."""

    def build(seen: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        if has_finalizer(seen, name):
            return None
        if (seen.get("metadata") or {}).get("deletionTimestamp"):
            raise Conflict(f"{key_of(seen)} is being deleted")
        return add_patch(seen, name)

    return await _patch(client, obj, build, manager=manager)


async def remove_finalizer(
    client: Client, obj: Mapping[str, Any], name: str, *, manager: str
) -> dict[str, Any] | None:
    """The object without the finalizer; None when the object is gone, with it or before."""

    def build(seen: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        return remove_patch(seen, name) if has_finalizer(seen, name) else None

    try:
        return await _patch(client, obj, build, manager=manager)
    except NotFound:
        return None


async def _patch(
    client: Client,
    obj: Mapping[str, Any],
    build: Any,
    *,
    manager: str,
) -> dict[str, Any]:
    gvk, key = gvk_of(obj), key_of(obj)
    uid = (obj.get("metadata") or {}).get("uid")
    seen: dict[str, Any] = dict(obj)
    for attempt in range(ATTEMPTS):
        patch = build(seen)
        if patch is None:
            return seen
        try:
            return await client.patch(
                gvk.group_kind,
                key.namespace,
                key.name,
                patch,
                kind="json",
                manager=manager,
                version=gvk.version,
            )
        except (Invalid, Conflict):
            # The guard failed: somebody changed the object. Anything else fails again below.
            if attempt + 1 == ATTEMPTS:
                raise
        seen = await client.get(gvk.group_kind, key.namespace, key.name, version=gvk.version)
        if uid and seen["metadata"].get("uid") != uid:
            raise NotFound(f"{key} was deleted and made anew")
    raise AssertionError("unreachable: the last attempt returns or raises")
