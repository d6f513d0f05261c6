"""The scale subresource and ownership: what is written there belongs to the parent's replicas.

A Scale has only `spec.replicas`; which field of the parent that is, a kind says (a custom resource
in its `specReplicasPath`). Entries carry the subresource `scale` and the parent's apiVersion.
Source: spec/embedded-cluster.md 7.4, 8.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from trimtab.objects.managed.apply import apply_config, track_update
from trimtab.objects.managed.elements import field
from trimtab.objects.managed.entries import BadManagedFields, Entry, decode, encode
from trimtab.objects.managed.fieldset import FieldSet
from trimtab.objects.schema import Schema

__all__ = ["apply_scale", "scale_entries", "track_scale"]

REPLICAS: Final = ("spec", "replicas")
SCALE_VERSION: Final = "autoscaling/v1"

Object = dict[str, Any]


def apply_scale(
    live: Object,
    replicas: int | None,
    *,
    manager: str,
    force: bool = False,
    schema: Schema,
    now: datetime | str,
    path: Sequence[str] = REPLICAS,
) -> Object:
    """The parent after a Scale with these replicas was applied to it (None: it said nothing).
    Raises `ApplyConflict` as `apply_config` does."""
    metadata = live.get("metadata") or {}
    config: Object = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {key: metadata[key] for key in ("name", "namespace") if key in metadata},
    }
    if replicas is not None:
        config = _with(config, path, replicas)
    return apply_config(
        live,
        config,
        manager=manager,
        force=force,
        schema=schema,
        now=now,
        subresource="scale",
        reset=(),
    )


def track_scale(
    live: Object,
    replicas: int,
    *,
    manager: str,
    schema: Schema,
    now: datetime | str,
    path: Sequence[str] = REPLICAS,
) -> Object:
    """The parent after an update or patch of its Scale."""
    new = _with(live, path, replicas)
    return track_update(
        live, new, manager=manager, schema=schema, now=now, subresource="scale", reset=()
    )


def scale_entries(parent: Object, *, path: Sequence[str] = REPLICAS) -> list[dict[str, Any]]:
    """`managedFields` of the parent's Scale: who owns the replicas, in a Scale's own terms."""
    entries = (parent.get("metadata") or {}).get("managedFields") or []
    try:
        managers = decode(entries)
    except BadManagedFields:
        return []
    at = tuple(field(name) for name in path)
    fields = FieldSet.of([tuple(field(name) for name in REPLICAS)])
    return encode(
        {
            who: Entry(fields, SCALE_VERSION, entry.time)
            for who, entry in managers.items()
            if at in entry.fields
        }
    )


def _with(node: Mapping[str, Any], path: Sequence[str], value: Any) -> Object:
    if len(path) == 1:
        return {**node, path[0]: value}
    return {**node, path[0]: _with(node.get(path[0]) or {}, path[1:], value)}
