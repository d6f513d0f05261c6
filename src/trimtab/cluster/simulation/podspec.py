"""Facts of a Pod: active, ready, available, terminating. Pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.clock import parse_time
from trimtab.cluster.simulation.conditions import condition

__all__ = [
    "available_in",
    "deletion_rank",
    "is_active",
    "is_finished",
    "is_ready",
    "is_terminating",
    "phase",
    "pod_from_template",
    "ready_since",
    "restarts",
]


def phase(pod: Object) -> str:
    """`status.phase`; Pending when it is not set."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_terminating(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_finished(pod: Object) -> bool:
    return phase(pod) in {"Succeeded", "Failed"}


def is_active(pod: Object) -> bool:
    """Counts as a replica: neither finished nor on its way out."""
    return not is_finished(pod) and not is_terminating(pod)


def is_ready(pod: Object) -> bool:
    ready = condition((pod.get("status") or {}).get("conditions"), "Ready")
    return ready is not None and ready.get("status") == "True"


def ready_since(pod: Object) -> datetime | None:
    ready = condition((pod.get("status") or {}).get("conditions"), "Ready")
    if ready is None or ready.get("status") != "True" or not ready.get("lastTransitionTime"):
        return None
    return parse_time(ready["lastTransitionTime"])


def available_in(pod: Object, *, min_ready_s: float, now: datetime) -> float | None:
    """Seconds until a ready Pod counts as available (0: it does), None when it is not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, min_ready_s - (now - since).total_seconds()) if min_ready_s else 0.0


def restarts(pod: Object) -> int:
    status = pod.get("status") or {}
    return max((s.get("restartCount", 0) for s in status.get("containerStatuses") or ()), default=0)


def deletion_rank(pod: Object, *, neighbours: int) -> tuple[Any, ...]:
    """Sort key of a ReplicaSet's choice: the smallest goes first.

    Unassigned, Pending, not ready, cheap to delete, crowded on its node, ready for a shorter
    time, restarted more often, younger. `neighbours` is the number of siblings on its node.
    """
    annotations = pod["metadata"].get("annotations") or {}
    try:
        cost = int(annotations.get("controller.kubernetes.io/pod-deletion-cost", "0"))
    except ValueError:
        cost = 0
    since = ready_since(pod)
    created = pod["metadata"].get("creationTimestamp") or ""
    return (
        bool(pod["spec"].get("nodeName")),
        {"Pending": 0, "Unknown": 1}.get(phase(pod), 2),
        is_ready(pod),
        cost,
        -neighbours,
        -(since.timestamp() if since else 0.0),
        -restarts(pod),
        -(parse_time(created).timestamp() if created else 0.0),
    )


def pod_from_template(
    template: Object, *, namespace: str, owner: dict[str, Any], name: str = "", prefix: str = ""
) -> Object:
    """A Pod to create from a pod template: named, or with a generateName."""
    meta = template.get("metadata") or {}
    metadata: Object = {"namespace": namespace, "ownerReferences": [owner]}
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = prefix
    for field in ("labels", "annotations", "finalizers"):
        if meta.get(field):
            metadata[field] = meta[field]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": dict(template.get("spec") or {}),
    }
