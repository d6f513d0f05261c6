"""Which resources exist, with their schemas: the built-in ones, and those that CRDs add."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from trimtab.cluster.resources import Resource, builtin_resources
from trimtab.cluster.rules import CelEngine
from trimtab.objects import GVK, GroupKind, Rules, Schema, SchemaSet, compile_rules, crd_versions

__all__ = ["CRD", "Custom", "Registry", "version_order"]

CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")


class Custom(msgspec.Struct, frozen=True):
    """One served version of a CRD."""

    resource: Resource
    schema: Schema
    raw_schema: dict[str, Any]
    columns: tuple[dict[str, Any], ...]
    scale: dict[str, str] | None
    storage_version: str
    deprecation: str = ""


class Registry:
    """Look-ups by path, by kind, and everything for discovery."""

    def __init__(self, schemas: SchemaSet) -> None:
        self.schemas = schemas
        self._builtin: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[GroupKind, Resource] = {}
        self._custom: dict[tuple[str, str, str], Custom] = {}
        self._custom_kinds: dict[GroupKind, Custom] = {}
        self._rules: dict[tuple[str, str, str], Rules] = {}
        self.generation = 0
        for resource in builtin_resources():
            if schemas.get(resource.gvk) is None and resource.kind not in _NO_SCHEMA:
                continue
            self._builtin[resource.group, resource.version, resource.plural] = resource
            # The first row of a kind is the form it is stored in.
            self._by_kind.setdefault(resource.gvk.group_kind, resource)
        pod = schemas.get(GVK("", "v1", "Pod"))
        assert pod is not None
        self._meta = pod.properties["metadata"]

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        found = self._builtin.get((group, version, plural))
        if found is None:
            custom = self._custom.get((group, version, plural))
            return custom.resource if custom else None
        return found

    def of_kind(self, gk: GroupKind, version: str = "") -> Resource | None:
        """The resource of a kind: of that version, else its storage version."""
        builtin = self._by_kind.get(gk)
        if builtin is not None:
            return builtin
        if version:
            for custom in self._custom.values():
                if custom.resource.gvk == GVK(gk.group, version, gk.kind):
                    return custom.resource
        found = self._custom_kinds.get(gk)
        return found.resource if found else None

    def custom(self, resource: Resource) -> Custom | None:
        return self._custom.get((resource.group, resource.version, resource.plural))

    def schema(self, resource: Resource) -> Schema | None:
        custom = self.custom(resource)
        return custom.schema if custom else self.schemas.get(resource.gvk)

    def rules(self, resource: Resource) -> Rules | None:
        """The validation rules of a custom resource, compiled when they are first needed."""
        key = (resource.group, resource.version, resource.plural)
        custom = self._custom.get(key)
        if custom is None:
            return None
        if key not in self._rules:
            self._rules[key] = compile_rules(custom.schema, CelEngine())
        return self._rules[key]

    def resources(self) -> Iterator[Resource]:
        yield from self._builtin.values()
        for custom in self._custom.values():
            yield custom.resource

    def group_versions(self) -> dict[str, list[str]]:
        """Every group with its versions, preferred first."""
        found: dict[str, set[str]] = {}
        for resource in self.resources():
            found.setdefault(resource.group, set()).add(resource.version)
        return {group: sorted(each, key=version_order) for group, each in sorted(found.items())}

    # -- CRDs --------------------------------------------------------------------------------

    def add_crd(self, crd: Mapping[str, Any]) -> None:
        """Serve a CRD's versions, in place of what it served before."""
        self.drop_crd(crd["metadata"]["name"])
        spec = crd["spec"]
        names = spec["names"]
        schemas = crd_versions(crd)
        storage = next(each["name"] for each in spec["versions"] if each.get("storage"))
        for version in spec["versions"]:
            if not version.get("served"):
                continue
            sub = version.get("subresources") or {}
            resource = Resource(
                group=spec["group"],
                version=version["name"],
                kind=names["kind"],
                plural=names["plural"],
                singular=names.get("singular") or names["kind"].lower(),
                namespaced=spec["scope"] == "Namespaced",
                subresources=tuple(name for name in ("status", "scale") if name in sub),
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                custom=True,
            )
            custom = Custom(
                resource=resource,
                schema=self._whole(schemas[version["name"]]),
                raw_schema=(version.get("schema") or {}).get("openAPIV3Schema") or {},
                columns=tuple(version.get("additionalPrinterColumns") or ()),
                scale=sub.get("scale"),
                storage_version=storage,
                deprecation=_deprecation(version, spec["group"], names["kind"]),
            )
            self._custom[resource.group, resource.version, resource.plural] = custom
            if version["name"] == storage or resource.gvk.group_kind not in self._custom_kinds:
                self._custom_kinds[resource.gvk.group_kind] = custom
        self.generation += 1

    def drop_crd(self, name: str) -> None:
        plural, _, group = name.partition(".")
        gone = [key for key in self._custom if (key[0], key[2]) == (group, plural)]
        for key in gone:
            self._custom_kinds.pop(self._custom[key].resource.gvk.group_kind, None)
            del self._custom[key]
            self._rules.pop(key, None)
        if gone:
            self.generation += 1

    def _whole(self, schema: Schema) -> Schema:
        """A custom resource's schema with the metadata that every object has."""
        whole = Schema("object")
        for slot in Schema.__slots__:
            setattr(whole, slot, getattr(schema, slot))
        whole.properties = {**schema.properties, "metadata": self._meta}
        for name in ("apiVersion", "kind"):
            whole.properties[name] = Schema("string")
        return whole

    def fingerprint(self) -> str:
        """Changes whenever discovery does."""
        text = ",".join(
            f"{r.group}/{r.version}/{r.plural}/{r.kind}{r.subresources}{r.short_names}{r.categories}"
            for r in self.resources()
        )
        return hashlib.sha256(text.encode()).hexdigest().upper()


_NO_SCHEMA: Final = ("ComponentStatus",)


def version_order(version: str) -> tuple[int, int, int, str]:
    """GA by descending number, then beta, then alpha, then anything else by name."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not match:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), "")


def _deprecation(version: Mapping[str, Any], group: str, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    default = f"{group}/{version['name']} {kind} is deprecated"
    return str(version.get("deprecationWarning") or default)
