"""Fields that a schema does not know: named for strict decoding, removed for pruning.

Below an untyped or preserving node everything is known (spec/embedded-cluster.md 7.3, 10).
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.objects.schema import Schema

__all__ = ["prune", "unknown_fields"]

_ROOT: Final = ("apiVersion", "kind", "metadata")


def unknown_fields(obj: dict[str, Any], schema: Schema) -> list[str]:
    """Paths such as `spec.x` and `spec.containers[0].y`, in the object's order."""
    found: list[str] = []
    _walk(obj, schema, "", found, root=True)
    return found


def prune(obj: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """A copy without unknown fields. apiVersion, kind and metadata always stay at the root."""
    pruned: dict[str, Any] = _pruned(obj, schema, root=True)
    return pruned


def _keeps(name: str, schema: Schema, *, root: bool) -> bool:
    return schema.preserve_unknown or (
        name in _ROOT and (root or schema.embedded_resource) and name not in schema.properties
    )


def _walk(value: Any, schema: Schema, path: str, found: list[str], *, root: bool = False) -> None:
    if isinstance(value, dict):
        if schema.type != "object" and not schema.properties:
            return
        for name, member in value.items():
            below = schema.field(name)
            here = f"{path}.{name}" if path else name
            if below is not None:
                _walk(member, below, here, found)
            elif not _keeps(name, schema, root=root):
                found.append(here)
    elif isinstance(value, list) and schema.items is not None:
        for index, item in enumerate(value):
            _walk(item, schema.items, f"{path}[{index}]", found)


def _pruned(value: Any, schema: Schema, *, root: bool = False) -> Any:
    if isinstance(value, dict) and (schema.type == "object" or schema.properties):
        out = {}
        for name, member in value.items():
            below = schema.field(name)
            if below is not None:
                out[name] = _pruned(member, below)
            elif _keeps(name, schema, root=root):
                out[name] = member
        return out
    if isinstance(value, list) and schema.items is not None:
        return [_pruned(item, schema.items) for item in value]
    return value
