"""What admission adds to new objects (spec/embedded-cluster.md 12)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from trimtab.cluster.registry import CRD
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Store
from trimtab.objects.identity import GroupKind

__all__ = ["CRD_CLEANUP", "NAMESPACE", "POD", "admit"]

NAMESPACE: Final = GroupKind("", "Namespace")
POD: Final = GroupKind("", "Pod")
CRD_CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
Object = dict[str, Any]
_TOLERATIONS: Final[list[Mapping[str, Any]]] = [
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
]


def admit(store: Store, resource: Resource, obj: Object) -> None:
    """Add to a new object, in place, what admission adds: labels and finalizers of namespaces,
    accounts and tolerations of pods, storage classes of claims."""
    meta, spec = obj["metadata"], obj.get("spec") or {}
    if resource.storage == NAMESPACE:
        meta.setdefault("labels", {})
        meta["labels"] = {**(meta["labels"] or {}), "kubernetes.io/metadata.name": meta["name"]}
        obj["spec"] = {**spec, "finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif resource.storage == POD:
        spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
        spec.setdefault("tolerations", copy.deepcopy(_TOLERATIONS))
        obj["status"] = {"phase": "Pending", **(obj.get("status") or {})}
    elif resource.storage == CRD:
        finalizers = meta.setdefault("finalizers", [])
        if CRD_CLEANUP not in finalizers:
            finalizers.append(CRD_CLEANUP)
    elif resource.kind == "PersistentVolumeClaim" and "storageClassName" not in spec:
        default = _default_class(store)
        if default:
            spec["storageClassName"] = default


def _default_class(store: Store) -> str:
    for record in store.iterate(GroupKind("storage.k8s.io", "StorageClass")):
        annotations = record.obj["metadata"].get("annotations") or {}
        if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
            return record.name
    return ""
