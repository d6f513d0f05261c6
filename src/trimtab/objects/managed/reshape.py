"""Sets written under an older schema: what was granular then and is atomic now is one leaf.

Without this a conflict over such a field would go unseen. Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

import msgspec

from trimtab.objects.managed.entries import Managers
from trimtab.objects.managed.fieldset import FieldSet
from trimtab.objects.schema import UNTYPED, Schema

__all__ = ["fit", "fit_all"]


def fit_all(managers: Managers, schema: Schema) -> Managers:
    """`managers` with sets that fit the schema; the same entries where they do already."""
    out: Managers = {}
    for who, entry in managers.items():
        fields = fit(entry.fields, schema)
        same = fields is entry.fields
        out[who] = entry if same else msgspec.structs.replace(entry, fields=fields)
    return out


def fit(fields: FieldSet, schema: Schema) -> FieldSet:
    """`fields` without paths inside atomic maps and lists; these are owned as a whole instead."""
    members = set(fields.members)
    children: dict[str, FieldSet] = {}
    changed = False
    for element, child in fields.children.items():
        if element[:2] == "f:":
            below = schema.field(element[2:]) or UNTYPED
        else:
            below = schema.items or UNTYPED
        if _is_atomic(below):
            members.add(element)
            changed = True
            continue
        children[element] = fit(child, below)
        changed = changed or children[element] is not child
    return FieldSet(members, children) if changed else fields


def _is_atomic(schema: Schema) -> bool:
    if schema.type == "array":
        return schema.list_type == "atomic"
    return schema.type == "object" and schema.map_type == "atomic"
