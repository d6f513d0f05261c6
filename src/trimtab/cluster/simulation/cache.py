"""What the controllers read: the objects of their kinds, indexed by owner and namespace.

Objects in here are shared and never mutated. `managedFields` is left out: nobody here reads it
and it is the larger part of many objects.
"""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.cluster.simulation.api import Object
from trimtab.objects.identity import GroupKind, ObjectKey, key_of

__all__ = ["Cache", "controller_of", "is_controlled_by", "version_of"]


def controller_of(obj: Object) -> Object | None:
    """The ownerReference with `controller: true`, or None."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(obj: Object, uid: str) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid


def version_of(obj: Object) -> int:
    """resourceVersion as a number; 0 when absent."""
    return int(obj["metadata"].get("resourceVersion") or 0)


_NOBODY = "namespace/"  # no uid looks like this


def _owner_slot(obj: Object) -> str:
    """Where an object is indexed: its controller's uid, or its namespace's orphans."""
    owner = controller_of(obj)
    return str(owner.get("uid")) if owner else _NOBODY + str(obj["metadata"].get("namespace") or "")


def _lean(obj: Object) -> Object:
    meta = obj["metadata"]
    if "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {k: v for k, v in meta.items() if k != "managedFields"}}


class Cache:
    """Objects of the watched kinds, by key, by namespace and by controlling owner's uid."""

    def __init__(self) -> None:
        self._objects: dict[GroupKind, dict[str, dict[str, Object]]] = {}
        self._owned: dict[str, dict[ObjectKey, Object]] = {}
        self._gone: dict[str, int] = {}

    def get(self, gk: GroupKind, namespace: str, name: str) -> Object | None:
        return self._objects.get(gk, {}).get(namespace, {}).get(name)

    def of_kind(self, gk: GroupKind, namespace: str | None = None) -> Iterator[Object]:
        """Objects of a kind in one namespace or in all, in order of arrival."""
        spaces = self._objects.get(gk, {})
        chosen = list(spaces.values()) if namespace is None else [spaces.get(namespace, {})]
        for space in chosen:
            yield from list(space.values())

    def owned(self, uid: str, gk: GroupKind) -> list[Object]:
        """Objects of a kind whose controller is `uid`, in order of arrival."""
        return [o for k, o in self._owned.get(uid, {}).items() if k.group_kind == gk]

    def orphans(self, gk: GroupKind, namespace: str) -> list[Object]:
        """Objects of a kind in a namespace without a controller."""
        found = self._owned.get(_NOBODY + namespace, {})
        return [o for k, o in found.items() if k.group_kind == gk]

    def put(self, obj: Object) -> tuple[Object | None, Object] | None:
        """Takes a newer state in. Returns (old, new), or None when it was known or older."""
        key, lean = key_of(obj), _lean(obj)
        uid = str(lean["metadata"].get("uid") or "")
        old = self.get(key.group_kind, key.namespace, key.name)
        if old is not None and version_of(old) >= version_of(lean):
            return None
        if old is None and self._gone.get(uid, -1) >= version_of(lean):
            return None  # a late event of an object whose end is already known
        if old is not None and _owner_slot(old) != _owner_slot(lean):
            self._unlink(key, old)
        space = self._objects.setdefault(key.group_kind, {}).setdefault(key.namespace, {})
        space[key.name] = lean
        self._owned.setdefault(_owner_slot(lean), {})[key] = lean
        return old, lean

    def drop(self, obj: Object) -> Object | None:
        """Forgets an object. Returns what was known of it, None when nothing was."""
        key = key_of(obj)
        known = self.get(key.group_kind, key.namespace, key.name)
        uid = str(obj["metadata"].get("uid") or "")
        if known is None or known["metadata"].get("uid") != uid:
            self._gone.pop(uid, None)
            return None
        self._gone[uid] = max(version_of(obj), version_of(known))
        while len(self._gone) > 1000:  # late events come within moments, not after 1000 deletes
            del self._gone[next(iter(self._gone))]
        self._unlink(key, known)
        space = self._objects[key.group_kind][key.namespace]
        del space[key.name]
        if not space:
            del self._objects[key.group_kind][key.namespace]
        return known

    def _unlink(self, key: ObjectKey, obj: Object) -> None:
        slot = _owner_slot(obj)
        siblings = self._owned.get(slot, {})
        siblings.pop(key, None)
        if not siblings:
            self._owned.pop(slot, None)
