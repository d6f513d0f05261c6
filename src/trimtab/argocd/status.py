"""An Application's status from a comparison, as Argo CD's clients expect it (spec 1.2). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from trimtab.argocd.application_spec import Spec
from trimtab.argocd.compare import Comparison, Resource
from trimtab.argocd.options import object_options
from trimtab.engine import assess, has_health
from trimtab.runtime import rfc3339

__all__ = ["apply_comparison", "set_app_conditions", "touch"]

_POD_SPECS: Final = (
    ("spec",),
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
)


def apply_comparison(
    status: Mapping[str, Any], app: Mapping[str, Any], spec: Spec, found: Comparison, now: datetime
) -> dict[str, Any]:
    """The status after a comparison; the rest (history, operationState) is kept."""
    out = dict(status)
    compared: dict[str, Any] = {
        "source": app["spec"].get("source") or app["spec"]["sources"][0],
        "destination": app["spec"].get("destination") or {},
    }
    if spec.ignore:
        compared["ignoreDifferences"] = [dict(rule) for rule in spec.ignore]
    out["sync"] = {
        "status": "Synced" if found.synced else "OutOfSync",
        "comparedTo": compared,
        "revision": found.revision,
    }
    out["resources"] = [_resource(resource) for resource in found.resources]
    out["health"] = _health(status.get("health") or {}, found.health().status, now)
    out["sourceType"] = found.source_type
    out["summary"] = _summary(found)
    out["controllerNamespace"] = app["metadata"].get("namespace")
    return {name: value for name, value in out.items() if value is not None}


def _health(before: Mapping[str, Any], state: str, now: datetime) -> dict[str, Any]:
    since = before.get("lastTransitionTime") if before.get("status") == state else None
    return {"status": state, "lastTransitionTime": since or rfc3339(now)}


def _resource(resource: Resource) -> dict[str, Any]:
    key = resource.key
    out: dict[str, Any] = {"version": resource.version, "kind": key.kind, "name": key.name}
    if key.group:
        out["group"] = key.group
    if key.namespace:
        out["namespace"] = key.namespace
    out["status"] = "Synced" if resource.synced else "OutOfSync"
    if resource.live is None:
        out["health"] = {"status": "Missing"}
    elif has_health(resource.live.obj):
        health = assess(resource.live.obj)
        out["health"] = {"status": health.status}
        if health.message:
            out["health"]["message"] = health.message
    if resource.desired is None and not resource.ignored:
        out["requiresPruning"] = True
        if resource.live and object_options(resource.live.obj).values.get("Delete") == "confirm":
            out["requiresDeletionConfirmation"] = True
    if resource.wave:
        out["syncWave"] = resource.wave
    return out


def _summary(found: Comparison) -> dict[str, Any]:
    images: set[str] = set()
    urls: set[str] = set()
    for resource in found.resources:
        if resource.live is None:
            continue
        images.update(_images(resource.live.obj))
        urls.update(_urls(resource.live.obj))
    out: dict[str, Any] = {}
    if images:
        out["images"] = sorted(images)
    if urls:
        out["externalURLs"] = sorted(urls)
    return out


def _images(obj: Mapping[str, Any]) -> Iterable[str]:
    for path in _POD_SPECS:
        spec: Any = obj
        for name in path:
            spec = spec.get(name) if isinstance(spec, Mapping) else None
        if not isinstance(spec, Mapping):
            continue
        for field in ("containers", "initContainers"):
            items = spec.get(field)
            for item in items if isinstance(items, list) else ():
                if isinstance(item, Mapping) and isinstance(item.get("image"), str):
                    yield item["image"]


def _urls(obj: Mapping[str, Any]) -> Iterable[str]:
    if obj.get("kind") != "Ingress":
        return
    spec = obj.get("spec") or {}
    secure = {host for tls in spec.get("tls") or () for host in tls.get("hosts") or ()}
    if not ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"):
        return
    for rule in spec.get("rules") or ():
        host = rule.get("host")
        if not host:
            continue
        for path in (rule.get("http") or {}).get("paths") or ():
            scheme = "https" if host in secure else "http"
            yield f"{scheme}://{host}{str(path.get('path') or '').rstrip('*')}"


def set_app_conditions(
    status: Mapping[str, Any],
    found: Iterable[tuple[str, str]],
    now: datetime,
    *,
    judged: Iterable[str],
) -> dict[str, Any]:
    """Replace the conditions of the `judged` types by `found` (type, message); a condition whose
    text stays keeps its time."""
    kinds = set(judged)
    before = status.get("conditions") or []
    out = [dict(c) for c in before if c.get("type") not in kinds]
    for kind, message in dict.fromkeys(found):
        same = next(
            (c for c in before if c.get("type") == kind and c.get("message") == message), None
        )
        when = (same or {}).get("lastTransitionTime") or rfc3339(now)
        out.append({"type": kind, "message": message, "lastTransitionTime": when})
    result = dict(status)
    if out:
        result["conditions"] = out
    else:
        result.pop("conditions", None)
    return result


def touch(
    before: Mapping[str, Any], after: Mapping[str, Any], now: datetime, *, asked: bool
) -> dict[str, Any]:
    """`reconciledAt` moves only with something else, or when somebody asked for a refresh."""
    if dict(before) == dict(after) and not asked:
        return dict(after)
    return {**after, "reconciledAt": rfc3339(now)}
