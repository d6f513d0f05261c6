"""How a live object is kept: JSON bytes without managedFields, decoded on use.

The fields that each Apply manager owns are kept beside it, interned: objects of one shape share
one set. Source: spec/controller-runtime.md 5, ARCHITECTURE 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import orjson

from trimtab.objects import GVK, ObjectKey, gvk_of

__all__ = ["LiveObject", "OwnedFields", "Packer"]

DECODED = 2000


class OwnedFields:
    """The fieldsV1 of one Apply entry, as bytes. Equal sets are one object."""

    __slots__ = ("__weakref__", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body


class LiveObject(msgspec.Struct, frozen=True):
    """One object as the watch last saw it. Never change what `obj` and `owned` return.

    `applied` holds (manager, subresource, owned fields) of the Apply entries of managedFields.
    """

    key: ObjectKey
    gvk: GVK
    uid: str
    resource_version: str
    generation: int
    owners: tuple[str, ...]
    managers: tuple[str, ...]
    applied: tuple[tuple[str, str, OwnedFields], ...]
    body: bytes
    decode: Callable[[bytes], dict[str, Any]]

    def __repr__(self) -> str:
        return f"LiveObject({self.key}, resource_version={self.resource_version})"

    @property
    def obj(self) -> dict[str, Any]:
        """The object without `metadata.managedFields`."""
        return self.decode(self.body)

    def owned(self, manager: str, *, subresource: str = "") -> dict[str, Any] | None:
        """The fieldsV1 that `manager` owns by apply, None when it never applied.

        Entries of several API versions are united.
        """
        sets = [
            self.decode(fields.body)
            for name, sub, fields in self.applied
            if name == manager and sub == subresource
        ]
        if not sets:
            return None
        united = sets[0]
        for other in sets[1:]:
            united = _union(united, other)
        return united


class Packer:
    """Turns decoded objects into records. One for each cache; owns its interned values."""

    def __init__(self, decoded: int = DECODED) -> None:
        self._decode: Callable[[bytes], dict[str, Any]] = lru_cache(maxsize=decoded)(orjson.loads)
        self._owned: WeakValueDictionary[bytes, OwnedFields] = WeakValueDictionary()
        self._gvks: dict[GVK, GVK] = {}

    def pack(self, obj: dict[str, Any]) -> LiveObject:
        """The record of a whole object (`apiVersion` and `kind` present). `obj` is not changed."""
        meta = obj.get("metadata") or {}
        gvk = gvk_of(obj)
        gvk = self._gvks.setdefault(gvk, gvk)
        managed = meta.get("managedFields") or []
        if managed:
            slim = {key: value for key, value in meta.items() if key != "managedFields"}
            obj = {**obj, "metadata": slim}
        owners = meta.get("ownerReferences") or []
        return LiveObject(
            key=ObjectKey(
                gvk.group,
                gvk.kind,
                sys.intern(str(meta.get("namespace") or "")),
                str(meta.get("name") or ""),
            ),
            gvk=gvk,
            uid=str(meta.get("uid") or ""),
            resource_version=str(meta.get("resourceVersion") or ""),
            generation=int(meta.get("generation") or 0),
            owners=tuple(str(owner.get("uid") or "") for owner in owners),
            managers=tuple(dict.fromkeys(sys.intern(str(e.get("manager") or "")) for e in managed)),
            applied=tuple(
                (
                    sys.intern(str(entry.get("manager") or "")),
                    sys.intern(str(entry.get("subresource") or "")),
                    self._intern(entry.get("fieldsV1") or {}),
                )
                for entry in managed
                if entry.get("operation") == "Apply"
            ),
            body=orjson.dumps(obj),
            decode=self._decode,
        )

    def _intern(self, fields: dict[str, Any]) -> OwnedFields:
        body = orjson.dumps(fields)
        known = self._owned.get(body)
        if known is None:
            known = self._owned[body] = OwnedFields(body)
        return known


def _union(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for key, value in right.items():
        merged[key] = _union(merged[key], value) if key in merged else value
    return merged
