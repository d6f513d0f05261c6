"""The scale subresource: how many, of anything that can be counted.

Source: spec/embedded-cluster.md 7.4, 8.2, 10.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

from trimtab.cluster.errors import ApiError, bad_request, conflict, invalid
from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Record
from trimtab.cluster.writer import Options, Writer
from trimtab.objects import UNTYPED, FieldError
from trimtab.objects.managed import ApplyConflict, apply_scale, scale_entries, track_scale

__all__ = ["Scales"]

Object = dict[str, Any]
_META: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


class Now(Protocol):
    def now(self) -> datetime: ...


class Scales:
    """Reads and writes the Scale of any object; which fields it stands for, its kind says."""

    def __init__(self, registry: Registry, writer: Writer, *, clock: Now) -> None:
        self._registry = registry
        self._writer = writer
        self._clock = clock

    def read(self, resource: Resource, record: Record) -> Object:
        return self._scale(resource, record.obj)

    def update(
        self, resource: Resource, record: Record, body: Any, options: Options
    ) -> tuple[Object, list[str]]:
        """PUT: (the Scale, warnings). Raises 409, 422."""
        replicas = self._replicas(body, record.name) or 0
        path = self._paths(resource)[0]
        self._check(resource, record, body)
        obj = track_scale(
            record.copy(),
            replicas,
            manager=options.manager,
            schema=self._registry.schema(resource) or UNTYPED,
            now=self._clock.now(),
            path=path,
        )
        return self._write(resource, record, obj, options)

    def patch(
        self,
        resource: Resource,
        record: Record,
        change: Callable[[Object], Object],
        options: Options,
    ) -> tuple[Object, list[str]]:
        return self.update(resource, record, change(self.read(resource, record)), options)

    def apply(
        self, resource: Resource, record: Record, body: Any, options: Options
    ) -> tuple[Object, list[str]]:
        """Server-side apply of a Scale. Raises 409 when others own the replicas."""
        self._check(resource, record, body)
        try:
            obj = apply_scale(
                record.copy(),
                self._replicas(body, record.name),
                manager=options.manager,
                force=options.force,
                schema=self._registry.schema(resource) or UNTYPED,
                now=self._clock.now(),
                path=self._paths(resource)[0],
            )
        except ApplyConflict as error:
            details = {"name": record.name, "kind": resource.plural, "causes": error.causes()}
            raise ApiError(409, "Conflict", error.status_message(), details=details) from error
        return self._write(resource, record, obj, options)

    def _write(
        self, resource: Resource, record: Record, obj: Object, options: Options
    ) -> tuple[Object, list[str]]:
        written, warnings = self._writer.write(
            resource, record, obj, options, "scale", tracked=True
        )
        return self._scale(resource, written), warnings

    def _check(self, resource: Resource, record: Record, body: Any) -> None:
        if not isinstance(body, dict):
            raise bad_request("the request body is no object")
        meta = body.get("metadata") or {}
        if meta.get("name") not in (None, "", record.name):
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL"
                f" ({record.name})"
            )
        version = meta.get("resourceVersion")
        if version and str(version) != str(record.rv):
            raise conflict(resource.title, record.name)

    def _replicas(self, body: Any, name: str) -> int | None:
        """What the Scale says; None when it says nothing. Raises 422."""
        spec = body.get("spec") if isinstance(body, dict) else None
        value = spec.get("replicas") if isinstance(spec, dict) else None
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            error = FieldError(
                "Invalid", "spec.replicas", value, "must be greater than or equal to 0"
            )
            raise invalid("Scale", "autoscaling", name, [error])
        return value

    def _paths(self, resource: Resource) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """(where the replicas are wanted, where they are counted, where the selector is)."""
        custom = self._registry.custom(resource)
        if custom is None or custom.scale is None:
            return ("spec", "replicas"), ("status", "replicas"), ""
        return (
            _keys(custom.scale["specReplicasPath"]),
            _keys(custom.scale["statusReplicasPath"]),
            custom.scale.get("labelSelectorPath", ""),
        )

    def _scale(self, resource: Resource, obj: Object) -> Object:
        wanted, counted, selector = self._paths(resource)
        meta = {key: obj["metadata"][key] for key in _META if key in obj["metadata"]}
        entries = scale_entries(obj, path=wanted)
        if entries:
            meta["managedFields"] = entries
        text = _selector(obj)
        if resource.custom:
            text = str(_read(obj, _keys(selector)) or "") if selector else ""
        status: Object = {"replicas": int(_read(obj, counted) or 0)}
        if text:
            status["selector"] = text
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": meta,
            "spec": {"replicas": int(_read(obj, wanted) or 0)},
            "status": status,
        }


def _keys(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split(".") if part)


def _read(obj: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def _selector(obj: Object) -> str:
    """A built-in kind's selector as text."""
    selector = (obj.get("spec") or {}).get("selector") or {}
    labels = selector if obj["kind"] == "ReplicationController" else selector.get("matchLabels")
    parts = [f"{key}={value}" for key, value in sorted((labels or {}).items())]
    if obj["kind"] != "ReplicationController":
        for each in selector.get("matchExpressions") or ():
            values = ",".join(sorted(each.get("values") or ()))
            parts.append(
                {
                    "In": f"{each['key']} in ({values})",
                    "NotIn": f"{each['key']} notin ({values})",
                    "Exists": each["key"],
                    "DoesNotExist": f"!{each['key']}",
                }[each["operator"]]
            )
    return ",".join(parts)
