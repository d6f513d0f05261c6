"""The spelling in which the API server stores a built-in object, whatever was sent.

Quantities in their canonical form, nulls of maps gone, `stringData` folded into `data`,
`creationTimestamp: null` of templates gone. Source: spec/embedded-cluster.md 9.
"""

from __future__ import annotations

import base64
from typing import Any

from trimtab.objects.identity import GVK
from trimtab.objects.quantity import canonical, is_quantity
from trimtab.objects.schema import UNTYPED, Schema

__all__ = ["fold_string_data", "normalise"]


def normalise(obj: dict[str, Any], gvk: GVK, schema: Schema | None) -> dict[str, Any]:
    """A copy of `obj` as it would be stored, defaults aside. Idempotent.

    For custom resources pass their schema: only what is a quantity by schema changes there, and
    null stays where the schema allows it.
    """
    out: dict[str, Any] = _value(obj, schema or UNTYPED)
    if gvk.kind == "Secret" and not gvk.group:
        out = fold_string_data(out)
    return out


def fold_string_data(secret: dict[str, Any]) -> dict[str, Any]:
    """A Secret with `stringData` encoded into `data`, whose keys it overrides."""
    texts = secret.get("stringData")
    if "stringData" not in secret or not isinstance(texts, dict | None):
        return secret
    out = {name: value for name, value in secret.items() if name != "stringData"}
    if texts:
        encoded = {
            key: base64.b64encode(text.encode() if isinstance(text, str) else b"").decode()
            for key, text in texts.items()
        }
        out["data"] = {**(secret.get("data") or {}), **encoded}
    return out


def _value(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        return {
            name: _value(member, schema.field(name) or UNTYPED)
            for name, member in value.items()
            if member is not None or _keeps_null(schema, name)
        }
    if isinstance(value, list):
        return [_value(item, schema.items or UNTYPED) for item in value]
    if schema.quantity and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return canonical(value) if is_quantity(value) else value
    return value


def _keeps_null(schema: Schema, name: str) -> bool:
    below = schema.field(name)
    return schema.preserve_unknown if below is None else below.nullable or below.preserve_unknown
