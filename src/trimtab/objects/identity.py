"""Who an object is: group, version, kind, namespace, name. Pure functions on plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["GVK", "GroupKind", "ObjectKey", "api_version", "gvk_of", "key_of", "split_api_version"]


class GroupKind(msgspec.Struct, frozen=True, order=True):
    """A kind whatever its version. The core group is the empty string."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


class GVK(msgspec.Struct, frozen=True, order=True):
    """Group, version, kind. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)

    @property
    def group_kind(self) -> GroupKind:
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        return f"{self.api_version} {self.kind}"


class ObjectKey(msgspec.Struct, frozen=True, order=True):
    """Identity of an object in one cluster, whatever its version. Cluster-scoped: namespace ""."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def group_kind(self) -> GroupKind:
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        """`apps/Deployment/ns/name`, as people and messages name it."""
        parts = [self.group, self.kind, self.namespace, self.name]
        return "/".join(part for part in parts if part)


def api_version(group: str, version: str) -> str:
    return f"{group}/{version}" if group else version


def split_api_version(text: str) -> tuple[str, str]:
    """(group, version) of an `apiVersion`."""
    group, _, version = text.rpartition("/")
    return group, version


def gvk_of(obj: Mapping[str, Any]) -> GVK:
    """The GVK an object claims; missing fields are empty strings."""
    group, version = split_api_version(str(obj.get("apiVersion") or ""))
    return GVK(group, version, str(obj.get("kind") or ""))


def key_of(obj: Mapping[str, Any]) -> ObjectKey:
    """The key an object claims; missing fields are empty strings."""
    gvk = gvk_of(obj)
    meta = obj.get("metadata") or {}
    return ObjectKey(
        gvk.group, gvk.kind, str(meta.get("namespace") or ""), str(meta.get("name") or "")
    )
