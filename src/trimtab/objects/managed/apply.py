"""Server-side apply, and who owns what after any other write. Pure: plain dicts in, a new one out.

`apply_config` is a PATCH of type apply; `track_update` is called for every create, update and
other patch, with the object as it will be stored. Defaulting, admission and validation come
after `apply_config`; what they add belongs to nobody. Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from trimtab.errors import TrimtabError
from trimtab.objects.managed.conflict import ApplyConflict
from trimtab.objects.managed.elements import Path
from trimtab.objects.managed.entries import (
    BadManagedFields,
    Entry,
    Manager,
    Managers,
    cap_updates,
    decode,
    encode,
    owned,
    without,
)
from trimtab.objects.managed.fieldset import EMPTY, FieldSet
from trimtab.objects.managed.reshape import fit_all
from trimtab.objects.managed.typed import (
    Comparison,
    compare,
    mark_declared,
    merge,
    problems,
    remove,
    set_of,
)
from trimtab.objects.same import same
from trimtab.objects.schema import Schema

__all__ = ["BEFORE_FIRST_APPLY", "BadApply", "apply_config", "track_update"]

BEFORE_FIRST_APPLY: Final = "before-first-apply"

Object = dict[str, Any]

_UNTRACKED: Final = FieldSet.of(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", "f:" + name)
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        ),
    ]
)

# Structs of the API that are always present in Go though no schema requires them: whoever
# fills them owns what is inside, not the struct itself.
_ALWAYS_THERE: Final = frozenset({"metadata", "spec", "status", "strategy", "updateStrategy"})


class BadApply(TrimtabError):
    """A configuration that cannot be applied, whatever is live."""

    reason = "BadRequest"


def apply_config(
    live: Object | None,
    config: Object,
    *,
    manager: str,
    force: bool = False,
    schema: Schema,
    now: datetime | str,
    subresource: str = "",
    reset: Iterable[str] | None = None,
) -> Object:
    """The object after `manager` applied `config` to `live` (None: it is created).

    `reset` are the fields this endpoint does not write, dotted; by default `status` for the
    object itself and `spec` for its status. Returns `live` itself when nothing changes, not even
    ownership. Raises `BadApply`, or `ApplyConflict` when other managers own what would change
    and `force` is False.
    """
    _check(config, schema)
    skipped = _reset_paths(subresource, reset)
    wanted = _drop(config, skipped)
    version = str(config["apiVersion"])
    time = _time(now)
    before = _strip_entries(live) if live is not None else {}
    managers = fit_all(_known(live), schema)
    if live is not None and not managers:
        managers = _before_first_apply(live, before, version, subresource, schema, skipped, time)

    me = Manager(manager, "Apply", subresource=subresource)
    last = managers.get(me)
    mine = set_of(wanted, schema)
    after = merge(before, wanted, schema)
    if last is not None and not last.fields.issubset(mine):
        others = owned({who: entry for who, entry in managers.items() if who != me})
        after = _prune(after, last.fields, mine.union(others), schema)

    if after is not before:
        managers = _yield_fields(managers, compare(before, after, schema), me, force=force)
    managers = _claim(managers, me, mine, version, time, touched=not same(after, before))
    return _finish(live, after, managers)


def track_update(
    old: Object | None,
    new: Object,
    *,
    manager: str,
    schema: Schema,
    now: datetime | str,
    subresource: str = "",
    reset: Iterable[str] | None = None,
) -> Object:
    """`new` with the entries it has once `manager` wrote it over `old` (None: it is created).

    The writer gains what it added or changed, everybody loses what it changed or removed.
    `managedFields` of `new` itself count when they are valid (a writer may edit them, except
    through a subresource); `[]` and `[{}]` clear them all, and a live object without entries is
    not tracked until its first apply.
    """
    after = _strip_entries(new)
    if _clears(new) and not subresource:
        return _finish(new, after, {})
    managers = fit_all(_given(old, new, subresource), schema)
    if not managers and old is not None:
        return _finish(new, after, {})

    if old is None:
        before = _skeleton(after, schema) if _is_built_in(new) else {}
    else:
        before = _strip_entries(old)
    difference = compare(before, after, schema)
    touched = difference.added.union(difference.changed)
    managers = without(managers, touched.union(difference.removed))
    gained = touched.recursive_difference(_reset_paths(subresource, reset)).difference(_UNTRACKED)
    if gained:
        version = str(new.get("apiVersion") or "")
        me = Manager(manager, "Update", version, subresource)
        held = managers[me].fields if me in managers else EMPTY
        managers[me] = Entry(held.union(gained), version, _time(now))
        managers = cap_updates(managers)
    return _finish(new, after, managers)


# -- steps -----------------------------------------------------------------------------------


def _check(config: Object, schema: Schema) -> None:
    if not config.get("apiVersion") or not config.get("kind"):
        raise BadApply("an applied configuration must have apiVersion and kind")
    if (config.get("metadata") or {}).get("managedFields"):
        raise BadApply("metadata.managedFields must be nil")
    if found := problems(config, schema):
        metadata = config.get("metadata") or {}
        name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
        kind = f"{config['apiVersion']}, Kind={config['kind']}"
        text = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {x}" for x in found)
        raise BadApply(f"failed to create typed patch object ({name}; {kind}): {text}")


def _prune(merged: Object, last: FieldSet, claimed: FieldSet, schema: Schema) -> Object:
    """`merged` without what the last configuration had and nobody claims any more.

    A declared map counts as owned by whoever owns something in it, so it goes as a whole, with
    defaults inside, once nobody does. Unowned or foreign fields stay.
    """
    last = mark_declared(last, schema)
    everything = mark_declared(set_of(merged, schema), schema)
    without_last = set_of(remove(merged, last, schema) or {}, schema)
    keep = mark_declared(without_last, schema).union(mark_declared(claimed, schema))
    kept = set_of(remove(merged, everything.difference(keep), schema) or {}, schema)
    gone = everything.difference(mark_declared(kept, schema)).intersection(last)
    result: Object = remove(merged, gone, schema) or {}
    return result


def _yield_fields(
    managers: Managers, difference: Comparison, me: Manager, *, force: bool
) -> Managers:
    """The other managers after the write: without what it takes and what it removed."""
    touched = difference.added.union(difference.changed)
    contested = {
        who: fields
        for who, entry in managers.items()
        if who != me and (fields := entry.fields.intersection(touched))
    }
    if contested and not force:
        raise ApplyConflict.between(contested)
    return without(managers, touched.union(difference.removed), keep=(me,))


def _claim(
    managers: Managers, me: Manager, fields: FieldSet, version: str, time: str, *, touched: bool
) -> Managers:
    """`managers` with the applier's new set; its time moves only when it changed something."""
    fields = fields.difference(_UNTRACKED)
    had = managers.get(me)
    out = {who: entry for who, entry in managers.items() if who != me}
    if not fields:
        return out
    still = had is not None and had.fields == fields and had.api_version == version
    out[me] = had if had is not None and still and not touched else Entry(fields, version, time)
    return out


def _before_first_apply(
    live: Object,
    before: Object,
    version: str,
    subresource: str,
    schema: Schema,
    skipped: FieldSet,
    time: str,
) -> Managers:
    """An object nobody tracked so far: one entry owns what is live."""
    empty = _skeleton(before, schema) if _is_built_in(live) else {}
    added = compare(empty, before, schema).added
    fields = added.recursive_difference(skipped).difference(_UNTRACKED)
    who = Manager(BEFORE_FIRST_APPLY, "Update", version, subresource)
    return {who: Entry(fields, version, time)} if fields else {}


def _known(live: Object | None) -> Managers:
    """The live object's entries; unreadable ones count as none, as a server has it."""
    entries = (live or {}).get("metadata", {}).get("managedFields")
    if not entries:
        return {}
    try:
        return decode(entries)
    except BadManagedFields:
        return {}


def _given(old: Object | None, new: Object, subresource: str) -> Managers:
    """Entries that the writer sent, or the old ones when it sent none, or none that can be
    read, or wrote through a subresource."""
    if not subresource and (sent := _known(new)):
        return sent
    return _known(old)


def _clears(new: Object) -> bool:
    return (new.get("metadata") or {}).get("managedFields") in ([], [{}])


def _strip_entries(obj: Object) -> Object:
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**obj, "metadata": kept}


def _finish(previous: Object | None, after: Object, managers: Managers) -> Object:
    """`after` with its entries; `previous` itself when it is the same to the last byte."""
    entries = encode(managers)
    if previous is not None and _is_same(previous, after, entries):
        return previous
    metadata = dict(after.get("metadata") or {})
    if entries:
        metadata["managedFields"] = entries
    return {**after, "metadata": metadata}


def _is_same(previous: Object, after: Object, entries: list[dict[str, Any]]) -> bool:
    had = (previous.get("metadata") or {}).get("managedFields")
    if entries != (had or []) or (had is not None and not entries):
        return False
    return same(_strip_entries(previous), after)


def _reset_paths(subresource: str, reset: Iterable[str] | None) -> FieldSet:
    if reset is None:
        reset = {"": ("status",), "status": ("spec",)}.get(subresource, ())
    paths: list[Path] = [tuple("f:" + name for name in text.split(".")) for text in reset]
    return FieldSet.of(paths)


def _drop(config: Object, fields: FieldSet) -> Object:
    """`config` without the fields that this endpoint does not write."""
    out = config
    for path in fields.paths():
        out = _drop_path(out, path)
    return out


def _drop_path(node: Any, path: Path) -> Any:
    name = path[0][2:]
    if not isinstance(node, dict) or name not in node:
        return node
    if len(path) == 1:
        return {key: value for key, value in node.items() if key != name}
    return {**node, name: _drop_path(node[name], path[1:])}


def _is_built_in(obj: Object) -> bool:
    """Built-in kinds are decoded into structs, custom resources into maps."""
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def _skeleton(value: Object, schema: Schema) -> Object:
    """What an empty object of this kind already has: its required maps and lists."""
    out: Object = {}
    for name, item in value.items():
        below = schema.properties.get(name)
        if below is None or not (name in schema.required or name in _ALWAYS_THERE):
            continue
        if isinstance(item, dict) and below.map_type != "atomic":
            out[name] = _skeleton(item, below)
        elif isinstance(item, list) and below.list_type != "atomic":
            out[name] = []
    return out


def _time(now: datetime | str) -> str:
    if isinstance(now, str):
        return now
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
