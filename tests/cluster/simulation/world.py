"""A small honest world: resourceVersions, conflicts, owners' cascade, grace of Pods."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from typing import Any

from trimtab.cluster.simulation.api import Listener, Object
from trimtab.cluster.simulation.clock import Clock, stamp
from trimtab.errors import TrimtabError
from trimtab.objects.identity import GroupKind, ObjectKey, key_of


class MemoryWorld:
    """`World` on a dict. Deletes cascade in the background sense, at once."""

    def __init__(self, *, clock: Clock) -> None:
        self.clock = clock
        self.objects: dict[ObjectKey, Object] = {}
        self.events: list[tuple[str, str, str, str]] = []  # kind/name, type, reason, message
        self.log: list[tuple[str, str]] = []
        self.refuse: Callable[[Object], str | None] = lambda _: None
        self._listeners: list[Listener] = []
        self.version = 0
        self._serial = 0

    def get(self, gk: GroupKind, namespace: str, name: str) -> Object | None:
        found = self.objects.get(ObjectKey(gk.group, gk.kind, namespace, name))
        return copy.deepcopy(found)

    def list(self, gk: GroupKind, namespace: str | None = None) -> list[Object]:
        return [
            copy.deepcopy(obj)
            for key, obj in sorted(self.objects.items())
            if key.group_kind == gk and namespace in (None, key.namespace)
        ]

    def create(self, obj: Object, *, manager: str) -> Object:
        assert manager
        why = self.refuse(obj)
        if why:
            raise TrimtabError(why, reason="Forbidden")
        made = copy.deepcopy(obj)
        meta = made["metadata"]
        if "name" not in meta:
            self._serial += 1
            meta["name"] = f"{meta['generateName']}{self._serial:05d}"
        if key_of(made) in self.objects:
            raise TrimtabError(f"{meta['name']} already exists", reason="AlreadyExists")
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=stamp(self.clock.now()))
        if "spec" in made:
            meta["generation"] = 1
        made.pop("status", None)
        return self._commit("ADDED", None, made)

    def update(self, obj: Object, *, manager: str, subresource: str = "") -> Object:
        assert manager
        key = key_of(obj)
        old = self.objects.get(key)
        if old is None:
            raise TrimtabError(f"{key} not found", reason="NotFound")
        sent = obj["metadata"].get("resourceVersion")
        if sent and sent != old["metadata"]["resourceVersion"]:
            raise TrimtabError(f"{key} was modified", reason="Conflict")
        new = copy.deepcopy(obj)
        if subresource == "status":
            notes = new["metadata"].get("annotations")
            new = {**copy.deepcopy(old), "status": new.get("status")}
            if notes is not None:
                new["metadata"]["annotations"] = notes
        elif "status" in old:
            new["status"] = copy.deepcopy(old["status"])
        if key.kind == "Pod" and subresource == "":
            assert new["spec"].get("nodeName") == old["spec"].get("nodeName"), "bind to bind"
        if new == old:
            return new
        if new.get("spec") != old.get("spec") or (
            key.kind == "Deployment"
            and subresource != "status"
            and new["metadata"].get("annotations") != old["metadata"].get("annotations")
        ):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        made = self._commit("MODIFIED", old, new)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._remove(key)
        return made

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
        assert propagation == "Background"
        key = ObjectKey(gk.group, gk.kind, namespace, name)
        old = self.objects.get(key)
        if old is None:
            raise TrimtabError(f"{key} not found", reason="NotFound")
        if uid and uid != old["metadata"]["uid"]:
            raise TrimtabError("uid differs", reason="Conflict")
        meta = old["metadata"]
        if gk.kind == "Pod" and old["spec"].get("nodeName"):
            grace = old["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        else:
            grace = 0
        if grace == 0 and not meta.get("finalizers"):
            self._remove(key)
        elif meta.get("deletionGracePeriodSeconds") != grace or "deletionTimestamp" not in meta:
            new = copy.deepcopy(old)
            new["metadata"].setdefault("deletionTimestamp", stamp(self.clock.now()))
            new["metadata"]["deletionGracePeriodSeconds"] = grace
            self._commit("MODIFIED", old, new)

    def _remove(self, key: ObjectKey) -> None:
        old = self.objects.pop(key)
        self.version += 1
        last = copy.deepcopy(old)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._tell("DELETED", old, last)
        for child, obj in list(self.objects.items()):
            owners = obj["metadata"].get("ownerReferences") or ()
            owned = owners and all(o["uid"] == old["metadata"]["uid"] for o in owners)
            if owned and child in self.objects:
                self.delete(child.group_kind, child.namespace, child.name)

    def _commit(self, change: str, old: Object | None, new: Object) -> Object:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key_of(new)] = new
        self._tell(change, old, new)
        return copy.deepcopy(new)

    def _tell(self, change: str, old: Object | None, new: Object) -> None:
        self.log.append((change, str(key_of(new))))
        for listener in list(self._listeners):
            listener(change, copy.deepcopy(old), copy.deepcopy(new))

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def event(
        self,
        regarding: Object,
        *,
        type: str,  # noqa: A002  the field's own name
        reason: str,
        message: str,
        component: str,
    ) -> None:
        assert component
        name = f"{regarding['kind']}/{regarding['metadata']['name']}"
        self.events.append((name, type, reason, message))

    # -- for tests ------------------------------------------------------------------------------

    def one(self, kind: str, name: str, namespace: str = "demo") -> Object:
        """The object of a kind with a name; fails when it is not there."""
        for key, obj in self.objects.items():
            if key.kind == kind and key.name == name and key.namespace in (namespace, ""):
                return obj
        raise AssertionError(f"no {kind} {name}")

    def all(self, kind: str) -> list[Object]:
        return [obj for key, obj in self.objects.items() if key.kind == kind]

    def change(self, kind: str, name: str, edit: Callable[[Object], Any]) -> Object:
        """Edits an object as a user would."""
        obj = copy.deepcopy(self.one(kind, name))
        edit(obj)
        return self.update(obj, manager="user")
