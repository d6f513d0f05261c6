"""OpenAPI v3: the index and one document a group-version, made when it is asked for.

Source: spec/embedded-cluster.md 4.1. kubectl looks here for the query parameters of PATCH and for
schemas (`explain`, strategic merge metadata).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.objects.identity import GVK

__all__ = ["OpenApi"]

REF: Final = "#/components/schemas/"
_PATCH: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


class OpenApi:
    """Documents as bytes, kept until a CRD changes them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._documents: dict[str, tuple[int, bytes, str]] = {}

    def index(self) -> dict[str, Any]:
        paths = {}
        for group, versions in self._registry.group_versions().items():
            for version in versions:
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                hash_ = self._hash(group, version)
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={hash_}"}
        return {"paths": paths}

    def document(self, group: str, version: str) -> tuple[bytes, str] | None:
        """(JSON, hash) of a group-version; None when nothing is served there."""
        if version not in self._registry.group_versions().get(group, ()):
            return None
        key = f"{group}/{version}"
        hash_ = self._hash(group, version)
        known = self._documents.get(key)
        if known is None or known[2] != hash_:
            body = orjson.dumps(self._build(group, version))
            known = self._documents[key] = (self._registry.generation, body, hash_)
        return known[1], hash_

    def _hash(self, group: str, version: str) -> str:
        """Built-in documents never change; those with CRDs do when a CRD does."""
        custom = [c for r in self._resources(group, version) if (c := self._registry.custom(r))]
        text = f"{self._registry.schemas.minor} {group}/{version}".encode()
        for each in custom:
            # Clients keep a document by its hash for good: two kinds of one schema differ.
            resource = each.resource
            names = [resource.plural, resource.kind, resource.namespaced, resource.subresources]
            text += orjson.dumps([names, each.raw_schema], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest().upper()

    def _resources(self, group: str, version: str) -> list[Resource]:
        return [r for r in self._registry.resources() if (r.group, r.version) == (group, version)]

    def _build(self, group: str, version: str) -> dict[str, Any]:
        schemas = dict(self._registry.schemas.openapi(group, version))
        paths: dict[str, Any] = {}
        for resource in self._resources(group, version):
            custom = self._registry.custom(resource)
            if custom is not None:
                name = _definition_name(resource)
                schemas[name] = _custom_definition(resource, custom.raw_schema)
                schemas.update(self._registry.schemas.closure([_OBJECT_META]))
            else:
                name = self._registry.schemas.definition_name(resource.gvk) or ""
            if name:
                paths.update(_paths(resource, name))
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": f"v{self._registry.schemas.minor}.0"},
            "paths": paths,
            "components": {"schemas": schemas},
        }


_OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def _paths(resource: Resource, name: str) -> dict[str, Any]:
    base = (
        f"/apis/{resource.group}/{resource.version}"
        if resource.group
        else f"/api/{resource.version}"
    )
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{base}{scope}/{resource.plural}"
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    schema = {"$ref": REF + name}
    content = {"application/json": {"schema": schema}}
    answer = {"200": {"description": "OK", "content": content}}

    def operation(
        action: str, parameters: tuple[str, ...], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
            "parameters": [
                {"name": each, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
                for each in parameters
            ],
            "responses": answer,
        }
        if body is not None:
            found["requestBody"] = {"content": body}
        return found

    write = ("dryRun", "fieldManager", "fieldValidation")
    # kubectl sends a strategic patch to whatever says it takes one; custom resources do not.
    types = [each for each in _PATCH if not (resource.custom and "strategic" in each)]
    patch = {kind: {"schema": {"type": "object"}} for kind in types}
    return {
        collection: {
            "get": operation("list", ("labelSelector", "fieldSelector", "limit", "continue")),
            "post": operation("post", write, content),
        },
        f"{collection}/{{name}}": {
            "get": operation("get", ()),
            "put": operation("put", write, content),
            "patch": operation("patch", (*write, "force"), patch),
            "delete": operation("delete", ("dryRun", "gracePeriodSeconds", "propagationPolicy")),
        },
    }


def _definition_name(resource: Resource) -> str:
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _custom_definition(resource: Resource, raw: dict[str, Any]) -> dict[str, Any]:
    gvk = GVK(resource.group, resource.version, resource.kind)
    properties = {
        "apiVersion": {"type": "string", "description": "Version of the representation."},
        "kind": {"type": "string", "description": "Kind of the object."},
        **(raw.get("properties") or {}),
        "metadata": {"description": "Standard metadata.", "allOf": [{"$ref": REF + _OBJECT_META}]},
    }
    return {
        **raw,
        "type": "object",
        "properties": properties,
        "x-kubernetes-group-version-kind": [
            {"group": gvk.group, "version": gvk.version, "kind": gvk.kind}
        ],
    }
