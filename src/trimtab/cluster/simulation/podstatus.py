"""The status of a Pod from its containers: phase, conditions, IPs. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.conditions import condition_is, set_condition, without
from trimtab.cluster.simulation.containers import ContainerRun, status_of

__all__ = ["phase_of", "pod_status"]

_OWN = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def phase_of(pod: Object, runs: Sequence[ContainerRun]) -> str:
    """Pending until a container has started, then Running, then Succeeded or Failed."""
    policy = pod["spec"].get("restartPolicy", "Always")
    inits = [r for r in runs if r.init and not r.sidecar]
    mains = [r for r in runs if not r.init]
    if any(r.ended and r.exit_code for r in inits):
        return "Failed"
    if not all(r.ended for r in inits):
        return "Pending"
    if mains and policy != "Always" and all(r.ended for r in mains):
        return "Failed" if any(r.exit_code for r in mains) else "Succeeded"
    begun = any(r.state in {"running", "crashed", "ended"} for r in mains)
    return "Running" if begun else "Pending"


def _initialised(runs: Sequence[ContainerRun]) -> bool:
    return all(r.started if r.sidecar else r.ended and not r.exit_code for r in runs if r.init)


def _names(runs: Sequence[ContainerRun]) -> str:
    return "[" + " ".join(r.name for r in runs) + "]"


def _condition_values(
    pod: Object, runs: Sequence[ContainerRun], phase: str
) -> dict[str, tuple[str, str, str]]:
    """Type -> (status, reason, message)."""
    inits = [r for r in runs if r.init]
    unready = [r for r in runs if not r.ready and (not r.init or r.sidecar)]
    up: tuple[str, str, str] = ("True", "", "")
    values = {"PodReadyToStartContainers": up, "Initialized": up, "PodScheduled": up}
    if phase in {"Succeeded", "Failed"}:
        values["PodReadyToStartContainers"] = ("False", "", "")
        if phase == "Succeeded":
            values["Initialized"] = ("True", "PodCompleted", "")
        gone = ("False", "PodCompleted" if phase == "Succeeded" else "PodFailed", "")
        return {**values, "Ready": gone, "ContainersReady": gone}
    if not _initialised(runs):
        waiting = [r for r in inits if not (r.ended and not r.exit_code) and not r.started]
        message = f"containers with incomplete status: {_names(waiting or inits)}"
        values["Initialized"] = ("False", "ContainersNotInitialized", message)
    if unready:
        message = f"containers with unready status: {_names(unready)}"
        down = ("False", "ContainersNotReady", message)
        return {**values, "Ready": down, "ContainersReady": down}
    return {**values, "ContainersReady": up, "Ready": _gates(pod) or up}


def _gates(pod: Object) -> tuple[str, str, str] | None:
    """The first readiness gate that is not True."""
    conditions = (pod.get("status") or {}).get("conditions")
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if not condition_is(conditions, kind):
            message = f'the status of pod readiness gate "{kind}" is not "True", but False'
            return "False", "ReadinessGatesNotReady", message
    return None


def _conditions(
    pod: Object, runs: Sequence[ContainerRun], phase: str, now: str
) -> list[dict[str, Any]]:
    conditions = list((pod.get("status") or {}).get("conditions") or ())
    generation = pod["metadata"].get("generation")
    values = _condition_values(pod, runs, phase)
    for kind in _OWN:
        status, reason, message = values[kind]
        conditions = set_condition(
            conditions, kind, status, now=now, reason=reason, message=message,
            observedGeneration=generation,
        )  # fmt: skip
    ours = [next(c for c in conditions if c["type"] == kind) for kind in _OWN]
    for kind in _OWN:
        conditions = without(conditions, kind)
    return [*conditions, *ours]


def pod_status(
    pod: Object, runs: Sequence[ContainerRun], *, pod_ip: str, host_ip: str, now: str
) -> Object:
    """The whole status of a Pod that its kubelet has taken on. `pod_ip` "" while starting."""
    old = pod.get("status") or {}
    phase = phase_of(pod, runs)
    initialising = not _initialised(runs)
    uid = pod["metadata"]["uid"]
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, runs, phase, now),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": old.get("startTime") or now,
        "qosClass": old.get("qosClass") or qos_class(pod["spec"]),
    }
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    if pod_ip:
        status["podIP"] = pod_ip
        status["podIPs"] = [{"ip": pod_ip}]
    inits = [status_of(r, uid=uid, initialising=False) for r in runs if r.init]
    if inits:
        status["initContainerStatuses"] = inits
    status["containerStatuses"] = [
        status_of(r, uid=uid, initialising=initialising) for r in runs if not r.init
    ]
    return status


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by requests and limits of cpu and memory."""
    resources = [
        c.get("resources") or {}
        for c in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    ]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    for item in resources:
        limits = item.get("limits") or {}
        requests = {**limits, **(item.get("requests") or {})}
        if any(n not in limits or requests[n] != limits[n] for n in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
