"""Strategic merge as kustomize does it to files, which is not quite what a server does.

Items that only the patch has come first; lists meet by all of their keys (container ports by
number and protocol); `$retainKeys`, `$setElementOrder` and `$deleteFromPrimitiveList` mean
nothing; an item's `$patch: replace` changes nothing in a list that has the item already; a
patched port that names no protocol does not find one that does. Output must equal the tool's, so
its steps are followed here one by one, on copies. Where an item is found, replaced or appended is
decided by the text of its keys, "" standing for a key it lacks.
Source: spec/rendering.md 3.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from trimtab.objects.patch_errors import BadPatch
from trimtab.objects.schema import UNTYPED, Schema

__all__ = ["kustomize_merge"]


class _Mark:
    """A state of a place that no JSON value can express."""


_ABSENT: Final = _Mark()
_KEPT_NULL: Final = _Mark()

Keys = list[str]
Values = list[str]
Directive = Literal["merge", "replace", "delete"]


def kustomize_merge(original: dict[str, Any], patch: dict[str, Any], schema: Schema) -> Any:
    """`original` with `patch` merged in as kustomize does; both stay as they are, and the result
    shares nothing with them. None when the patch deletes the object (`$patch: delete`).

    Raises `BadPatch` where the patch and the object have different types at one place, or for an
    unknown `$patch`.
    """
    merged = _walk(_copy(original), _copy(patch), schema)
    return None if isinstance(merged, _Mark) else merged


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _nothing(value: Any) -> bool:
    return value is None or isinstance(value, _Mark)


def _walk(dest: Any, patch: Any, schema: Schema) -> Any:
    sample = patch if _nothing(dest) else dest
    if not _nothing(dest) and not _nothing(patch) and _kind(dest) is not _kind(patch):
        raise BadPatch(f"the patch has {_named(patch)} where the object has {_named(dest)}")
    if isinstance(sample, dict) or _nothing(sample):
        return _walk_map(dest, patch, schema)
    if isinstance(sample, list) and "merge" in schema.patch_strategy:
        return _walk_keyed_list(dest, patch, schema)
    return dest if patch is _ABSENT else patch


def _kind(value: Any) -> type:
    return type(value) if isinstance(value, dict | list) else str


def _named(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    return "a list" if isinstance(value, list) else "a scalar"


# -- maps ------------------------------------------------------------------------------------


def _walk_map(dest: Any, patch: Any, schema: Schema) -> Any:
    dest = _choose_map(dest, patch)
    if not isinstance(dest, dict):
        return dest
    source = patch if isinstance(patch, dict) else {}
    for name in list(dict.fromkeys([*dest, *source])):
        below = schema.field(name) or UNTYPED
        value = _walk(dest.get(name, _ABSENT), source.get(name, _ABSENT), below)
        if value is _KEPT_NULL:
            dest[name] = None
        elif _nothing(value):
            dest.pop(name, None)
        else:
            dest[name] = value
    return dest


def _choose_map(dest: Any, patch: Any) -> Any:
    """Which of the two is the one that the other's fields go into."""
    if _nothing(dest):
        if isinstance(patch, dict) and _map_directive(patch) == "delete":
            return _ABSENT
        return _KEPT_NULL if patch is _ABSENT and dest is None else patch
    if patch is None:
        return _ABSENT
    directive = _map_directive(patch) if isinstance(patch, dict) else "merge"
    return {"delete": _ABSENT, "replace": patch, "merge": dest}[directive]


def _map_directive(patch: dict[str, Any]) -> Directive:
    """The `$patch` of a map; the patch loses it."""
    if patch.get("$patch") is None:
        return "merge"
    return _directive(patch.pop("$patch"))


def _directive(value: Any) -> Directive:
    if value not in ("merge", "replace", "delete"):
        raise BadPatch(f"unknown patch strategy '{value}'")
    found: Directive = value
    return found


# -- lists whose items meet ------------------------------------------------------------------


def _walk_keyed_list(dest: Any, patch: Any, schema: Schema) -> Any:
    dest = _choose_list(dest, patch)
    if not isinstance(dest, list):
        return dest
    source = patch if isinstance(patch, list) else []
    keys = list(schema.list_keys) or ([schema.patch_merge_key] if schema.patch_merge_key else [])
    if not keys:
        keys = [""]
    names: list[Values] = []
    for item in [*source, *dest]:
        name = [_key_text(item, key) for key in keys]
        if name not in names:
            names.append(name)
    if len(keys) > 1:
        _fill_in(names)
    return _merge_items(dest, source, names, keys, schema.items or UNTYPED)


def _choose_list(dest: Any, patch: Any) -> Any:
    if _nothing(dest):
        return patch
    if patch is None:
        return _ABSENT
    directive = _list_directive(patch) if isinstance(patch, list) else "merge"
    return {"delete": _ABSENT, "replace": patch, "merge": dest}[directive]


def _list_directive(patch: list[Any]) -> Directive:
    """`- $patch: replace` as an item of its own speaks of the whole list; the patch loses it."""
    for item in patch:
        if isinstance(item, dict) and item.get("$patch") is not None:
            if len(item) > 1:
                return "merge"
            patch.remove(item)
            return _directive(item["$patch"])
    return "merge"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _key_text(item: Any, key: str) -> str:
    """The text of a key of an item, "" when it lacks it. The key "" is a scalar itself."""
    if key == "":
        return _text(item)
    return _text(item.get(key)) if isinstance(item, dict) else ""


def _fill_in(names: list[Values]) -> None:
    """Names that agree in one key and elsewhere differ only where one has nothing are one name."""
    for i in range(len(names)):
        mine = names[i]  # as it is now: what it becomes below does not count in this round
        for j in range(len(names)):
            pairs = list(zip(mine, names[j], strict=True))
            if any(a == b for a, b in pairs) and all(a == b or not a or not b for a, b in pairs):
                names[i] = names[j] = [a or b for a, b in pairs]


def _used_keys(names: list[Values], name: Values, keys: Keys) -> tuple[Keys, Values]:
    """The keys that any of `names` has a value for, and the values of `name` for them."""
    used = [any(one[i] for one in names) for i in range(len(keys))]
    if not any(used):
        return keys, name
    return (
        [key for i, key in enumerate(keys) if used[i]],
        [value for i, value in enumerate(name) if used[i] or value],
    )


def _merge_items(
    dest: list[Any], source: list[Any], names: list[Values], keys: Keys, schema: Schema
) -> Any:
    first: list[Any] = []
    used = keys
    for name in names:
        used, values = _used_keys(names, name, keys)
        sought = _used_keys([values], values, used)
        merged = _walk(_find(dest, *sought), _find(source, *sought), schema)
        if _nothing(merged) or merged == {}:
            _put(dest, _ABSENT, used, values)
            continue
        if isinstance(merged, dict):
            for key, value in zip(used, values, strict=True):
                if value and key not in merged:
                    merged[key] = value
        _put(first, merged, used, values)
    if not names:
        return dest
    _append_all(first, dest, used)
    return first


def _matches(item: Any, key: str, value: str) -> bool:
    if key == "":
        return not isinstance(item, dict | list) and _text(item) == value
    if not isinstance(item, dict) or item.get(key) is None:
        return False
    return _text(item[key]) == value


def _find(items: list[Any], keys: Keys, values: Values) -> Any:
    pairs = list(zip(keys, values, strict=True))
    for item in items:
        if all(_matches(item, key, value) for key, value in pairs):
            return item
    return _ABSENT


def _has(item: Any, key: str, value: str) -> bool:
    """As `_matches`, but no value means any."""
    if value == "" and key:
        return isinstance(item, dict) and item.get(key) is not None
    return _matches(item, key, value)


def _put(items: list[Any], element: Any, keys: Keys, values: Values) -> None:
    """Replace what has these keys by `element`, append it when nothing has, or remove it when
    `element` is absent. Without values nothing matches and nothing else is kept."""
    if not values:
        items[:] = [] if element is _ABSENT else [element]
        return
    kept: list[Any] = []
    found = False
    pairs = list(zip(keys, values, strict=False))
    for item in items:
        if item is None or item == {}:
            continue
        if (not isinstance(item, dict) and keys[0]) or not all(_has(item, *p) for p in pairs):
            kept.append(item)
            continue
        found = True
        if element is not _ABSENT:
            kept.append(element)
    if element is not _ABSENT and not found:
        kept.append(element)
    items[:] = kept


def _append_all(items: list[Any], more: list[Any], keys: Keys) -> None:
    """Add the items of `more`, each in the place of the one with its keys. With several keys the
    item found is taken out first, so the order is that of `more`."""
    for element in list(more):
        if keys[0] == "":
            _put(items, element, keys, [_text(element)])
            continue
        values: Values = []
        for key in keys:
            if not isinstance(element, dict) or element.get(key) is None:
                items.append(element)
            else:
                values.append(_text(element[key]))
        if len(keys) > 1:
            _put(items, _ABSENT, keys, values)
        _put(items, element, keys, values)
