"""Structured values: the set of fields of a value, the merge of two, their difference, and a
value without some of its fields. All four walk a value together with its schema.

How a node is walked: scalars, atomic maps and atomic lists are leaves; granular maps go by
member; sets go by value and keyed lists by key. Nothing declared: maps granular, lists atomic.
Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trimtab.objects.managed.elements import BadElement, Path, display_path, item_element
from trimtab.objects.managed.fieldset import EMPTY, FieldSet
from trimtab.objects.same import same
from trimtab.objects.schema import UNTYPED, Schema

__all__ = [
    "Comparison",
    "compare",
    "mark_declared",
    "merge",
    "problems",
    "remove",
    "set_of",
]


class _Gone:
    """Nothing is left of a value, or there never was one (None is a value)."""

    def __bool__(self) -> bool:
        return False


_GONE: Final = _Gone()


def _below(schema: Schema, name: str) -> Schema:
    return schema.field(name) or UNTYPED


def _is_leaf(value: Any, schema: Schema) -> bool:
    if isinstance(value, dict):
        return schema.map_type == "atomic"
    if isinstance(value, list):
        return schema.list_type == "atomic"
    return True


# -- the set of fields of a value -----------------------------------------------------------


def set_of(value: Any, schema: Schema) -> FieldSet:
    """The fields a value claims. Items of associative lists are claimed themselves, declared
    maps only through their members, members of free maps both ways; an empty map is a leaf and
    an empty associative list claims nothing. Raises `BadElement` for an item without a name."""
    if _is_leaf(value, schema) or not value:
        return EMPTY
    return _map_set(value, schema) if isinstance(value, dict) else _list_set(value, schema)


def _map_set(value: dict[str, Any], schema: Schema) -> FieldSet:
    members: list[str] = []
    children: dict[str, FieldSet] = {}
    for name, item in value.items():
        element = "f:" + name
        declared = name in schema.properties
        below = schema.properties[name] if declared else (schema.additional or UNTYPED)
        if _is_leaf(item, below):
            members.append(element)
            continue
        if not declared or item == {}:
            members.append(element)
        if item:
            children[element] = set_of(item, below)
    return FieldSet(members, children)


def _list_set(value: list[Any], schema: Schema) -> FieldSet:
    below = schema.items or UNTYPED
    children: dict[str, FieldSet] = {}
    twice: set[str] = set()
    for item in value:
        element = item_element(item, schema)
        if element in children:
            # Items that share a name cannot be told apart: they are owned as one leaf.
            twice.add(element)
        children[element] = set_of(item, below)
    for element in twice:
        children[element] = EMPTY
    return FieldSet(children, children)


# -- merge -----------------------------------------------------------------------------------


def merge(live: Any, config: Any, schema: Schema) -> Any:
    """`live` with `config` merged in by type; `live` itself when nothing changes.

    A null of a declared field that is not nullable takes the field away, as decoding into
    the server's types does.
    """
    if isinstance(config, dict):
        if schema.map_type != "atomic":
            return _merge_map(live if isinstance(live, dict) else None, config, schema)
    elif isinstance(config, list):
        if schema.list_type != "atomic" and config:
            return _merge_list(live if isinstance(live, list) else [], config, schema)
        if schema.list_type != "atomic" and isinstance(live, list) and live:
            return live
    elif config is None and isinstance(live, dict | list) and live and not _is_leaf(live, schema):
        return live
    return live if same(live, config) else config


def _drops_null(schema: Schema) -> bool:
    return not (schema.untyped or schema.nullable or schema.preserve_unknown)


def _merge_map(live: dict[str, Any] | None, config: dict[str, Any], schema: Schema) -> Any:
    out: dict[str, Any] | None = None if live is not None else {}
    base = live if live is not None else {}
    for name, item in config.items():
        below = _below(schema, name)
        have = base.get(name)
        merged = merge(have, item, below)
        if merged is None and _drops_null(below):
            if name in base:
                out = dict(base) if out is None else out
                del out[name]
        elif name not in base or merged is not have:
            out = dict(base) if out is None else out
            out[name] = merged
    return base if out is None else out


def _merge_list(live: list[Any], config: list[Any], schema: Schema) -> list[Any]:
    """Items of both, merged by name. The config decides the order of its own items; items only
    in `live` keep their place before the next item they share."""
    below = schema.items or UNTYPED
    left = _first_by_name(live, schema)
    right = _first_by_name(config, schema)
    merged = {element: merge(left.get(element), item, below) for element, item in right.items()}
    out = [
        merged[element] if element in merged else left[element]
        for element in _merged_order(list(left), list(right))
    ]
    if len(left) != len(live):
        out = _with_duplicates(out, live, left, right, schema)
    if len(out) == len(live) and all(a is b for a, b in zip(out, live, strict=True)):
        return live
    return out


def _first_by_name(items: list[Any], schema: Schema) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for item in items:
        named.setdefault(item_element(item, schema), item)
    return named


def _merged_order(left: list[str], right: list[str]) -> list[str]:
    """Names of both lists: those of `right` in its order, those only in `left` where they stand
    relative to the shared names that follow them."""
    if left == right:
        return left
    in_right = set(right)
    shared_set = set(left) & in_right
    shared = [name for name in right if name in shared_set]
    out: list[str] = []
    taken: set[str] = set()
    i = j = k = 0
    while i < len(left) or j < len(right):
        here = left[i] if i < len(left) else None
        if here is not None and j < len(right) and here in in_right:
            wanted = shared[k] if k < len(shared) else None
            if here != right[j] and wanted is not None and here != wanted:
                i += 1  # shared, but its turn comes by the other list's order
                continue
        if here is not None and here not in in_right:
            out.append(here)
            i += 1
            continue
        if here is not None and (here in taken or (j < len(right) and here == right[j])):
            i += 1
        if j < len(right):
            name = right[j]
            if name not in taken:
                out.append(name)
                taken.add(name)
            k += name in shared_set
            j += 1
    return out


def _with_duplicates(
    out: list[Any], live: list[Any], left: dict[str, Any], right: dict[str, Any], schema: Schema
) -> list[Any]:
    """Live lists may hold several items of one name. The config replaces them all with its own;
    those it does not name stay as they are, behind their first."""
    copies: dict[str, list[Any]] = {}
    for item in live:
        copies.setdefault(item_element(item, schema), []).append(item)
    extra = {
        id(left[name]): items[1:]
        for name, items in copies.items()
        if len(items) > 1 and name not in right
    }
    return [item for first in out for item in (first, *extra.get(id(first), ()))]


# -- comparison ------------------------------------------------------------------------------


class Comparison(msgspec.Struct, frozen=True):
    """What became of the fields between two values."""

    added: FieldSet
    changed: FieldSet
    removed: FieldSet

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class _Paths:
    """Collects the paths of one comparison."""

    __slots__ = ("added", "changed", "removed")

    def __init__(self) -> None:
        self.added: list[Path] = []
        self.changed: list[Path] = []
        self.removed: list[Path] = []


def compare(old: Any, new: Any, schema: Schema) -> Comparison:
    """The fields that `new` adds, changes and lacks against `old`. A new subtree counts with
    every level of it; whole leaves count once."""
    paths = _Paths()
    _compare(old, new, schema, (), paths)
    return Comparison(
        added=FieldSet.of(paths.added),
        changed=FieldSet.of(paths.changed),
        removed=FieldSet.of(paths.removed),
    )


def _compare(old: Any, new: Any, schema: Schema, path: Path, out: _Paths) -> None:
    if old is new:
        return
    sample = old or new
    kind = dict if isinstance(sample, dict) else list
    branch = isinstance(sample, kind) and all(
        not value or (isinstance(value, kind) and not _is_leaf(value, schema))
        for value in (old, new)
    )
    if not branch or not sample:
        _compare_leaf(old, new, path, out)
        return
    below_old = old if isinstance(old, kind) else kind()
    below_new = new if isinstance(new, kind) else kind()
    if kind is dict:
        _compare_maps(below_old, below_new, schema, path, out)
    else:
        _compare_lists(below_old, below_new, schema, path, out)
    if old is _GONE:
        out.added.append(path)
    elif new is _GONE:
        out.removed.append(path)


def _compare_leaf(old: Any, new: Any, path: Path, out: _Paths) -> None:
    if old is _GONE:
        out.added.append(path)
    elif new is _GONE:
        out.removed.append(path)
    elif not same(old, new):
        out.changed.append(path)


def _compare_maps(old: Any, new: Any, schema: Schema, path: Path, out: _Paths) -> None:
    for name, value in old.items():
        other = new.get(name, _GONE)
        if value is not other:
            _compare(value, other, _below(schema, name), (*path, "f:" + name), out)
    for name, value in new.items():
        if name not in old:
            _compare(_GONE, value, _below(schema, name), (*path, "f:" + name), out)


def _compare_lists(old: Any, new: Any, schema: Schema, path: Path, out: _Paths) -> None:
    below = schema.items or UNTYPED
    left = _all_by_name(old, schema)
    right = _all_by_name(new, schema)
    for element in left | right:
        mine, other = left.get(element, []), right.get(element, [])
        here = (*path, element)
        if len(mine) < 2 and len(other) < 2:
            _compare(mine[0] if mine else _GONE, other[0] if other else _GONE, below, here, out)
        elif len(mine) > 1 and len(other) > 1:
            if not same(mine, other):
                out.changed.append(here)
        elif len(mine) > 1:
            if other:
                _compare(_GONE, other[0], below, here, out)
            out.removed.append(here)
        else:
            if mine:
                _compare(mine[0], _GONE, below, here, out)
            out.added.append(here)


def _all_by_name(items: list[Any], schema: Schema) -> dict[str, list[Any]]:
    named: dict[str, list[Any]] = {}
    for item in items:
        named.setdefault(item_element(item, schema), []).append(item)
    return named


# -- removal ---------------------------------------------------------------------------------


def remove(value: Any, fields: FieldSet, schema: Schema) -> Any:
    """`value` without `fields`; a map or list that loses its last entry goes with it. None when
    nothing is left, `value` itself when nothing was taken."""
    left = _remove(value, fields, schema)
    return None if left is _GONE else left


def _remove(value: Any, fields: FieldSet, schema: Schema) -> Any:
    if not fields or not value or not isinstance(value, dict | list):
        return value
    if _is_leaf(value, schema):
        return _GONE
    kept: Any
    if isinstance(value, dict):
        kept = {}
        for name, item in value.items():
            left = _remaining(item, "f:" + name, fields, _below(schema, name))
            if left is not _GONE:
                kept[name] = left
        unchanged = len(kept) == len(value) and all(kept[name] is value[name] for name in kept)
    else:
        below = schema.items or UNTYPED
        kept = []
        for item in value:
            left = _remaining(item, item_element(item, schema), fields, below)
            if left is not _GONE:
                kept.append(left)
        unchanged = len(kept) == len(value) and all(
            a is b for a, b in zip(kept, value, strict=True)
        )
    if unchanged:
        return value
    return kept or _GONE


def _remaining(item: Any, element: str, fields: FieldSet, schema: Schema) -> Any:
    if element in fields.members:
        return _GONE
    child = fields.children.get(element)
    return item if child is None else _remove(item, child, schema)


def mark_declared(fields: FieldSet, schema: Schema) -> FieldSet:
    """`fields` where every declared map or list that is owned only through what lies below it
    counts as owned itself. Removal goes by this set: a field goes when all its owners go."""
    members = set(fields.members)
    children: dict[str, FieldSet] = {}
    for element, child in fields.children.items():
        if element[:2] == "f:":
            name = element[2:]
            if name in schema.properties:
                members.add(element)
            below = _below(schema, name)
        else:
            below = schema.items or UNTYPED
        children[element] = mark_declared(child, below)
    return FieldSet(members, children)


# -- what an applied configuration must not contain -----------------------------------------


def problems(value: Any, schema: Schema, path: Path = ()) -> list[str]:
    """Why a value cannot be applied: undeclared fields, items of keyed lists and sets that
    cannot be named or share a name. One line each, in Kubernetes' wording."""
    if _is_leaf(value, schema):
        return []
    if isinstance(value, dict):
        return _map_problems(value, schema, path)
    found: list[str] = []
    below = schema.items or UNTYPED
    seen: set[str] = set()
    for index, item in enumerate(value):
        try:
            element = item_element(item, schema)
        except BadElement as error:
            found.append(f"{display_path(path)}: element {index}: {error.message}")
            continue
        here = (*path, element)
        if element in seen:
            found.append(
                f"{display_path(path)}: duplicate entries for key {display_path((element,))}"
            )
        seen.add(element)
        found += problems(item, below, here)
    return found


def _map_problems(value: dict[str, Any], schema: Schema, path: Path) -> list[str]:
    found: list[str] = []
    closed = schema.properties and schema.additional is None and not schema.preserve_unknown
    for name, item in value.items():
        here = (*path, "f:" + name)
        if closed and name not in schema.properties:
            found.append(f"{display_path(here)}: field not declared in schema")
        else:
            found += problems(item, _below(schema, name), here)
    return found
