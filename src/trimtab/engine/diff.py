"""Desired against live, as server-side apply sees it (spec/argocd.md 3).

A difference is a field that desired mentions and live has otherwise, or one that our manager
applied and desired no longer has. What a controller owns and Git does not mention is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trimtab.objects import GVK, UNTYPED, Schema, apply_defaults, gvk_of, normalise
from trimtab.objects.managed import BadElement, removed_fields
from trimtab.objects.managed.elements import display, item_element
from trimtab.objects.same import same

__all__ = ["Difference", "Removed", "diff", "sendable"]

MASK: Final = "++++++++"
_IGNORED_META: Final = frozenset(
    {
        "creationTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)


class Removed:
    """The value of a field that is not there."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT: Final = Removed()


class Difference(msgspec.Struct, frozen=True):
    """One field. `path` as people write it (`.spec.containers[name="c"].image`)."""

    path: str
    desired: Any
    live: Any
    secret: bool = False

    def __repr__(self) -> str:
        """`path: live -> desired`, values of Secrets masked."""
        return f"{self.path}: {self._show(self.live)} -> {self._show(self.desired)}"

    __str__ = __repr__

    def _show(self, value: Any) -> str:
        if value is ABSENT:
            return repr(value)
        return MASK if self.secret else repr(value)


def sendable(desired: Mapping[str, Any], schema: Schema | None = None) -> dict[str, Any]:
    """The object as it is applied: without status and what servers set, `stringData` folded,
    nulls gone, quantities canonical."""
    gvk = gvk_of(desired)
    meta = {
        name: value
        for name, value in (desired.get("metadata") or {}).items()
        if name not in _IGNORED_META or name in ("name", "namespace")
    }
    obj = {name: value for name, value in desired.items() if name != "status"}
    obj["metadata"] = meta
    return normalise(obj, gvk, schema)


def diff(
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    *,
    owned: Mapping[str, Any] | None = None,
    schema: Schema | None = None,
) -> list[Difference]:
    """The differences, in the order of `desired`; empty: an apply would change nothing.

    Both must be of one API version. `owned` is the fieldsV1 our manager applied before.
    """
    gvk = gvk_of(desired)
    mine = sendable(desired, schema)
    full = apply_defaults(mine, gvk, schema)
    theirs = normalise(dict(live), gvk, schema)
    walk = _Walk(secret=gvk.kind == "Secret" and not gvk.group, lenient=_omits_zero(gvk))
    for name, value in mine.items():
        if name in ("apiVersion", "kind"):
            continue
        if name == "rules" and "aggregationRule" in mine:
            continue
        below = (schema.field(name) if schema else None) or UNTYPED
        if name == "metadata":
            value = {k: v for k, v in value.items() if k not in _IGNORED_META}
        walk.value(value, full.get(name), theirs.get(name, ABSENT), below, "." + name)
    if owned:
        walk.removed(owned, mine, theirs, schema or UNTYPED)
    return walk.found


def _omits_zero(gvk: GVK) -> bool:
    """Built-in types leave zero values out when they are stored."""
    return "." not in gvk.group or gvk.group.endswith(".k8s.io")


class _Walk:
    def __init__(self, *, secret: bool, lenient: bool) -> None:
        self.found: list[Difference] = []
        self._secret = secret
        self._lenient = lenient

    def value(self, mine: Any, full: Any, live: Any, schema: Schema, path: str) -> None:
        """`full` is `mine` with defaults: only whole (atomic) values are compared by it."""
        if live is ABSENT:
            empty = mine in (None, "") or mine == {} or mine == []
            if not empty and not (self._lenient and mine in (False, 0)):
                self._add(path, mine, live)
        elif isinstance(mine, dict) and isinstance(live, dict) and schema.map_type != "atomic":
            for name, value in mine.items():
                below = schema.field(name) or UNTYPED
                inner = full.get(name, value) if isinstance(full, dict) else value
                self.value(value, inner, live.get(name, ABSENT), below, f"{path}.{name}")
        elif isinstance(mine, list) and isinstance(live, list) and schema.list_type == "map":
            self._items(mine, full, live, schema, path)
        elif isinstance(mine, list) and isinstance(live, list) and schema.list_type == "set":
            for item in mine:
                if not any(same(item, other) for other in live):
                    self._add(f"{path}[={item!r}]", item, ABSENT)
        elif not same(mine, live) and not self._equal_whole(full, live, schema):
            self._add(path, mine, live)

    def _items(
        self, mine: list[Any], full: Any, live: list[Any], schema: Schema, path: str
    ) -> None:
        try:
            there = {item_element(item, schema): item for item in live}
            names = [item_element(item, schema) for item in mine]
        except BadElement:
            if not same(mine, live):
                self._add(path, mine, live)
            return
        whole = full if isinstance(full, list) and len(full) == len(mine) else mine
        below = schema.items or UNTYPED
        for name, item, default in zip(names, mine, whole, strict=True):
            here = path + display(name)
            self.value(item, default, there.get(name, ABSENT), below, here)

    def _equal_whole(self, full: Any, live: Any, schema: Schema) -> bool:
        """An atomic value is equal when it is so with the defaults the server puts in; where
        nothing is known of the type, additions inside it count as the server's."""
        if same(full, live):
            return True
        if isinstance(full, dict) and isinstance(live, dict):
            extra_ok = schema.untyped or not schema.properties
            return all(
                (name in live and self._equal_whole(value, live[name], _of(schema, name)))
                or (name not in live and self._is_zero(value))
                for name, value in full.items()
            ) and ((extra_ok and schema.additional is None) or live.keys() <= full.keys())
        if isinstance(full, list) and isinstance(live, list) and len(full) == len(live):
            below = schema.items or UNTYPED
            return all(self._equal_whole(a, b, below) for a, b in zip(full, live, strict=True))
        return False

    def _is_zero(self, value: Any) -> bool:
        return (
            value in (None, "")
            or value == {}
            or value == []
            or (self._lenient and value in (False, 0))
        )

    def removed(
        self,
        owned: Mapping[str, Any],
        mine: dict[str, Any],
        live: Mapping[str, Any],
        schema: Schema,
    ) -> None:
        """Fields that we applied once and that desired has no longer."""
        try:
            paths = removed_fields(owned, mine, schema)
        except BadElement:
            return  # the server refuses such an object, and says so when it is applied
        for path in paths:
            if not path.startswith(".status"):
                self._add(path, ABSENT, "(owned, no longer desired)")

    def _add(self, path: str, desired: Any, live: Any) -> None:
        secret = self._secret and path.startswith((".data", ".stringData"))
        self.found.append(Difference(path, desired, live, secret))


def _of(schema: Schema, name: str) -> Schema:
    return schema.field(name) or UNTYPED
