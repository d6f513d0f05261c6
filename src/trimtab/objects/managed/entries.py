"""The entries of `metadata.managedFields`: read, change, write.

An entry is known by (manager, operation, apiVersion, subresource); entries of appliers are one
per manager and subresource whatever the version. Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
import orjson

from trimtab.errors import TrimtabError
from trimtab.objects.managed.elements import BadElement
from trimtab.objects.managed.fieldset import EMPTY, FieldSet

__all__ = [
    "ANCIENT_CHANGES",
    "MAX_UPDATE_ENTRIES",
    "BadManagedFields",
    "Entry",
    "Manager",
    "Managers",
    "cap_updates",
    "decode",
    "encode",
]

ANCIENT_CHANGES: Final = "ancient-changes"
MAX_UPDATE_ENTRIES: Final = 10

Operation = Literal["Apply", "Update"]


class BadManagedFields(TrimtabError):
    """`metadata.managedFields` that nobody can read."""

    reason = "Invalid"


class Manager(msgspec.Struct, frozen=True):
    """Who owns fields. `api_version` is empty for appliers: they are one at every version."""

    name: str
    operation: Operation
    api_version: str = ""
    subresource: str = ""

    @property
    def identity(self) -> str:
        """The text that an API server sorts managers by."""
        parts = {"manager": self.name, "operation": self.operation}
        if self.api_version:
            parts["apiVersion"] = self.api_version
        if self.subresource:
            parts["subresource"] = self.subresource
        return orjson.dumps(parts).decode()


class Entry(msgspec.Struct, frozen=True):
    """What a manager owns, in the field names of `api_version`. `time` is RFC 3339 or empty."""

    fields: FieldSet
    api_version: str
    time: str = ""


Managers = dict[Manager, Entry]


def decode(entries: Any) -> Managers:
    """Read `managedFields`. Raises `BadManagedFields` when one entry is invalid."""
    if not isinstance(entries, list):
        raise BadManagedFields("metadata.managedFields is not a list")
    return dict(_decode(entry) for entry in entries)


def _decode(entry: Any) -> tuple[Manager, Entry]:
    if not isinstance(entry, Mapping):
        raise BadManagedFields("an entry of metadata.managedFields is not an object")
    operation = entry.get("operation")
    if operation not in ("Apply", "Update"):
        raise BadManagedFields(f"invalid operation: {operation or ''}")
    if entry.get("fieldsType", "FieldsV1") not in ("", "FieldsV1"):
        raise BadManagedFields(f"unsupported fieldsType: {entry['fieldsType']}")
    try:
        fields = FieldSet.from_v1(entry.get("fieldsV1") or {})
    except BadElement as error:
        raise BadManagedFields(error.message, why=error.why) from error
    version = str(entry.get("apiVersion") or "")
    manager = Manager(
        name=str(entry.get("manager") or ""),
        operation=operation,
        api_version=version if operation == "Update" else "",
        subresource=str(entry.get("subresource") or ""),
    )
    return manager, Entry(fields=fields, api_version=version, time=str(entry.get("time") or ""))


def encode(managers: Managers) -> list[dict[str, Any]]:
    """Write `managedFields`: appliers first, then by time, name, version and subresource.
    Entries that own nothing are left out."""
    listed = sorted(
        managers.items(),
        key=lambda pair: (
            pair[0].operation,
            pair[1].time,
            pair[0].name,
            pair[1].api_version,
            pair[0].subresource,
        ),
    )
    return [_encode(manager, entry) for manager, entry in listed if entry.fields]


def _encode(manager: Manager, entry: Entry) -> dict[str, Any]:
    out: dict[str, Any] = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": entry.api_version,
    }
    if entry.time:
        out["time"] = entry.time
    out["fieldsType"] = "FieldsV1"
    out["fieldsV1"] = entry.fields.to_v1()
    if manager.subresource:
        out["subresource"] = manager.subresource
    return out


def owned(managers: Managers) -> FieldSet:
    """The fields that any manager owns."""
    union = EMPTY
    for entry in managers.values():
        union = union.union(entry.fields)
    return union


def without(managers: Managers, fields: FieldSet, *, keep: Iterable[Manager] = ()) -> Managers:
    """`managers` that lost `fields`, except those in `keep`; who owns nothing more is gone."""
    kept = frozenset(keep)
    out: Managers = {}
    for manager, entry in managers.items():
        left = entry.fields if manager in kept else entry.fields.difference(fields)
        if left is entry.fields:
            out[manager] = entry
        elif left:
            out[manager] = msgspec.structs.replace(entry, fields=left)
    return out


def cap_updates(managers: Managers, *, limit: int = MAX_UPDATE_ENTRIES) -> Managers:
    """At most `limit` Update entries: the oldest of each version collapse into one entry of the
    manager `ancient-changes`, from the second of a version on."""
    updates = [manager for manager in managers if manager.operation == "Update"]
    excess = len(updates) - limit
    if excess <= 0:
        return managers
    out = dict(managers)
    first: dict[str, Manager] = {}
    for manager in sorted(updates, key=lambda one: (out[one].time, one.identity)):
        if excess <= 0:
            break
        entry = out[manager]
        seen = first.setdefault(entry.api_version, manager)
        if seen == manager:
            continue
        bucket = Manager(ANCIENT_CHANGES, "Update", entry.api_version)
        if bucket not in out:
            out[bucket] = out.pop(seen)
        del out[manager]
        union = out[bucket].fields.union(entry.fields)
        out[bucket] = Entry(fields=union, api_version=entry.api_version, time=entry.time)
        excess -= 1
    return out
