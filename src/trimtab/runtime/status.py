"""Writes status, only when it changed, and never over a newer object unseen.

Source: spec/controller-runtime.md 7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from trimtab.kube import Client, Conflict, NotFound
from trimtab.objects import gvk_of, key_of

__all__ = ["StatusWriter", "merge_diff"]

ATTEMPTS = 4


class StatusWriter:
    """Writes with one field manager. `written` hears of each result (the cache's `note_write`)."""

    def __init__(
        self,
        client: Client,
        *,
        manager: str,
        written: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        self._client = client
        self._manager = manager
        self._written = written

    async def write(
        self, obj: Mapping[str, Any], status: Mapping[str, Any], *, subresource: bool = True
    ) -> dict[str, Any] | None:
        """Make the object's status equal to `status`; the new object, None when it was equal.

        `obj` is the object as read, whole. When it has changed since, it is read again and the
        same status is written over what is there now: a status has one author. With `subresource`
        False the status is part of the object. Raises NotFound when the object is gone or was
        made anew, Conflict when it changed on each of four attempts.
        """
        seen: Mapping[str, Any] = obj
        uid = (obj.get("metadata") or {}).get("uid")
        for attempt in range(ATTEMPTS):
            change = merge_diff(seen.get("status") or {}, status)
            if not change:
                return None
            try:
                return await self._patch(seen, change, subresource=subresource)
            except Conflict:
                if attempt + 1 == ATTEMPTS:
                    raise
            gvk, key = gvk_of(obj), key_of(obj)
            seen = await self._client.get(
                gvk.group_kind, key.namespace, key.name, version=gvk.version
            )
            if uid and seen["metadata"].get("uid") != uid:
                raise NotFound(f"{key} was deleted and made anew")
        return None

    async def _patch(
        self, seen: Mapping[str, Any], change: dict[str, Any], *, subresource: bool
    ) -> dict[str, Any]:
        gvk, key = gvk_of(seen), key_of(seen)
        body: dict[str, Any] = {"status": change}
        version = (seen.get("metadata") or {}).get("resourceVersion")
        if version:
            body["metadata"] = {"resourceVersion": version}
        result = await self._client.patch(
            gvk.group_kind,
            key.namespace,
            key.name,
            body,
            kind="merge",
            manager=self._manager,
            subresource="status" if subresource else "",
            version=gvk.version,
        )
        if self._written is not None:
            await self._written(result)
        return result


def merge_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch that turns `old` into `new`; empty when they are equal.

    A null in `new` means the same as an absent field, as merge patches cannot say null.
    """
    change: dict[str, Any] = {}
    for name in old:
        if new.get(name) is None and old[name] is not None:
            change[name] = None
    for name, value in new.items():
        before = old.get(name)
        if value is None or value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = merge_diff(before, value)
            if inner:
                change[name] = inner
        elif isinstance(value, Mapping):
            change[name] = merge_diff({}, value)
        else:
            change[name] = value
    return change
