"""Structural schemas of custom resource definitions, checked and compiled (spec 10).

CEL rules (`x-kubernetes-validations`) are kept in `constraints`; `rules` compiles and runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab.errors import TrimtabError
from trimtab.objects.schema import Schema

__all__ = ["NotStructural", "crd_versions", "structural_schema"]

_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean")
_FORBIDDEN: Final = ("$ref", "definitions", "dependencies", "additionalItems", "patternProperties")
_JUNCTORS: Final = ("allOf", "anyOf", "oneOf", "not")
# What may not stand inside a junctor: it would shape the object, not only check it.
_SHAPING: Final = (
    "type",
    "default",
    "description",
    "title",
    "nullable",
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
)
_CONSTRAINTS: Final = (
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
    "minProperties",
    "maxProperties",
    "x-kubernetes-validations",
    *_JUNCTORS,
)
_DEPTH: Final = 100


class NotStructural(TrimtabError):
    """A schema that is not structural. `violations` are `path: Reason: detail` lines."""

    reason = "NotStructural"

    def __init__(self, violations: list[str]) -> None:
        super().__init__("; ".join(violations))
        self.violations = tuple(violations)


def crd_versions(crd: Mapping[str, Any]) -> dict[str, Schema]:
    """The compiled schema of each version of a CustomResourceDefinition.

    Raises `NotStructural` with the violations of all versions.
    """
    found: dict[str, Schema] = {}
    violations: list[str] = []
    for index, version in enumerate((crd.get("spec") or {}).get("versions") or ()):
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        openapi = (version.get("schema") or {}).get("openAPIV3Schema")
        if openapi is None:
            violations.append(f"{path}: Required value: schemas are required")
            continue
        try:
            found[version["name"]] = structural_schema(openapi, path=path)
        except NotStructural as error:
            violations.extend(error.violations)
    if violations:
        raise NotStructural(violations)
    return found


def structural_schema(openapi: Mapping[str, Any], *, path: str = "openAPIV3Schema") -> Schema:
    """Compile a version's `openAPIV3Schema`. Raises `NotStructural` with every violation."""
    problems: list[str] = []
    if openapi.get("type") not in (None, "object"):
        value = openapi["type"]
        problems.append(f'{path}.type: Invalid value: "{value}": must be object at the root')
    root = _build(openapi, path, problems, 0)
    if problems:
        raise NotStructural(problems)
    root.type = "object"
    return root


def _build(raw: Mapping[str, Any], path: str, problems: list[str], depth: int) -> Schema:
    node = Schema()
    if depth > _DEPTH:
        problems.append(f"{path}: Invalid value: schema is nested too deeply")
        return node
    _facts(node, raw)
    _check(node, raw, path, problems, root=depth == 0)
    for name, member in (raw.get("properties") or {}).items():
        below = f"{path}.properties[{name}]"
        node.properties[name] = _build(member, below, problems, depth + 1)
    additional = raw.get("additionalProperties")
    if isinstance(additional, Mapping):
        node.additional = _build(additional, f"{path}.additionalProperties", problems, depth + 1)
    elif additional:
        node.preserve_unknown = True
    if isinstance(raw.get("items"), Mapping):
        node.items = _build(raw["items"], f"{path}.items", problems, depth + 1)
    if node.list_type == "map":
        _check_keys(node, path, problems)
    return node


def _facts(node: Schema, raw: Mapping[str, Any]) -> None:
    kind = raw.get("type")
    if kind in _TYPES:
        node.type = kind
    node.required = tuple(raw.get("required") or ())
    node.description = raw.get("description") or ""
    node.nullable = raw.get("nullable") is True
    node.int_or_string = raw.get("x-kubernetes-int-or-string") is True
    node.preserve_unknown = raw.get("x-kubernetes-preserve-unknown-fields") is True
    node.embedded_resource = raw.get("x-kubernetes-embedded-resource") is True
    node.list_type = raw.get("x-kubernetes-list-type", "atomic")
    node.list_keys = tuple(raw.get("x-kubernetes-list-map-keys") or ())
    node.map_type = raw.get("x-kubernetes-map-type", "granular")
    if "default" in raw:
        node.default = raw["default"]
    for name in _CONSTRAINTS:
        if raw.get(name) is not None:
            node.constraints[name] = raw[name]


def _check(
    node: Schema, raw: Mapping[str, Any], path: str, problems: list[str], *, root: bool
) -> None:
    kind = raw.get("type")
    if not kind and not node.int_or_string and not node.preserve_unknown:
        rule = "must not be empty at the root" if root else "must not be empty for specified"
        where = "" if root else (" array items" if path.endswith(".items") else " object fields")
        problems.append(f"{path}.type: Required value: {rule}{where}")
    elif kind and kind not in _TYPES:
        supported = ", ".join(f'"{each}"' for each in sorted(_TYPES))
        problems.append(f'{path}.type: Unsupported value: "{kind}": supported values: {supported}')
    if kind and node.int_or_string:
        problems.append(
            f"{path}.type: Invalid value: must be empty with x-kubernetes-int-or-string"
        )
    problems.extend(
        f"{path}.{name}: Forbidden: {name} is not supported" for name in _FORBIDDEN if name in raw
    )
    if raw.get("properties") and raw.get("additionalProperties") not in (None, False):
        problems.append(
            f"{path}.additionalProperties: Forbidden: "
            "additionalProperties and properties are mutual exclusive"
        )
    if raw.get("additionalProperties") is False:
        problems.append(f"{path}.additionalProperties: Forbidden: must not be set to false")
    if raw.get("uniqueItems"):
        problems.append(f"{path}.uniqueItems: Forbidden: uniqueItems cannot be set to true")
    if kind == "array" and not isinstance(raw.get("items"), Mapping):
        problems.append(f"{path}.items: Required value: must be specified")
    if node.embedded_resource and kind != "object":
        problems.append(f"{path}.type: Invalid value: must be object for an embedded resource")
    if root or node.embedded_resource:
        _check_metadata(raw, path, problems)
    for name in _JUNCTORS:
        for junctor, below in _junctors(raw, name):
            _check_junctor(junctor, f"{path}.{below}", problems, loose=node.int_or_string)


def _check_metadata(raw: Mapping[str, Any], path: str, problems: list[str]) -> None:
    metadata = (raw.get("properties") or {}).get("metadata")
    if not isinstance(metadata, Mapping):
        return
    extra = set(metadata) - {"type", "description", "properties"}
    if extra or set(metadata.get("properties") or {}) - {"name", "generateName"}:
        problems.append(
            f"{path}.properties[metadata]: Forbidden: must not specify anything other than name "
            "and generateName, but metadata is implicitly specified"
        )


def _check_keys(node: Schema, path: str, problems: list[str]) -> None:
    if not node.list_keys:
        where = f"{path}.x-kubernetes-list-map-keys"
        problems.append(f"{where}: Required value: must not be empty if list type is map")
    items = node.items
    for key in node.list_keys:
        if items is None or key not in items.properties:
            problems.append(
                f"{path}.x-kubernetes-list-map-keys: Invalid value: entries must all be names of "
                f'item properties: "{key}"'
            )
        elif key not in items.required and repr(items.properties[key].default) == "MISSING":
            problems.append(
                f"{path}.items.properties[{key}].default: Required value: this property is in "
                "x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )


def _junctors(raw: Mapping[str, Any], name: str) -> list[tuple[Mapping[str, Any], str]]:
    value = raw.get(name)
    if isinstance(value, Mapping):
        return [(value, name)]
    return [(each, f"{name}[{index}]") for index, each in enumerate(value or ())]


def _check_junctor(
    raw: Mapping[str, Any], path: str, problems: list[str], *, loose: bool = False
) -> None:
    problems.extend(
        f"{path}.{name}: Forbidden: must be empty to be structural"
        for name in _SHAPING
        if name in raw and not (loose and name == "type")
    )
    for name, member in (raw.get("properties") or {}).items():
        _check_junctor(member, f"{path}.properties[{name}]", problems)
    if isinstance(raw.get("items"), Mapping):
        _check_junctor(raw["items"], f"{path}.items", problems)
    for name in _JUNCTORS:
        for junctor, below in _junctors(raw, name):
            _check_junctor(junctor, f"{path}.{below}", problems, loose=loose)
