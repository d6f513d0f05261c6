"""The status of a Deployment: counts, Available, Progressing. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.clock import parse_time, stamp
from trimtab.cluster.simulation.conditions import condition, without
from trimtab.cluster.simulation.rollout import Fence, fence_of

__all__ = [
    "base_status",
    "deadline_left",
    "fence",
    "has_deadline",
    "is_complete",
    "paused_conditions",
    "rollout_status",
    "set_deployment_condition",
]

NO_DEADLINE = 2**31 - 1
TIMED_OUT = "ProgressDeadlineExceeded"
AVAILABLE = "NewReplicaSetAvailable"


def fence(deployment: Object) -> Fence:
    """The fence of its strategy; Recreate has none."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return Fence(0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    return fence_of(
        deployment["spec"].get("replicas", 1),
        max_surge=rolling.get("maxSurge", "25%"),
        max_unavailable=rolling.get("maxUnavailable", "25%"),
    )


def has_deadline(deployment: Object) -> bool:
    return int(deployment["spec"].get("progressDeadlineSeconds", 600)) < NO_DEADLINE


def set_deployment_condition(
    conditions: list[Any], kind: str, status: str, reason: str, message: str, *, now: str
) -> list[Any]:
    """Deployment's own rule: same status and reason change nothing; a change moves it last."""
    current = condition(conditions, kind)
    if current and current["status"] == status and current.get("reason") == reason:
        return conditions
    same = current is not None and current["status"] == status
    changed = current["lastTransitionTime"] if current is not None and same else now
    return [
        *without(conditions, kind),
        {
            "type": kind,
            "status": status,
            "lastUpdateTime": now,
            "lastTransitionTime": changed,
            "reason": reason,
            "message": message,
        },
    ]


def _counts(deployment: Object, sets: Sequence[Object], new: Object | None) -> Object:
    def total(field: str) -> int:
        return sum((rs.get("status") or {}).get(field, 0) for rs in sets)

    asked = sum(rs["spec"].get("replicas", 1) for rs in sets)
    available = total("availableReplicas")
    counts = {
        "replicas": total("replicas"),
        "updatedReplicas": ((new or {}).get("status") or {}).get("replicas", 0),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, asked - available),
    }
    status = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status.update({name: value for name, value in counts.items() if value})
    collisions = (deployment.get("status") or {}).get("collisionCount")
    if collisions is not None:
        status["collisionCount"] = collisions
    return status


def base_status(
    deployment: Object,
    sets: Sequence[Object],
    new: Object | None,
    conditions: list[Any],
    *,
    now: str,
) -> Object:
    """Counts and the Available condition, on top of `conditions`."""
    status = _counts(deployment, sets, new)
    floor = deployment["spec"].get("replicas", 1) - fence(deployment).unavailable
    if status.get("availableReplicas", 0) >= floor:
        what = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        what = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    status["conditions"] = set_deployment_condition(conditions, "Available", *what, now=now)
    return status


def is_complete(deployment: Object, status: Object) -> bool:
    """Every Pod is of the new template and available, and the spec has been seen."""
    replicas = deployment["spec"].get("replicas", 1)
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return seen and all(status.get(name, 0) == replicas for name in counts)


def _progressed(old: Object, new: Object) -> bool:
    def count(status: Object, field: str) -> int:
        return int(status.get(field, 0))

    old_rest = count(old, "replicas") - count(old, "updatedReplicas")
    new_rest = count(new, "replicas") - count(new, "updatedReplicas")
    grown = any(
        count(new, f) > count(old, f)
        for f in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or new_rest < old_rest


def deadline_left(deployment: Object, conditions: list[Any], now: datetime) -> float | None:
    """Seconds until the progress deadline, None when none runs."""
    progressing = condition(conditions, "Progressing")
    if progressing is None or progressing.get("reason") in {AVAILABLE, "DeploymentPaused"}:
        return None
    since = parse_time(progressing["lastUpdateTime"])
    limit = float(deployment["spec"].get("progressDeadlineSeconds", 600))
    return limit - (now - since).total_seconds()


def rollout_status(
    deployment: Object,
    sets: Sequence[Object],
    new: Object | None,
    conditions: list[Any],
    *,
    now: datetime,
) -> Object:
    """The status during and after a rollout, with Progressing."""
    moment = stamp(now)
    status = base_status(deployment, sets, new, conditions, now=moment)
    if not has_deadline(deployment):
        status["conditions"] = without(status["conditions"], "Progressing")
        return _with_failure(status, sets, new, now=moment)
    current = condition(conditions, "Progressing")
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and current is not None
        and current.get("reason") == AVAILABLE
    )
    if not settled:
        status["conditions"] = _progressing(deployment, status, new, current, now=now)
    return _with_failure(status, sets, new, now=moment)


def _progressing(
    deployment: Object, status: Object, new: Object | None, current: Any, *, now: datetime
) -> list[Any]:
    subject = f'Deployment "{deployment["metadata"]["name"]}"'
    if new is not None:
        subject = f'ReplicaSet "{new["metadata"]["name"]}"'
    conditions, moment = status["conditions"], stamp(now)
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        return set_deployment_condition(
            conditions, "Progressing", "True", AVAILABLE, message, now=moment
        )
    if _progressed(deployment.get("status") or {}, status):
        # Written anew even when nothing else changes: the deadline counts from lastUpdateTime.
        keeps = current is not None and current["status"] == "True"
        fresh = {
            "type": "Progressing",
            "status": "True",
            "lastUpdateTime": moment,
            "lastTransitionTime": current["lastTransitionTime"] if keeps else moment,
            "reason": "ReplicaSetUpdated",
            "message": f"{subject} is progressing.",
        }
        return [*without(conditions, "Progressing"), fresh]
    if current is not None and current.get("reason") == TIMED_OUT:
        return list(conditions)
    left = deadline_left(deployment, conditions, now)
    if left is not None and left <= 0:
        message = f"{subject} has timed out progressing."
        return set_deployment_condition(
            conditions, "Progressing", "False", TIMED_OUT, message, now=moment
        )
    return list(conditions)


def _with_failure(
    status: Object, sets: Sequence[Object], new: Object | None, *, now: str
) -> Object:
    """ReplicaFailure: the new set's, else any set's, copied; gone when no set fails."""
    first = [new] if new is not None else []
    for rs in [*first, *sets]:
        found = condition((rs.get("status") or {}).get("conditions"), "ReplicaFailure")
        if found is not None:
            status["conditions"] = set_deployment_condition(
                status["conditions"], "ReplicaFailure", found["status"],
                found.get("reason", ""), found.get("message", ""), now=now,
            )  # fmt: skip
            return status
    status["conditions"] = without(status["conditions"], "ReplicaFailure")
    return status


def paused_conditions(deployment: Object, *, now: str) -> list[Any]:
    """The conditions with Progressing told of a pause or of its end."""
    conditions = list((deployment.get("status") or {}).get("conditions") or ())
    if not has_deadline(deployment):
        return conditions
    current = condition(conditions, "Progressing")
    if current is not None and current.get("reason") == TIMED_OUT:
        return conditions
    told = current is not None and current.get("reason") == "DeploymentPaused"
    paused = bool(deployment["spec"].get("paused"))
    if paused and not told:
        what = ("DeploymentPaused", "Deployment is paused")
    elif not paused and told:
        what = ("DeploymentResumed", "Deployment is resumed")
    else:
        return conditions
    return set_deployment_condition(conditions, "Progressing", "Unknown", *what, now=now)
