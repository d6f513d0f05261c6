"""Kinds that are served in two forms and stored in one (spec/embedded-cluster.md 6).

Events of `events.k8s.io/v1` are core events under other names; autoscalers of `autoscaling/v1`
are those of v2 that know of the processor only. What a form cannot say is kept in annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import orjson

from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.objects.identity import GVK

__all__ = ["Forms"]

Object = dict[str, Any]
_METRICS: Final = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR: Final = "autoscaling.alpha.kubernetes.io/behavior"
_CURRENT: Final = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS: Final = "autoscaling.alpha.kubernetes.io/conditions"
_EVENT_NAMES: Final[Mapping[str, str]] = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}


class _Form(msgspec.Struct, frozen=True):
    home: GVK
    inward: Callable[[Object], Object]
    outward: Callable[[Object], Object]


class Forms:
    """Between the form of a request and the form of the store."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def home(self, resource: Resource) -> Resource:
        """The resource in whose form the objects of `resource` are stored."""
        form = _FORMS.get(resource.gvk)
        found = self._registry.of_kind(form.home.group_kind) if form else None
        return found or resource

    def is_other(self, resource: Resource) -> bool:
        return resource.gvk in _FORMS

    def inward(self, resource: Resource, obj: Any) -> Any:
        """What a client sent, as it is stored."""
        form = _FORMS.get(resource.gvk)
        if form is None or not isinstance(obj, dict):
            return obj
        found = form.inward(obj)
        # A wrong kind stays wrong, so that it is refused.
        if obj.get("apiVersion") in (None, "", resource.api_version):
            found["apiVersion"] = form.home.api_version
        return found

    def outward(self, resource: Resource, obj: Object) -> Object:
        """What is stored, in the version asked for."""
        form = _FORMS.get(resource.gvk)
        found = form.outward(obj) if form else obj
        return {**found, "apiVersion": resource.api_version}


def _renamed(obj: Object, names: Mapping[str, str]) -> Object:
    return {names.get(key, key): value for key, value in obj.items()}


def _event_in(obj: Object) -> Object:
    return _renamed(obj, _EVENT_NAMES)


def _event_out(obj: Object) -> Object:
    return _renamed(obj, {there: here for here, there in _EVENT_NAMES.items()})


def _is_processor(metric: Any) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or resource.get("current") or {}
    return resource.get("name") == "cpu" and "averageUtilization" in target


def _scaler_in(obj: Object) -> Object:
    """v1 to v2."""
    meta = dict(obj.get("metadata") or {})
    notes = dict(meta.get("annotations") or {})
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics = _note(notes, _METRICS) or []
    share = spec.pop("targetCPUUtilizationPercentage", None)
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        processor = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
        metrics = [processor, *metrics]
    if metrics:
        spec["metrics"] = metrics
    behavior = _note(notes, _BEHAVIOR)
    if behavior:
        spec["behavior"] = behavior
    current = _note(notes, _CURRENT) or []
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None:
        value = {"name": "cpu", "current": {"averageUtilization": used}}
        current = [{"type": "Resource", "resource": value}, *current]
    conditions = _note(notes, _CONDITIONS)
    kept = {"currentMetrics": current, "conditions": conditions}
    status |= {name: value for name, value in kept.items() if value}
    return _with(obj, meta, notes, spec, status)


def _scaler_out(obj: Object) -> Object:
    """v2 to v1."""
    meta = dict(obj["metadata"])
    notes = dict(meta.get("annotations") or {})
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    rest = []
    for metric in spec.pop("metrics", None) or ():
        if _is_processor(metric) and "targetCPUUtilizationPercentage" not in spec:
            share = metric["resource"]["target"]["averageUtilization"]
            spec["targetCPUUtilizationPercentage"] = share
        else:
            rest.append(metric)
    others = []
    for metric in status.pop("currentMetrics", None) or ():
        if _is_processor(metric) and "currentCPUUtilizationPercentage" not in status:
            used = metric["resource"]["current"]["averageUtilization"]
            status["currentCPUUtilizationPercentage"] = used
        else:
            others.append(metric)
    kept = {
        _METRICS: rest,
        _BEHAVIOR: spec.pop("behavior", None),
        _CURRENT: others,
        _CONDITIONS: status.pop("conditions", None),
    }
    notes |= {key: orjson.dumps(value).decode() for key, value in kept.items() if value}
    return _with(obj, meta, notes, spec, status)


def _note(notes: Object, name: str) -> Any:
    """What an annotation keeps; it is taken away. One that cannot be read stays."""
    try:
        value = orjson.loads(notes[name])
    except (KeyError, TypeError, orjson.JSONDecodeError):
        return None
    del notes[name]
    return value


def _with(obj: Object, meta: Object, notes: Object, spec: Object, status: Object) -> Object:
    if notes:
        meta["annotations"] = notes
    else:
        meta.pop("annotations", None)
    found = {**obj, "metadata": meta, "spec": spec}
    if status or "status" in obj:
        found["status"] = status
    return found


_FORMS: Final[Mapping[GVK, _Form]] = {
    GVK("events.k8s.io", "v1", "Event"): _Form(GVK("", "v1", "Event"), _event_in, _event_out),
    GVK("autoscaling", "v1", "HorizontalPodAutoscaler"): _Form(
        GVK("autoscaling", "v2", "HorizontalPodAutoscaler"), _scaler_in, _scaler_out
    ),
}
