"""Schemas of the built-in kinds, one set per Kubernetes minor, from the shipped OpenAPI data.

The data files are made by tools/build_schemas.py (spec/embedded-cluster.md 4.2).
Definitions are decoded and compiled to `Schema` nodes when a kind is first asked for; nodes of one
definition are shared, so recursive types are cycles.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

import msgspec

from trimtab.errors import TrimtabError
from trimtab.objects.identity import GVK
from trimtab.objects.schema import Schema

__all__ = ["REF_PREFIX", "SchemaSet", "UnknownMinor"]

REF_PREFIX = "#/components/schemas/"
_DATA = "kubernetes-{}.json.z"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_JSON_VALUES = ("JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool")
_CONSTRAINTS = (
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-unions",
)


class UnknownMinor(TrimtabError):
    """No schemas are shipped for the Kubernetes minor asked for."""

    reason = "UnknownMinor"


class _Document(msgspec.Struct, frozen=True):
    kinds: dict[str, str]
    definitions: dict[str, msgspec.Raw]


class SchemaSet:
    """The built-in kinds of one Kubernetes minor. Callers never change what they are given."""

    def __init__(self, minor: str, document: bytes) -> None:
        """`document` is the unpacked data file; use `SchemaSet.load`."""
        decoded = msgspec.json.decode(document, type=_Document)
        self.minor = minor
        self._raw: Mapping[str, msgspec.Raw] = decoded.definitions
        self._names: dict[GVK, str] = {}
        for key, name in decoded.kinds.items():
            group, version, kind = key.split("/")
            self._names[GVK(group, version, kind)] = name
        self._definitions: dict[str, dict[str, Any]] = {}
        self._nodes: dict[str, Schema] = {}

    @staticmethod
    def minors() -> list[str]:
        """Minors with data, newest first."""
        found = []
        for entry in resources.files("trimtab.objects").joinpath("data").iterdir():
            prefix, suffix = _DATA.split("{}")
            if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                found.append(entry.name.removeprefix(prefix).removesuffix(suffix))
        return sorted(found, key=lambda minor: tuple(map(int, minor.split("."))), reverse=True)

    @staticmethod
    def load(minor: str = "") -> SchemaSet:
        """The set of `minor` ("1.37"; a full version such as "v1.37.2" too); empty: the newest.

        Sets are kept: they do not change. Raises `UnknownMinor`.
        """
        if not minor:
            return _load(SchemaSet.minors()[0])
        return _load(".".join(minor.removeprefix("v").split(".")[:2]))

    def get(self, gvk: GVK) -> Schema | None:
        """The schema of a built-in kind, None when this minor has no such kind."""
        name = self._names.get(gvk)
        return None if name is None else self._node(name)

    def kinds(self) -> list[GVK]:
        """Every group, version, kind of the data, lists and review kinds included, sorted."""
        return sorted(self._names)

    def definition(self, name: str) -> dict[str, Any] | None:
        """One OpenAPI definition by its full name, as shipped. Not to be changed."""
        known = self._definitions.get(name)
        if known is None and name in self._raw:
            known = self._definitions[name] = msgspec.json.decode(self._raw[name])
        return known

    def definition_name(self, gvk: GVK) -> str | None:
        """The name of a kind's definition, `io.k8s.api.apps.v1.Deployment`."""
        return self._names.get(gvk)

    def openapi(self, group: str, version: str) -> dict[str, dict[str, Any]]:
        """`components.schemas` of a group-version: all that its kinds reach (spec 4.1)."""
        roots = [
            n for gvk, n in self._names.items() if (gvk.group, gvk.version) == (group, version)
        ]
        return self.closure(roots)

    def closure(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The named definitions and all they refer to, by name, sorted."""
        found: dict[str, dict[str, Any]] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            definition = None if name in found else self.definition(name)
            if definition is not None:
                found[name] = definition
                waiting.extend(_references(definition))
        return dict(sorted(found.items()))

    def _node(self, name: str) -> Schema:
        node = self._nodes.get(name)
        if node is None:
            # Registered before its members are built: a recursive definition finds itself.
            node = self._nodes[name] = Schema()
            self._fill(node, self.definition(name) or {})
            if name == _QUANTITY:
                node.type, node.quantity = "string", True
            if name.rpartition(".")[2].startswith(_JSON_VALUES) and node.untyped:
                node.preserve_unknown = True
        return node

    def _fill(self, node: Schema, raw: Mapping[str, Any]) -> None:
        _facts(node, raw)
        for name, member in raw.get("properties", {}).items():
            node.properties[name] = self._member(member)
        if isinstance(raw.get("additionalProperties"), dict):
            node.additional = self._member(raw["additionalProperties"])
        if "items" in raw:
            node.items = self._member(raw["items"])

    def _member(self, raw: Mapping[str, Any]) -> Schema:
        reference = raw.get("$ref") or (raw["allOf"][0].get("$ref") if "allOf" in raw else None)
        if reference is None:
            node = Schema()
            self._fill(node, raw)
            return node
        target = self._node(reference.removeprefix(REF_PREFIX))
        if raw.keys() <= {"$ref", "allOf", "description"}:
            return target
        node = _copy(target)
        _facts(node, raw)
        return node


@functools.cache
def _load(minor: str) -> SchemaSet:
    entry = resources.files("trimtab.objects").joinpath("data", _DATA.format(minor))
    try:
        packed = entry.read_bytes()
    except FileNotFoundError:
        known = ", ".join(SchemaSet.minors())
        raise UnknownMinor(
            f"no schemas for Kubernetes {minor}", hint=f"there are schemas for {known}"
        ) from None
    return SchemaSet(minor, zlib.decompress(packed))


def _copy(target: Schema) -> Schema:
    """A node of its own that shares the members of `target` (also those still to be added)."""
    node = Schema()
    for slot in Schema.__slots__:
        setattr(node, slot, getattr(target, slot))
    node.constraints = dict(target.constraints)
    return node


def _facts(node: Schema, raw: Mapping[str, Any]) -> None:
    """What a schema says about itself, members aside; only what `raw` mentions is set."""
    node.type = raw.get("type", node.type)
    node.required = tuple(raw.get("required", node.required))
    node.description = raw.get("description", node.description)
    node.default = raw.get("default", node.default)
    node.map_type = raw.get("x-kubernetes-map-type", node.map_type)
    node.int_or_string = raw.get("x-kubernetes-int-or-string", node.int_or_string)
    node.preserve_unknown = raw.get("x-kubernetes-preserve-unknown-fields", node.preserve_unknown)
    if strategy := raw.get("x-kubernetes-patch-strategy"):
        node.patch_strategy = tuple(strategy.split(","))
        node.patch_merge_key = raw.get("x-kubernetes-patch-merge-key", "")
    if list_type := raw.get("x-kubernetes-list-type"):
        node.list_type = list_type
        node.list_keys = tuple(raw.get("x-kubernetes-list-map-keys", ()))
    elif node.type == "array" and "merge" in node.patch_strategy:
        # Apply reads a list without a list-type by its patch strategy.
        node.list_type = "map" if node.patch_merge_key else "set"
        node.list_keys = (node.patch_merge_key,) if node.patch_merge_key else ()
    for name in _CONSTRAINTS:
        if name in raw and not (name == "format" and node.int_or_string):
            node.constraints[name] = raw[name]


def _references(raw: Any) -> list[str]:
    """Names of the definitions a definition refers to, by schema position."""
    found: list[str] = []
    waiting = [raw]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema.get("$ref"), str):
            found.append(schema["$ref"].removeprefix(REF_PREFIX))
        waiting.extend(schema.get("allOf", ()))
        waiting.extend(schema.get("properties", {}).values())
        waiting.extend(schema[k] for k in ("items", "additionalProperties") if k in schema)
    return found
