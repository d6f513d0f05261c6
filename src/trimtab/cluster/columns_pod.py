"""How a Pod's state reads in one word, as users know it from `kubectl get pods`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trimtab.cluster.ages import age

__all__ = ["pod_ready", "pod_restarts", "pod_status", "readiness_gates"]

Object = Mapping[str, Any]


def pod_ready(obj: Object, _now: datetime) -> str:
    """Ready containers of all; sidecars count as containers."""
    statuses = list(_statuses(obj, "containerStatuses")) + [
        each for each in _statuses(obj, "initContainerStatuses") if each["name"] in _sidecars(obj)
    ]
    ready = sum(bool(each.get("ready")) for each in statuses)
    return f"{ready}/{len(obj['spec']['containers']) + len(_sidecars(obj))}"


def pod_restarts(obj: Object, now: datetime) -> str:
    """How often, and when last."""
    statuses = list(_statuses(obj, "containerStatuses"))
    count = sum(int(each.get("restartCount") or 0) for each in statuses)
    ended = [
        str(at)
        for each in statuses
        if (at := ((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt"))
    ]
    return f"{count} ({age(max(ended), now)} ago)" if count and ended else str(count)


def pod_status(obj: Object, _now: datetime) -> str:
    status = obj.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    if _condition(obj, "PodScheduled", "False").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    init = _init_reason(obj)
    if init:
        reason = init
    if not init or _condition(obj, "Initialized", "True"):
        reason = _running_reason(obj, reason)
    if obj["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Failed", "Succeeded"):
            return "Terminating"
    return reason


def readiness_gates(obj: Object, _now: datetime) -> str:
    gates = obj["spec"].get("readinessGates") or ()
    if not gates:
        return "<none>"
    passed = sum(bool(_condition(obj, gate["conditionType"], "True")) for gate in gates)
    return f"{passed}/{len(gates)}"


def _init_reason(obj: Object) -> str:
    """Which init container holds the Pod up; empty when none does."""
    statuses = list(_statuses(obj, "initContainerStatuses"))
    total = len(obj["spec"].get("initContainers") or ())
    for index, each in enumerate(statuses):
        state = each.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended and not ended.get("exitCode"):
            continue
        if each["name"] in _sidecars(obj) and each.get("started"):
            continue
        if ended:
            return f"Init:{ended.get('reason') or _exit(ended)}"
        if waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{total}"
    return ""


def _running_reason(obj: Object, reason: str) -> str:
    running = False
    for each in reversed(list(_statuses(obj, "containerStatuses"))):
        state = each.get("state") or {}
        ended = state.get("terminated")
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting:
            reason = str(waiting)
        elif ended:
            reason = str(ended.get("reason") or _exit(ended))
        elif each.get("ready") and state.get("running"):
            running = True
    if reason == "Completed" and running:
        return "Running" if _condition(obj, "Ready", "True") else "NotReady"
    return reason


def _exit(ended: Object) -> str:
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _statuses(obj: Object, field: str) -> Iterable[Object]:
    return (obj.get("status") or {}).get(field) or ()


def _sidecars(obj: Object) -> set[str]:
    init = obj["spec"].get("initContainers") or ()
    return {each["name"] for each in init if each.get("restartPolicy") == "Always"}


def _condition(obj: Object, kind: str, value: str) -> Object:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind and c.get("status") == value), {})
