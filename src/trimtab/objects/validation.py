"""Validation of objects as the API server does it: by schema, and by the rules of each kind.

Give objects after normalising and defaulting. Built-in kinds get the floor of
spec/embedded-cluster.md 9; custom ones their schema, with ratcheting: what was wrong before and
did not change is let through on update; then the rules of the definition, when they are given.
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.objects.identity import GVK
from trimtab.objects.names import (
    dns1035_label_problems,
    dns1123_label_problems,
    dns1123_subdomain_problems,
    label_key_problems,
    label_value_problems,
    path_segment_problems,
)
from trimtab.objects.rules import Rules, check_rules
from trimtab.objects.schema import MISSING, Schema
from trimtab.objects.validation_kinds import CHECKS, UPDATE_CHECKS
from trimtab.objects.validation_schema import FieldError, check_schema

__all__ = ["FieldError", "unenforced_rules", "validate", "validate_metadata"]

Json = dict[str, Any]

_ANNOTATIONS: Final = 256 * 1024
_RBAC: Final = "rbac.authorization.k8s.io"
_LABEL_NAMED: Final = {("", "Namespace")}
# Findings that keep rules from running.
_GRAVE: Final = ("Required", "NotSupported", "TooLong", "TooMany")
_NOT_CHECKED: Final = (
    "some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation"
)
# Lists the published schema calls required though servers take objects without them.
_LENIENT: Final = {"endpoints", "value", "revision", "spec.drivers"}


def validate(
    obj: Json,
    gvk: GVK,
    schema: Schema | None,
    *,
    old: Json | None = None,
    builtin: bool = True,
    rules: Rules | None = None,
) -> list[FieldError]:
    """All findings, metadata first. `old` is the stored object of an update.

    `builtin=False` is for custom resources: uniqueness of lists and null are then the schema's.
    """
    found = validate_metadata(obj, gvk, old=old)
    if schema is not None:
        body = {name: each for name, each in obj.items() if name != "metadata"}
        if builtin:
            by_schema: list[FieldError] = []
            check_schema(body, _without(schema, "metadata"), "", by_schema)
            found.extend(each for each in by_schema if _holds_for_built_ins(each))
        else:
            check_schema(body, _without(schema, "metadata"), "", found)
            if old is not None:
                before = {(e.type, e.field, repr(e.value)) for e in _of_custom(old, schema)}
                found = [e for e in found if (e.type, e.field, repr(e.value)) not in before]
            if rules:
                found.extend(_by_rules(obj, rules, old, found))
    if builtin and not any(each.detail.startswith(f"{each.field} in body") for each in found):
        # The rules of a kind rely on the types being right.
        kind = (gvk.group, gvk.kind)
        if kind in CHECKS:
            CHECKS[kind](obj, found)
        if old is not None and kind in UPDATE_CHECKS:
            UPDATE_CHECKS[kind](obj, old, found)
    return _unique(found)


def _by_rules(
    obj: Json, rules: Rules, old: Json | None, found: list[FieldError]
) -> list[FieldError]:
    """Rules rely on the types being right and on what is required being there."""
    if any(each.type in _GRAVE or " in body must be of type " in each.detail for each in found):
        return [FieldError("Invalid", "<nil>", None, _NOT_CHECKED)]
    return check_rules(rules, obj, old=MISSING if old is None else old)


def validate_metadata(obj: Json, gvk: GVK, *, old: Json | None = None) -> list[FieldError]:
    """Name, namespace, labels, annotations; identity that may not change."""
    found: list[FieldError] = []
    metadata = obj.get("metadata") or {}
    name, prefix = metadata.get("name"), metadata.get("generateName")
    rule = dns1123_subdomain_problems
    if gvk.group == _RBAC:
        rule = path_segment_problems
    elif (gvk.group, gvk.kind) in _LABEL_NAMED:
        rule = dns1123_label_problems
    elif (gvk.group, gvk.kind) == ("", "Service"):
        rule = dns1035_label_problems
    if not name:
        if not prefix:
            detail = "name or generateName is required"
            found.append(FieldError("Required", "metadata.name", None, detail))
    elif isinstance(name, str):
        found.extend(FieldError("Invalid", "metadata.name", name, each) for each in rule(name))
    if isinstance(namespace := metadata.get("namespace"), str) and namespace:
        found.extend(
            FieldError("Invalid", "metadata.namespace", namespace, each)
            for each in dns1123_label_problems(namespace)
        )
    check_labels(metadata.get("labels"), "metadata.labels", found)
    _check_annotations(metadata.get("annotations"), found)
    if old is not None:
        before = old.get("metadata") or {}
        for field in ("name", "namespace", "uid", "creationTimestamp"):
            if metadata.get(field) and before.get(field) and metadata[field] != before[field]:
                value = metadata[field]
                found.append(
                    FieldError("Invalid", f"metadata.{field}", value, "field is immutable")
                )
    return found


def check_labels(labels: Any, path: str, found: list[FieldError]) -> None:
    for key, value in labels.items() if isinstance(labels, dict) else ():
        found.extend(FieldError("Invalid", path, key, each) for each in label_key_problems(key))
        if not isinstance(value, str):
            detail = f"{path} in body must be of type string"
            found.append(FieldError("Invalid", f"{path}.{key}", value, detail))
            continue
        found.extend(FieldError("Invalid", path, value, e) for e in label_value_problems(value))


def _check_annotations(annotations: Any, found: list[FieldError]) -> None:
    size, path = 0, "metadata.annotations"
    for key, value in annotations.items() if isinstance(annotations, dict) else ():
        problems = label_key_problems(key.lower())
        found.extend(FieldError("Invalid", path, key, each) for each in problems)
        if not isinstance(value, str):
            detail = f"{path} in body must be of type string"
            found.append(FieldError("Invalid", f"{path}.{key}", value, detail))
            continue
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS:
        detail = f"may not be more than {_ANNOTATIONS} bytes"
        found.append(FieldError("TooLong", path, None, detail))


def unenforced_rules(schema: Schema, rules: Rules | None = None) -> list[str]:
    """Warnings naming the rules of a CRD's schema that are not run: those that could not be
    compiled, or all when nothing compiled them."""
    if rules is not None:
        return list(rules.unenforced)
    found: list[str] = []
    waiting: list[tuple[Schema, str]] = [(schema, "")]
    while waiting:
        node, path = waiting.pop()
        for rule in node.constraints.get("x-kubernetes-validations", ()):
            where = path or "the object"
            found.append(f"validation rule not enforced at {where}: {rule.get('rule', '')}")
        waiting.extend((below, f"{path}.{name}") for name, below in node.properties.items())
        waiting.extend((each, f"{path}[*]") for each in (node.items, node.additional) if each)
    return sorted(found)


def _of_custom(obj: Json, schema: Schema) -> list[FieldError]:
    found: list[FieldError] = []
    body = {name: each for name, each in obj.items() if name != "metadata"}
    check_schema(body, _without(schema, "metadata"), "", found)
    return found


def _without(schema: Schema, name: str) -> Schema:
    """The schema of an object whose `name` was checked on its own."""
    node = Schema(schema.type)
    node.properties = {each: below for each, below in schema.properties.items() if each != name}
    node.additional, node.preserve_unknown = schema.additional, schema.preserve_unknown
    node.required = tuple(each for each in schema.required if each != name)
    node.constraints = schema.constraints
    return node


def _holds_for_built_ins(error: FieldError) -> bool:
    """Servers take repeated list keys (`env`) of built-ins, and statuses of any age."""
    if error.type == "Duplicate":
        return False
    if error.type == "Required":
        return not error.field.startswith("status") and error.field not in _LENIENT
    return True


def _unique(found: list[FieldError]) -> list[FieldError]:
    seen: set[str] = set()
    out = []
    for each in found:
        if (text := str(each)) not in seen:
            seen.add(text)
            out.append(each)
    return out
