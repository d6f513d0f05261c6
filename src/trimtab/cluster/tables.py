"""Tables: what `kubectl get` prints, computed by the server (spec/embedded-cluster.md 5).

Columns of custom resources come from their CRD; those of built-in kinds are in `columns.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from trimtab.cluster.ages import age
from trimtab.cluster.columns import COLUMNS, Column
from trimtab.cluster.columns_more import MORE_COLUMNS
from trimtab.cluster.registry import Custom
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Record

__all__ = ["read_path", "table"]

_DEFAULT: Final = (
    Column("Name", lambda obj, _now: obj["metadata"]["name"]),
    Column("Age", lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now), "date"),
)

_KINDS: Final = {**COLUMNS, **MORE_COLUMNS}


def table(
    resource: Resource,
    custom: Custom | None,
    records: Iterable[Record],
    *,
    include: str,
    now: datetime,
    meta: dict[str, Any],
    definitions: bool = True,
) -> dict[str, Any]:
    """A Table. `include` is None, Metadata or Object: what each row carries."""
    columns = _custom_columns(custom) if custom else _KINDS.get(resource.kind, _DEFAULT)
    rows = []
    for record in records:
        row: dict[str, Any] = {"cells": [column.value(record.obj, now) for column in columns]}
        if include == "Object":
            row["object"] = record.obj
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": record.obj["metadata"],
            }
        rows.append(row)
    found: dict[str, Any] = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    chosen = columns if definitions else ()
    found["columnDefinitions"] = [_definition(column, at) for at, column in enumerate(chosen)]
    found["rows"] = rows
    return found


def _definition(column: Column, place: int) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if place == 0 else "",
        "description": column.description or column.name,
        "priority": column.priority,
    }


def _custom_columns(custom: Custom) -> tuple[Column, ...]:
    columns = [Column("Name", lambda obj, _now: obj["metadata"]["name"])]
    for each in custom.columns:
        path, kind = each["jsonPath"], each["type"]

        def value(obj: dict[str, Any], now: datetime, path: str = path, kind: str = kind) -> Any:
            return _cell(read_path(obj, path), kind, now)

        columns.append(
            Column(
                each["name"],
                value,
                type="string" if kind == "date" else kind,
                priority=int(each.get("priority") or 0),
                description=each.get("description", ""),
            )
        )
    if not custom.columns:
        columns.append(_DEFAULT[1])
    return tuple(columns)


def _cell(value: Any, kind: str, now: datetime) -> Any:
    if value is None:
        return "<unknown>" if kind == "date" else None
    if kind == "date":
        return age(str(value), now)
    if kind == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


_STEP: Final = re.compile(
    r"\.([A-Za-z0-9_\-\x00/]+)|\[['\"]([^'\"]*)['\"]\]|\[(\d+)\]"
    r"|\[\?\(@\.([\w.]+)\s*==\s*[\"']([^\"']*)[\"']\)\]"
)


def read_path(obj: Any, path: str) -> Any:
    """The restricted JSONPath of printer columns: names, indices, one equality filter. None when
    nothing is there or the path is of another form."""
    at = 0
    value = obj
    text = path if path.startswith((".", "[")) else f".{path}"
    text = text.replace("\\.", "\x00")
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            return None
        at = found.end()
        value = _step(value, found)
        if value is None:
            return None
    return value


def _step(value: Any, found: re.Match[str]) -> Any:
    name = found[1] if found[1] is not None else found[2]
    if name is not None:
        return value.get(name.replace("\x00", ".")) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    if found[3] is not None:
        index = int(found[3])
        return value[index] if index < len(value) else None
    for item in value:
        if isinstance(item, dict) and str(read_path(item, found[4])) == found[5]:
            return item
    return None
