"""Three-way merge: what client-side apply and a Helm upgrade do to a live object.

    original    what was applied last time
    modified    what is wanted now
    current     what is live

What `original` had and `modified` has not is removed, what `modified` has is set, everything else
of `current` stays. Lists go by the schema as in a strategic merge; with `UNTYPED` the same is the
JSON three-way merge of custom resources. Source: spec/embedded-cluster.md 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.objects.list_order import interleave
from trimtab.objects.merge_patch import drop_nulls
from trimtab.objects.patch_errors import BadPatch
from trimtab.objects.same import same
from trimtab.objects.schema import UNTYPED, Schema

__all__ = ["three_way"]

Map = dict[str, Any]


def three_way(original: Map, modified: Map, current: Map, schema: Schema) -> Map:
    """The live object after the change from `original` to `modified`. `current` itself when
    nothing is to change. Raises `BadPatch` for an item of a keyed list that lacks its key."""
    return _merge_maps(drop_nulls(original), drop_nulls(modified), current, schema)


def _merge_maps(original: Map, modified: Map, current: Map, schema: Schema) -> Map:
    out: Map = {
        name: value for name, value in current.items() if name in modified or name not in original
    }
    for name, wanted in modified.items():
        below = schema.field(name) or UNTYPED
        out[name] = _merge(original.get(name), wanted, current.get(name), below)
    if len(out) == len(current) and all(out[name] is current.get(name, out) for name in out):
        return current
    return out


def _merge(original: Any, wanted: Any, current: Any, schema: Schema) -> Any:
    if isinstance(wanted, dict) and isinstance(current, dict):
        if "replace" in schema.patch_strategy:
            return current if same(current, wanted) else wanted
        before = original if isinstance(original, dict) else {}
        merged = _merge_maps(before, wanted, current, schema)
        if "retainKeys" in schema.patch_strategy and merged is not current:
            # One of several alternatives: a change drops the fields of the others.
            return {name: value for name, value in merged.items() if name in wanted}
        return merged
    if isinstance(wanted, list) and isinstance(current, list) and "merge" in schema.patch_strategy:
        listed = original if isinstance(original, list) else []
        return _merge_lists(listed, wanted, current, schema)
    return current if same(current, wanted) else wanted


def _merge_lists(
    original: list[Any], modified: list[Any], current: list[Any], schema: Schema
) -> list[Any]:
    before = _named(original, schema)
    wanted = _named(modified, schema)
    live = _named(current, schema)
    below = schema.items or UNTYPED
    merged = {name: item for name, item in live.items() if name in wanted or name not in before}
    for name, item in wanted.items():
        if name in live and isinstance(item, dict):
            merged[name] = _merge_items(before.get(name), item, live[name], schema, below)
        else:
            merged.setdefault(name, item)
    out = [merged[name] for name in interleave(list(wanted), _known(live, merged))]
    if len(out) == len(current) and all(a is b for a, b in zip(out, current, strict=True)):
        return current
    return out


def _merge_items(original: Any, wanted: Any, current: Any, schema: Schema, below: Schema) -> Any:
    merged = _merge_maps(original or {}, wanted, current, below)
    if "retainKeys" in schema.patch_strategy and merged is not current:
        return {name: value for name, value in merged.items() if name in wanted}
    return merged


def _known(live: Mapping[Any, Any], merged: Mapping[Any, Any]) -> list[Any]:
    """The live order of what stays. A server's list has new items in the places that fell free
    at its end, so they count as known there."""
    left = [name for name in live if name in merged]
    new = [name for name in merged if name not in live]
    return (left + new)[: len(live)] if len(left) < len(live) else left


def _named(items: list[Any], schema: Schema) -> dict[Any, Any]:
    """Items by merge key, or by value. Of several with one name the first counts."""
    named: dict[Any, Any] = {}
    for item in items:
        named.setdefault(_name(item, schema.patch_merge_key), item)
    return named


def _name(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        return (type(item) is bool, item)
    if not key or key not in item:
        raise BadPatch(f"map: {item} does not contain declared merge key: {key}")
    return item[key]
