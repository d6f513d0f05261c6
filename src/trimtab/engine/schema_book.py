"""Schemas of built-in kinds and of the cluster's own CRDs, behind one lookup."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from trimtab.objects import GVK, GroupKind, NotStructural, Schema, SchemaSet, crd_versions

__all__ = ["CRD", "SchemaBook"]

CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")


class SchemaBook:
    """`definitions()` gives the CRDs there are now, each with `uid`, `resource_version`, `obj`
    (a cache's `list`). Schemas are built once for each version of a CRD."""

    def __init__(self, builtin: SchemaSet, definitions: Callable[[], Iterable[Any]]) -> None:
        self._builtin = builtin
        self._definitions = definitions
        self._built: dict[str, tuple[str, dict[str, Schema]]] = {}

    def get(self, gvk: GVK) -> Schema | None:
        """None when nobody describes the kind: it is compared as untyped."""
        found = self._builtin.get(gvk)
        if found is not None or "." not in gvk.group:
            return found
        for record in self._definitions():
            spec = record.obj.get("spec") or {}
            if spec.get("group") == gvk.group and spec["names"]["kind"] == gvk.kind:
                return self._versions(record).get(gvk.version)
        return None

    def namespaced(self, gvk: GVK) -> bool | None:
        """Scope by CRD; None when there is none."""
        for record in self._definitions():
            spec = record.obj.get("spec") or {}
            if spec.get("group") == gvk.group and spec["names"]["kind"] == gvk.kind:
                return bool(spec.get("scope") == "Namespaced")
        return None

    def _versions(self, record: Any) -> dict[str, Schema]:
        known = self._built.get(record.uid)
        if known is not None and known[0] == record.resource_version:
            return known[1]
        try:
            built = crd_versions(record.obj)
        except NotStructural:
            built = {}
        self._built[record.uid] = (record.resource_version, built)
        return built
