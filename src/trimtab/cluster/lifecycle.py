"""What the server itself does after a write: garbage collection, namespaces that end, CRDs that
become served. Event-driven, in the turn of the loop after the write was told.

Source: spec/embedded-cluster.md 7.7, 10.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

from trimtab.cluster.admission import CRD_CLEANUP, NAMESPACE
from trimtab.cluster.errors import ApiError
from trimtab.cluster.namespaces import namespace_conditions
from trimtab.cluster.registry import CRD, Registry
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Change, Record, Store
from trimtab.cluster.writer import FOREGROUND, ORPHAN, Deletion, Options, Writer
from trimtab.objects.identity import GroupKind, gvk_of

__all__ = ["Lifecycle"]

Place = tuple[GroupKind, str, str]
GC: Final = Options(manager="kube-controller-manager")
ROUNDS: Final = 500


class Now(Protocol):
    def now(self) -> datetime: ...


class Lifecycle:
    """Listens to the store; does its work one object at a time."""

    def __init__(self, store: Store, registry: Registry, writer: Writer, *, clock: Now) -> None:
        self._store = store
        self._registry = registry
        self._writer = writer
        self._clock = clock
        self._owned: dict[str, set[Place]] = {}
        self._owners: dict[Place, tuple[str, ...]] = {}
        self._uids: set[str] = set()
        self._due: deque[Place] = deque()
        self._queued: set[Place] = set()
        self._waiting: set[Place] = set()
        self._scheduled = False

    def start(self) -> Callable[[], None]:
        """Index what is stored, look at all of it once, then listen."""
        for gk in self._store.kinds():
            for record in self._store.iterate(gk):
                self._index(gk, record)
        for crd in self._store.iterate(CRD):
            self._registry.add_crd(crd.obj)
        for gk in self._store.kinds():
            for record in self._store.iterate(gk):
                if _needs_work(gk, record):
                    self._later((gk, record.namespace, record.name))
        return self._store.subscribe(self._on_change)

    # -- listening ---------------------------------------------------------------------------

    def _on_change(self, change: Change) -> None:
        gk, record = change.gk, change.new
        place = (gk, record.namespace, record.name)
        if change.kind == "DELETED":
            self._gone(place, record)
            return
        self._index(gk, record)
        if _needs_work(gk, record) or self._orphaned(record):
            self._later(place)

    def _gone(self, place: Place, record: Record) -> None:
        self._uids.discard(record.uid)
        for uid in self._owners.pop(place, ()):
            self._owned.get(uid, set()).discard(place)
            self._wake_owner(uid)
        for dependent in self._owned.get(record.uid, ()):
            self._later(dependent)
        if place[0] == CRD:
            self._registry.drop_crd(record.name)
        namespace = self._store.get(NAMESPACE, "", record.namespace) if record.namespace else None
        if namespace is not None and namespace.obj["metadata"].get("deletionTimestamp"):
            self._later((NAMESPACE, "", namespace.name))
        self._wake_crd(place[0])

    def _wake_owner(self, uid: str) -> None:
        """An owner in foreground deletion may have lost its last dependent."""
        for place in tuple(self._waiting):
            found = self._store.get(*place)
            if found is None:
                self._waiting.discard(place)
            elif found.uid == uid:
                self._later(place)

    def _wake_crd(self, gk: GroupKind) -> None:
        for record in self._store.iterate(CRD):
            spec = record.obj["spec"]
            if GroupKind(spec["group"], spec["names"]["kind"]) == gk and _deleting(record):
                self._later((CRD, "", record.name))

    def _index(self, gk: GroupKind, record: Record) -> None:
        place = (gk, record.namespace, record.name)
        self._uids.add(record.uid)
        owners = tuple(ref["uid"] for ref in record.obj["metadata"].get("ownerReferences") or ())
        before = self._owners.get(place, ())
        if owners == before:
            return
        for uid in before:
            self._owned.get(uid, set()).discard(place)
        for uid in owners:
            self._owned.setdefault(uid, set()).add(place)
        if owners:
            self._owners[place] = owners
        else:
            self._owners.pop(place, None)

    def _orphaned(self, record: Record) -> bool:
        """Has owners, and none of them exists."""
        refs = record.obj["metadata"].get("ownerReferences") or ()
        return bool(refs) and not any(ref["uid"] in self._uids for ref in refs)

    # -- working -----------------------------------------------------------------------------

    def _later(self, place: Place) -> None:
        if place in self._queued:
            return
        self._queued.add(place)
        self._due.append(place)
        self._schedule()

    def settle(self) -> None:
        """Do what is due now; requests get their turn after every few hundred objects."""
        self._scheduled = False
        try:
            for _ in range(ROUNDS):
                if not self._due:
                    return
                place = self._due.popleft()
                self._queued.discard(place)
                record = self._store.get(*place)
                if record is not None:
                    self._look(place, record)
        finally:
            # Also after a fault of ours on one object: the others must not wait for a next event.
            self._schedule()

    def _schedule(self) -> None:
        if self._due and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.settle)

    def _look(self, place: Place, record: Record) -> None:
        gk = place[0]
        resource = self._registry.of_kind(gk)
        if resource is None:
            return
        try:
            if self._orphaned(record):
                self._delete(resource, record)
                return
            finalizers = record.obj["metadata"].get("finalizers") or ()
            if _deleting(record) and ORPHAN in finalizers:
                self._release(resource, record)
            elif _deleting(record) and FOREGROUND in finalizers:
                self._foreground_step(resource, record, place)
            elif gk == NAMESPACE and _deleting(record):
                self._end_namespace(resource, record)
            elif gk == CRD:
                self._crd(resource, record)
        except ApiError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise

    def _delete(self, resource: Resource, record: Record) -> None:
        deletion = Deletion(propagation="Background", uid=record.uid)
        if not _deleting(record):
            self._writer.delete(resource, record.namespace, record.name, deletion)

    def _dependents(self, record: Record) -> list[tuple[Resource, Record]]:
        found = []
        for place in sorted(self._owned.get(record.uid, ()), key=lambda p: (p[0], p[1], p[2])):
            resource, dependent = self._registry.of_kind(place[0]), self._store.get(*place)
            if resource is not None and dependent is not None:
                found.append((resource, dependent))
        return found

    def _release(self, resource: Resource, record: Record) -> None:
        """Orphan: dependents lose the reference, then the finalizer goes."""
        for kind, dependent in self._dependents(record):
            obj = dependent.copy()
            refs = obj["metadata"].get("ownerReferences") or ()
            obj["metadata"]["ownerReferences"] = [ref for ref in refs if ref["uid"] != record.uid]
            if not obj["metadata"]["ownerReferences"]:
                del obj["metadata"]["ownerReferences"]
            self._writer.write(kind, dependent, obj, GC)
        self._drop_finalizer(resource, record, ORPHAN)

    def _foreground_step(self, resource: Resource, record: Record, place: Place) -> None:
        for kind, dependent in self._dependents(record):
            if not _deleting(dependent):
                deletion = Deletion(propagation="Foreground", uid=dependent.uid)
                self._writer.delete(kind, dependent.namespace, dependent.name, deletion)
        still = [d for _, d in self._dependents(record) if _blocks(d, record.uid)]
        if still:
            self._waiting.add(place)
        else:
            self._waiting.discard(place)
            self._drop_finalizer(resource, record, FOREGROUND)

    def _drop_finalizer(self, resource: Resource, record: Record, name: str) -> None:
        current = self._store.get(resource.storage, record.namespace, record.name)
        if current is None:
            return
        obj = current.copy()
        left = [each for each in obj["metadata"].get("finalizers") or () if each != name]
        if left:
            obj["metadata"]["finalizers"] = left
        else:
            obj["metadata"].pop("finalizers", None)
        self._writer.write(resource, current, obj, GC)

    def _end_namespace(self, resource: Resource, record: Record) -> None:
        for gk in self._store.kinds():
            kind = self._registry.of_kind(gk)
            if kind is None or not kind.namespaced:
                continue
            for each in list(self._store.iterate(gk, record.name)):
                if not _deleting(each):
                    self._writer.delete(
                        kind, each.namespace, each.name, Deletion(propagation="Background")
                    )
        left = [each for gk in self._store.kinds() for each in self._content(gk, record.name)]
        if left:
            self._tell_what_remains(resource, record.name, left)
            return
        current = self._store.get(NAMESPACE, "", record.name)
        if current is None:
            return
        obj = current.copy()
        obj["spec"] = {
            key: value for key, value in (obj.get("spec") or {}).items() if key != "finalizers"
        }
        obj["metadata"]["deletionGracePeriodSeconds"] = 0
        self._writer.write(resource, current, obj, GC, "finalize")

    def _tell_what_remains(self, resource: Resource, name: str, left: list[Record]) -> None:
        current = self._store.get(NAMESPACE, "", name)
        if current is None:
            return
        obj = current.copy()
        status = obj.setdefault("status", {})
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        titles = [self._registry.of_kind(gvk_of(each.obj).group_kind) for each in left]
        status["conditions"] = namespace_conditions(
            status.get("conditions") or [],
            [each.title for each in titles if each is not None],
            [f for each in left for f in each.obj["metadata"].get("finalizers") or ()],
            now,
        )
        self._writer.write(resource, current, obj, GC, "status")

    def _content(self, gk: GroupKind, namespace: str) -> list[Record]:
        kind = self._registry.of_kind(gk)
        return list(self._store.iterate(gk, namespace)) if kind and kind.namespaced else []

    def _crd(self, resource: Resource, record: Record) -> None:
        spec = record.obj["spec"]
        gk = GroupKind(spec["group"], spec["names"]["kind"])
        if not _deleting(record):
            self._establish(resource, record)
            return
        kind = self._registry.of_kind(gk)
        for each in list(self._store.iterate(gk)):
            if kind is not None and not _deleting(each):
                self._writer.delete(
                    kind, each.namespace, each.name, Deletion(propagation="Background")
                )
        if self._store.count(gk) == 0:
            self._drop_finalizer(resource, record, CRD_CLEANUP)

    def _establish(self, resource: Resource, record: Record) -> None:
        """Two writes, so that watchers see NamesAccepted before Established."""
        self._registry.add_crd(record.obj)
        for type_, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ):
            current = self._store.get(CRD, "", record.name)
            if current is None or _condition(current, type_):
                continue
            obj = current.copy()
            status = obj.setdefault("status", {})
            now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            status.setdefault("conditions", []).append(
                {
                    "type": type_,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": now,
                }
            )
            status["acceptedNames"] = obj["spec"]["names"]
            storage = next(v["name"] for v in obj["spec"]["versions"] if v.get("storage"))
            stored = status.get("storedVersions") or []
            status["storedVersions"] = stored if storage in stored else [*stored, storage]
            self._writer.write(resource, current, obj, Options(manager="kube-apiserver"), "status")


def _needs_work(gk: GroupKind, record: Record) -> bool:
    finalizers = record.obj["metadata"].get("finalizers") or ()
    if _deleting(record) and (
        gk in (NAMESPACE, CRD) or FOREGROUND in finalizers or ORPHAN in finalizers
    ):
        return True
    return gk == CRD


def _deleting(record: Record) -> bool:
    return bool(record.obj["metadata"].get("deletionTimestamp"))


def _blocks(record: Record, uid: str) -> bool:
    refs = record.obj["metadata"].get("ownerReferences") or ()
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in refs)


def _condition(record: Record, type_: str) -> dict[str, Any] | None:
    conditions = (record.obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == type_ and c["status"] == "True"), None)
