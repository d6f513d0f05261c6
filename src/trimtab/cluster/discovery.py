"""Discovery: aggregated (v2, v2beta1) and legacy (spec/embedded-cluster.md 3)."""

from __future__ import annotations

from typing import Any, Final

from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.objects.identity import api_version

__all__ = ["aggregated", "group", "groups", "resource_list", "versions"]

_SUBRESOURCE_KINDS: Final = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
}
_SUBRESOURCE_VERBS: Final = {
    "log": ["get"],
    "eviction": ["create"],
    "binding": ["create"],
    "token": ["create"],
    "finalize": ["update"],
    "exec": ["create", "get"],
    "attach": ["create", "get"],
    "portforward": ["create", "get"],
    "proxy": ["create", "delete", "get", "patch", "update"],
}


def aggregated(registry: Registry, *, core: bool, version: str) -> dict[str, Any]:
    """APIGroupDiscoveryList for /api (`core`) or /apis."""
    items = []
    for name, group_versions in registry.group_versions().items():
        if (name == "") is not core:
            continue
        found = [_aggregated_version(registry, name, each) for each in group_versions]
        meta: dict[str, Any] = {"creationTimestamp": None}
        if name:
            meta["name"] = name
        items.append({"metadata": meta, "versions": found})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_version(registry: Registry, name: str, version: str) -> dict[str, Any]:
    resources = []
    for resource in _in(registry, name, version):
        entry: dict[str, Any] = {
            "resource": resource.plural,
            "responseKind": _kind(resource.group, resource.version, resource.kind),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": sorted(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        if resource.subresources:
            entry["subresources"] = [_subresource(resource, each) for each in resource.subresources]
        resources.append(entry)
    return {"version": version, "freshness": "Current", "resources": resources}


def _subresource(resource: Resource, name: str) -> dict[str, Any]:
    group, version, kind = _SUBRESOURCE_KINDS.get(
        name, (resource.group, resource.version, resource.kind)
    )
    return {
        "subresource": name,
        "responseKind": _kind(group, version, kind),
        "verbs": _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"]),
    }


def groups(registry: Registry) -> dict[str, Any]:
    found = [group(registry, name) for name in registry.group_versions() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(registry: Registry, name: str) -> dict[str, Any] | None:
    group_versions = registry.group_versions().get(name)
    if not group_versions or not name:
        return None
    entries = [{"groupVersion": f"{name}/{each}", "version": each} for each in group_versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": entries,
        "preferredVersion": entries[0],
    }


def versions(address: str) -> dict[str, Any]:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def resource_list(registry: Registry, name: str, version: str) -> dict[str, Any] | None:
    """APIResourceList with subresources flattened."""
    resources: list[dict[str, Any]] = []
    for resource in _in(registry, name, version):
        base = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
        }
        entry = {**base, "kind": resource.kind, "verbs": sorted(resource.verbs)}
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        resources.append(entry)
        for each in resource.subresources:
            sub = _subresource(resource, each)
            kind = sub["responseKind"]
            flat = {
                "name": f"{resource.plural}/{each}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind["kind"],
                "verbs": sub["verbs"],
            }
            if (kind["group"], kind["version"]) != (name, version):
                flat["group"], flat["version"] = kind["group"], kind["version"]
            resources.append(flat)
    if not resources:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version(name, version),
        "resources": resources,
    }


def _in(registry: Registry, name: str, version: str) -> list[Resource]:
    found = [r for r in registry.resources() if (r.group, r.version) == (name, version)]
    return sorted(found, key=lambda resource: resource.plural)


def _kind(group_: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group_, "version": version, "kind": kind}
