"""Strategic merge patch, as an API server and kubectl apply it to built-in kinds.

Maps merge, null deletes, lists are replaced unless the schema declares them mergeable: then items
meet by their merge key, or by value where they are scalars. Directives in the patch say more:

    $patch: replace | merge | delete      in a map, or in an item of a mergeable list
    $retainKeys: [...]                    the only keys of this map that stay
    $deleteFromPrimitiveList/<f>: [...]   scalars to take from the list <f>
    $setElementOrder/<f>: [...]           the order of the list <f> after the merge

Pure: arguments are never changed; unchanged subtrees are shared with the result.
Source: spec/embedded-cluster.md 8. kustomize merges by rules of its own: `kustomize_merge.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from trimtab.objects.kustomize_merge import kustomize_merge
from trimtab.objects.list_order import NameOf, interleave
from trimtab.objects.patch_errors import BadPatch
from trimtab.objects.schema import UNTYPED, Schema

__all__ = ["MergeKeys", "merge_keys_of", "strategic_merge"]

MergeKeys = Literal["patch", "apply"]
NewItems = Literal["merge", "append", "prepend"]

PATCH: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
DELETE_FROM: Final = "$deleteFromPrimitiveList/"
SET_ORDER: Final = "$setElementOrder/"

Map = dict[str, Any]


class _Rules(msgspec.Struct, frozen=True):
    """How items of mergeable lists are named, and where new ones go."""

    merge_keys: MergeKeys
    new_items: NewItems


def strategic_merge(
    original: Map,
    patch: Map,
    schema: Schema,
    *,
    merge_keys: MergeKeys = "patch",
    new_items: NewItems = "merge",
    port_protocol: bool = False,
) -> Map:
    """`original` with the strategic merge patch `patch`.

    `schema` of the kind; `UNTYPED` (custom resources) makes it a merge patch that knows the
    directives of maps. `merge_keys="apply"` names items by the keys that server-side apply
    uses (`list-map-keys`: ports by number and protocol) instead of the patch merge key.
    `new_items` says where items go that only the patch has: "merge" keeps the patch's order
    among its own items and the original's elsewhere, which is what servers do and puts a new
    item before the original ones that the patch does not name first; "append" and "prepend"
    put them after or before all others. `port_protocol` means kustomize's way of merging
    (`kustomize_merge`), whose new items are always first; it yields {} for a deleted object.
    Raises `BadPatch` for directives that make no sense.
    """
    if not isinstance(patch, dict):
        raise BadPatch("a strategic merge patch is an object")
    if port_protocol:
        return kustomize_merge(original, patch, schema) or {}
    rules = _Rules(merge_keys=merge_keys, new_items=new_items)
    return _merge_map(original, patch, schema, rules)


def merge_keys_of(schema: Schema, merge_keys: MergeKeys = "patch") -> tuple[str, ...]:
    """The keys that name items of a mergeable list; empty for a list of scalars."""
    if merge_keys == "apply" and schema.list_keys:
        return schema.list_keys
    return (schema.patch_merge_key,) if schema.patch_merge_key else ()


def _is_directive(name: str) -> bool:
    return name in (PATCH, RETAIN_KEYS) or name.startswith((DELETE_FROM, SET_ORDER))


# -- maps ------------------------------------------------------------------------------------


def _merge_map(original: Map, patch: Map, schema: Schema, rules: _Rules) -> Map:
    kind = patch.get(PATCH)
    if PATCH in patch:
        if kind == "replace":
            return {key: value for key, value in patch.items() if key != PATCH}
        if kind == "delete":
            return {}
        if kind != "merge":
            raise BadPatch(f"unknown patch type {kind!r} in a map")
    out = _retain(original, patch)
    ordered = _ordered_fields(patch)
    for name, value in patch.items():
        if name.startswith(DELETE_FROM):
            _delete_scalars(out, name.removeprefix(DELETE_FROM), value)
    for name, value in patch.items():
        if _is_directive(name):
            continue
        if value is None:
            out.pop(name, None)
        elif name in out:
            below = schema.field(name) or UNTYPED
            out[name] = _merge_value(out[name], value, below, rules)
        elif not _is_directed(value):
            out[name] = _without_directives(value)
    for name, order in ordered.items():
        _reorder(out, original, patch, name, order, schema.field(name) or UNTYPED, rules)
    return out


def _merge_value(original: Any, patch: Any, schema: Schema, rules: _Rules) -> Any:
    if isinstance(original, dict) and isinstance(patch, dict):
        if "replace" in schema.patch_strategy:
            return _without_directives(patch)
        return _merge_map(original, patch, schema, rules)
    if isinstance(original, list) and isinstance(patch, list):
        if "merge" in schema.patch_strategy:
            return _merge_list(original, patch, schema, rules)
        return patch
    return _without_directives(patch)


def _retain(original: Map, patch: Map) -> Map:
    """A copy of `original` with only the keys that `$retainKeys` names, if it is there."""
    keys = patch.get(RETAIN_KEYS)
    if keys is None:
        return dict(original)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise BadPatch("$retainKeys must be a list of strings")
    for name, value in patch.items():
        if value is not None and not _is_directive(name) and name not in keys:
            raise BadPatch(f"$retainKeys does not contain {name!r}, which the patch sets")
    return {key: value for key, value in original.items() if key in keys}


def _is_directed(value: Any) -> bool:
    """A map that only says what to do with a map; where there is none, nothing comes of it."""
    return isinstance(value, dict) and PATCH in value


def _without_directives(value: Any, *, deletes: bool = True) -> Any:
    """A value of the patch that has nothing to merge with: directives and null members go.

    In a value that is new as a member of a map, deleted items go too; in an item that is new in
    its list they stay, without the directive (`deletes=False`): a server sees no order there.
    """
    if isinstance(value, dict):
        return {
            key: _without_directives(item, deletes=deletes)
            for key, item in value.items()
            if item is not None and not _is_directive(key) and not (deletes and _is_directed(item))
        }
    if isinstance(value, list):
        return [
            _without_directives(item, deletes=deletes)
            for item in value
            if not (deletes and _is_directed(item))
        ]
    return value


# -- lists -----------------------------------------------------------------------------------


def _namer(schema: Schema, rules: _Rules, *samples: list[Any]) -> NameOf:
    """How items of this list are told apart. Raises `BadPatch` for a list of maps without key."""
    keys = merge_keys_of(schema, rules.merge_keys)
    if not any(isinstance(item, dict) for items in samples for item in items):
        return _scalar_name
    if not keys:
        raise BadPatch("a mergeable list of maps has no merge key")
    return _map_name(keys)


def _scalar_name(item: Any) -> Any:
    if isinstance(item, dict | list):
        raise BadPatch("a mergeable list mixes maps and scalars")
    return (type(item) is bool, item)


def _map_name(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    def name(item: Any) -> Any:
        if not isinstance(item, dict):
            raise BadPatch("a mergeable list mixes maps and scalars")
        if not any(key in item for key in keys):
            raise BadPatch(f"map: {item} does not contain declared merge key: {keys[0]}")
        return tuple(
            _scalar_name(item.get(key, "TCP" if key == "protocol" else None)) for key in keys
        )

    return name


def _merge_list(original: list[Any], patch: list[Any], schema: Schema, rules: _Rules) -> list[Any]:
    if not patch:
        return original
    name_of = _namer(schema, rules, original, patch)
    original, patch, replaced = _item_directives(original, patch, name_of)
    if replaced:
        return [_without_directives(item) for item in patch]
    below = schema.items or UNTYPED
    merged: dict[Any, list[Any]] = {}
    for item in original:
        merged.setdefault(name_of(item), []).append(item)
    order: list[Any] = []
    for item in patch:
        name = name_of(item)
        order.append(name)
        if name not in merged:
            merged[name] = [_without_directives(item, deletes=False)]
        elif isinstance(item, dict):
            merged[name] = [_merge_value(merged[name][0], item, below, rules), *merged[name][1:]]
    return _arrange(merged, order, [name_of(item) for item in original], rules)


def _arrange(
    merged: Mapping[Any, list[Any]], patch: list[Any], original: list[Any], rules: _Rules
) -> list[Any]:
    patch, original = list(dict.fromkeys(patch)), list(dict.fromkeys(original))
    new = [name for name in patch if name not in set(original)]
    if rules.new_items == "append":
        names = original + new
    elif rules.new_items == "prepend":
        names = new + original
    else:
        names = interleave(patch, original)
    return [item for name in names if name in merged for item in merged[name]]


def _item_directives(
    original: list[Any], patch: list[Any], name_of: NameOf
) -> tuple[list[Any], list[Any], bool]:
    """(original without deleted items, patch without directives, replace the list as a whole)."""
    plain: list[Any] = []
    deleted: set[Any] = set()
    replaced = False
    for item in patch:
        kind = item.get(PATCH) if isinstance(item, dict) else None
        if kind is None:
            plain.append(item)
        elif kind == "delete":
            deleted.add(name_of(item))
        elif kind == "replace":
            replaced = True
        elif kind == "merge":
            raise BadPatch("$patch: merge cannot be used in an item of a list")
        else:
            raise BadPatch(f"unknown patch type {kind!r} in a list")
    if deleted:
        original = [item for item in original if name_of(item) not in deleted]
    return original, plain, replaced


def _delete_scalars(out: Map, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadPatch(f"{DELETE_FROM}{name} must be a list")
    have = out.get(name)
    if isinstance(have, list):
        gone = {_scalar_name(value) for value in values}
        out[name] = [item for item in have if _scalar_name(item) not in gone]


def _ordered_fields(patch: Map) -> dict[str, list[Any]]:
    """The fields with `$setElementOrder`, by name, with their orders."""
    found: dict[str, list[Any]] = {}
    for name, value in patch.items():
        if name.startswith(SET_ORDER):
            if not isinstance(value, list):
                raise BadPatch(f"{name} must be a list")
            found[name.removeprefix(SET_ORDER)] = value
    return found


def _reorder(
    out: Map,
    original: Map,
    patch: Map,
    name: str,
    order: list[Any],
    schema: Schema,
    rules: _Rules,
) -> None:
    """Put the merged list `name` into the order the patch asks for; items that the order does
    not name keep their place among the original's."""
    have = out.get(name)
    if not isinstance(have, list) or "merge" not in schema.patch_strategy:
        return
    name_of = _namer(schema, rules, have, order)
    wanted = [name_of(item) for item in order]
    _check_order(patch.get(name), wanted, name, name_of)
    merged: dict[Any, list[Any]] = {}
    for item in have:
        merged.setdefault(name_of(item), []).append(item)
    known = _known_order(original.get(name), patch.get(name), list(merged), name_of)
    names = interleave([n for n in wanted if n in merged], known)
    names += [n for n in merged if n not in set(names)]
    out[name] = [item for n in names if n in merged for item in merged[n]]


def _known_order(before: Any, patch: Any, merged: list[Any], name_of: NameOf) -> list[Any]:
    """The order of the original list. Where the patch deleted items, a server's list has the new
    ones in the places that fell free at its end, so they count as known there."""
    if not isinstance(before, list):
        return []
    known = [name_of(item) for item in before]
    removed = patch if isinstance(patch, list) else []
    deleted = {
        name_of(item) for item in removed if isinstance(item, dict) and item.get(PATCH) == "delete"
    }
    if deleted.isdisjoint(known):
        return list(dict.fromkeys(known))
    left = [n for n in known if n not in deleted]
    new = [n for n in merged if n not in set(known)]
    return list(dict.fromkeys((left + new)[: len(known)]))


def _check_order(patch: Any, wanted: list[Any], name: str, name_of: NameOf) -> None:
    """The patch's own items must be in the order, and in that order."""
    if not isinstance(patch, list):
        return
    given = [name_of(item) for item in patch if not (isinstance(item, dict) and PATCH in item)]
    listed = set(wanted)
    if [n for n in wanted if n in set(given)] != given or not listed.issuperset(given):
        raise BadPatch(
            f"the order of the list {name} in the patch does not match {SET_ORDER}{name}"
        )
