"""What a manager owns and a configuration no longer has: the differ's question, without asking
the server. Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.objects.managed.elements import Path, display_path, sorted_elements
from trimtab.objects.managed.fieldset import FieldSet
from trimtab.objects.managed.typed import set_of
from trimtab.objects.schema import Schema

__all__ = ["remove_managed_fields", "removed_fields"]


def removed_fields(
    owned_v1: Mapping[str, Any], desired: Mapping[str, Any], schema: Schema
) -> list[str]:
    """Fields of a manager's set (`fieldsV1`) that `desired` does not claim any more, as paths
    like `.spec.replicas`; a removed subtree counts once, by its top. Empty: an apply of
    `desired` would prune nothing."""
    owned = FieldSet.from_v1(owned_v1)
    wanted = set_of(dict(desired), schema)
    if owned.issubset(wanted):
        return []
    return [display_path(path) for path in _tops(owned, wanted, ())]


def _tops(owned: FieldSet, wanted: FieldSet, prefix: Path) -> list[Path]:
    known = wanted.members | wanted.children.keys()
    found: list[Path] = []
    for element in sorted_elements(owned.members | owned.children.keys()):
        if element not in known:
            found.append((*prefix, element))
        elif element in owned.children:
            found += _tops(owned.children[element], wanted.below(element), (*prefix, element))
    return found


def remove_managed_fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    """`obj` without `metadata.managedFields` (a new dict; the rest is shared)."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping) or "managedFields" not in metadata:
        return dict(obj)
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**obj, "metadata": kept}
