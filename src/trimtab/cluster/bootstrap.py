"""What every cluster has from the start (spec/embedded-cluster.md 6)."""

from __future__ import annotations

from typing import Any, Final

from trimtab.cluster.errors import ApiError
from trimtab.cluster.registry import Registry
from trimtab.cluster.roles import bootstrap_roles
from trimtab.cluster.writer import Options, Writer
from trimtab.objects.identity import gvk_of

__all__ = ["bootstrap"]

NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")


def bootstrap(writer: Writer, registry: Registry) -> None:
    """Create what is missing; what is there stays as it is."""
    options = Options(manager="kube-apiserver")
    for obj in _objects():
        resource = registry.of_kind(gvk_of(obj).group_kind)
        assert resource is not None
        namespace = obj["metadata"].get("namespace", "")
        if writer.store.get(resource.storage, namespace, obj["metadata"]["name"]):
            continue
        try:
            writer.create(resource, namespace, obj, options)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def _objects() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [_named("v1", "Namespace", name) for name in NAMESPACES]
    found.append(
        {
            **_named("v1", "Service", "kubernetes", "default"),
            "spec": {
                "clusterIP": "10.96.0.1",
                "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
            },
        }
    )
    found += bootstrap_roles()
    for name, value in (
        ("system-cluster-critical", 2000000000),
        ("system-node-critical", 2000001000),
    ):
        found.append({**_named("scheduling.k8s.io/v1", "PriorityClass", name), "value": value})
    storage = _named("storage.k8s.io/v1", "StorageClass", "standard")
    storage["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    found.append(
        {
            **storage,
            "provisioner": "embedded.sim/volumes",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    return found


def _named(api_version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}
