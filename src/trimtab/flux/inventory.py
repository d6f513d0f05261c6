"""The inventory of a Kustomization or HelmRelease: `<namespace>_<name>_<group>_<Kind>`.

Source: spec/flux.md 3.7. In RBAC names `:` is written `__`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trimtab.objects import ObjectKey, gvk_of, key_of

__all__ = ["entry_id", "inventory_of", "keys_in", "parse_id"]

_RBAC: Final = "rbac.authorization.k8s.io"


def entry_id(key: ObjectKey) -> str:
    name = key.name.replace(":", "__") if key.group == _RBAC else key.name
    return f"{key.namespace}_{name}_{key.group}_{key.kind}"


def parse_id(text: str) -> ObjectKey | None:
    """The key an id names; None when it is not an id (a hand-edited status)."""
    namespace, found, rest = text.partition("_")
    rest, has_kind, kind = rest.rpartition("_")
    name, has_group, group = rest.rpartition("_")
    if not (found and has_kind and has_group and name and kind):
        return None
    if group == _RBAC:
        name = name.replace("__", ":")
    return ObjectKey(group, kind, namespace, name)


def inventory_of(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`status.inventory` for these objects, in a stable order."""
    entries = {entry_id(key_of(obj)): gvk_of(obj).version for obj in objects}
    return {"entries": [{"id": id_, "v": entries[id_]} for id_ in sorted(entries)]}


def keys_in(status: Mapping[str, Any]) -> list[ObjectKey]:
    """The keys of a status's inventory."""
    entries = (status.get("inventory") or {}).get("entries") or ()
    keys = (parse_id(str(entry.get("id") or "")) for entry in entries)
    return [key for key in keys if key is not None]
