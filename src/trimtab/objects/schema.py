"""The typed schema of a Kubernetes object: one class that defaulting, validation, pruning,
strict decoding, strategic merge, server-side apply, the differ and kustomize all walk.

A `Schema` is built once per kind (from the shipped OpenAPI data, or from a CRD's structural
schema) and shared; nobody changes one after it was built. References are resolved lazily by
`items`/`properties` holding the resolved node, so recursive types (JSONSchemaProps) are cycles
of nodes: walk with the value, never the schema alone. Source: spec/embedded-cluster.md 4.2, 8.1.
"""

from __future__ import annotations

from typing import Any, Final, Literal

__all__ = ["MISSING", "UNTYPED", "Schema"]


class _Missing:
    """The default that is not there (None is a value)."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()

Type = Literal["object", "array", "string", "integer", "number", "boolean", ""]


class Schema:
    """One node. Empty `type` with no properties means anything goes (untyped).

    `additional` is the schema of map values (`additionalProperties`); with `properties` empty
    and `additional` None and `preserve_unknown` False, an object has no known fields.
    `constraints` holds what validation alone needs (enum, pattern, minimum, maxLength, format,
    allOf/anyOf/oneOf/not, x-kubernetes-validations ...) under its OpenAPI name.
    """

    __slots__ = (
        "additional",
        "constraints",
        "default",
        "description",
        "embedded_resource",
        "int_or_string",
        "items",
        "list_keys",
        "list_type",
        "map_type",
        "nullable",
        "patch_merge_key",
        "patch_strategy",
        "preserve_unknown",
        "properties",
        "quantity",
        "required",
        "type",
    )

    def __init__(self, type: Type = "") -> None:  # noqa: A002 - the field of the document
        self.type: Type = type
        self.properties: dict[str, Schema] = {}
        self.additional: Schema | None = None
        self.items: Schema | None = None
        self.required: tuple[str, ...] = ()
        self.list_type: Literal["atomic", "set", "map"] = "atomic"
        self.list_keys: tuple[str, ...] = ()
        self.map_type: Literal["granular", "atomic"] = "granular"
        self.patch_strategy: tuple[str, ...] = ()
        self.patch_merge_key: str = ""
        self.int_or_string = False
        self.quantity = False
        self.preserve_unknown = False
        self.embedded_resource = False
        self.nullable = False
        self.default: Any = MISSING
        self.description = ""
        self.constraints: dict[str, Any] = {}

    @property
    def untyped(self) -> bool:
        """Nothing is declared below: structure is deduced (maps granular, lists atomic)."""
        return not self.type and not self.properties and self.additional is None

    def field(self, name: str) -> Schema | None:
        """Schema of a member: a declared property, else the map's value schema, else None."""
        return self.properties.get(name) or self.additional

    def __repr__(self) -> str:
        return f"Schema({self.type or 'untyped'}, {len(self.properties)} properties)"


UNTYPED: Final = Schema()
UNTYPED.preserve_unknown = True
