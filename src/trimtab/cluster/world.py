"""The cluster as the simulated controllers see it: `simulation.World` on the store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from trimtab.cluster.errors import not_found
from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.cluster.simulation.api import Listener, Object
from trimtab.cluster.store import Change, Store
from trimtab.cluster.writer import Deletion, Options, Writer
from trimtab.objects.identity import GroupKind, gvk_of

__all__ = ["StoreWorld"]

EVENT = GroupKind("", "Event")


class Now(Protocol):
    def now(self) -> datetime: ...


class StoreWorld:
    """Reads and writes without HTTP, by the same rules."""

    def __init__(self, store: Store, registry: Registry, writer: Writer, *, clock: Now) -> None:
        self._store = store
        self._registry = registry
        self._writer = writer
        self._clock = clock

    def get(self, gk: GroupKind, namespace: str, name: str) -> Object | None:
        record = self._store.get(gk, namespace, name)
        return record.copy() if record else None

    def list(self, gk: GroupKind, namespace: str | None = None) -> list[Object]:
        return [record.copy() for record in self._store.iterate(gk, namespace)]

    def create(self, obj: Object, *, manager: str) -> Object:
        resource = self._resource(obj)
        namespace = str(obj["metadata"].get("namespace") or "")
        return self._writer.create(resource, namespace, obj, Options(manager=manager))[0]

    def update(self, obj: Object, *, manager: str, subresource: str = "") -> Object:
        resource, meta = self._resource(obj), obj["metadata"]
        options = Options(manager=manager)
        record = self._store.get(resource.storage, meta.get("namespace") or "", meta["name"])
        if record is None:
            raise not_found(resource.title, meta["name"])
        if subresource == "binding":
            bound = record.copy()
            bound["spec"]["nodeName"] = obj["spec"]["nodeName"]
            return self._writer.write(resource, record, bound, options, "binding")[0]
        copied = {**obj, "metadata": dict(meta)}
        return self._writer.write(resource, record, copied, options, subresource)[0]

    def delete(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        grace: int | None = None,
        uid: str | None = None,
    ) -> None:
        resource = self._registry.of_kind(gk)
        if resource is None:
            raise not_found(str(gk), name)
        deletion = Deletion(propagation=propagation, grace=grace, uid=uid or "")
        self._writer.delete(resource, namespace, name, deletion)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        def told(change: Change) -> None:
            listener(change.kind, change.old.obj if change.old else None, change.new.obj)

        return self._store.subscribe(told)

    def event(
        self,
        regarding: Object,
        *,
        type: str,  # noqa: A002  the field's own name
        reason: str,
        message: str,
        component: str,
    ) -> None:
        """Aggregated by object, reason and message, as the recorders of real controllers do."""
        meta = regarding["metadata"]
        namespace = meta.get("namespace") or "default"
        found = self._store.get(GroupKind("", "Namespace"), "", namespace)
        if found is None or found.obj["metadata"].get("deletionTimestamp"):
            return
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        key = repr((meta.get("uid"), type, reason, message, component)).encode()
        digest = hashlib.sha256(key).hexdigest()[:16]
        name = f"{meta['name']}.{digest}"[:253]
        record = self._store.get(EVENT, namespace, name)
        resource = self._registry.of_kind(EVENT)
        assert resource is not None
        if record is not None:
            obj = record.copy()
            obj["count"] = int(obj.get("count") or 1) + 1
            obj["lastTimestamp"] = now
            self._writer.write(resource, record, obj, Options(manager=component))
            return
        gvk = gvk_of(regarding)
        obj = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": gvk.api_version,
                "kind": gvk.kind,
                "namespace": meta.get("namespace", ""),
                "name": meta["name"],
                "uid": meta.get("uid", ""),
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "type": type,
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        if not obj["involvedObject"]["namespace"]:
            del obj["involvedObject"]["namespace"]
        self._writer.create(resource, namespace, obj, Options(manager=component))

    def _resource(self, obj: Object) -> Resource:
        gvk = gvk_of(obj)
        resource = self._registry.of_kind(gvk.group_kind, gvk.version)
        if resource is None:
            raise not_found(str(gvk.group_kind), str(obj["metadata"].get("name")))
        return resource
