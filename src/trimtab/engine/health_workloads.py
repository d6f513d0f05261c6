"""Health of what runs Pods, branch by branch (spec/argocd.md 5). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab.engine.model import Health

__all__ = ["cron_job", "daemon_set", "deployment", "job", "pod", "replica_set", "stateful_set"]

Json = Mapping[str, Any]
_STUCK: Final = ("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName")


def _int(value: Any, default: int = 0) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _parts(obj: Json) -> tuple[Json, Json]:
    return obj.get("spec") or {}, obj.get("status") or {}


def _observed(obj: Json) -> bool:
    generation = _int((obj.get("metadata") or {}).get("generation"))
    return _int((obj.get("status") or {}).get("observedGeneration")) >= generation


def _condition(status: Json, name: str) -> Json | None:
    return next((c for c in status.get("conditions") or () if c.get("type") == name), None)


def deployment(obj: Json) -> Health:
    spec, status = _parts(obj)
    if spec.get("paused"):
        return Health("Suspended", "Deployment is paused")
    if not _observed(obj):
        return _rollout("observed deployment generation less than desired generation")
    progressing = _condition(status, "Progressing")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        name = (obj.get("metadata") or {}).get("name")
        return Health("Degraded", f'Deployment "{name}" exceeded its progress deadline')
    wanted = _int(spec.get("replicas"), 1)
    updated = _int(status.get("updatedReplicas"))
    total, available = _int(status.get("replicas")), _int(status.get("availableReplicas"))
    if updated < wanted:
        return _rollout(f"{updated} out of {wanted} new replicas have been updated...")
    if total > updated:
        return _rollout(f"{total - updated} old replicas are pending termination...")
    if available < updated:
        return _rollout(f"{available} of {updated} updated replicas are available...")
    return Health("Healthy")


def _rollout(text: str) -> Health:
    return Health("Progressing", f"Waiting for rollout to finish: {text}")


def stateful_set(obj: Json) -> Health:
    spec, status = _parts(obj)
    if not status.get("observedGeneration") or not _observed(obj):
        return Health("Progressing", "Waiting for statefulset spec update to be observed...")
    wanted = _int(spec.get("replicas"), 1)
    ready = _int(status.get("readyReplicas"))
    if ready < wanted:
        return Health("Progressing", f"Waiting for {wanted - ready} pods to be ready...")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return Health("Healthy", f"statefulset has {ready} ready pods")
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    updated = _int(status.get("updatedReplicas"))
    if partition:
        if updated < wanted - _int(partition):
            return Health(
                "Progressing",
                "Waiting for partitioned roll out to finish:"
                f" {updated} out of {wanted - _int(partition)} new pods have been updated...",
            )
        return Health(
            "Healthy", f"partitioned roll out complete: {updated} new pods have been updated..."
        )
    if status.get("updateRevision") != status.get("currentRevision"):
        revision = status.get("updateRevision")
        return Health(
            "Progressing",
            f"waiting for statefulset rolling update to complete {updated} pods"
            f" at revision {revision}...",
        )
    current, revision = _int(status.get("currentReplicas")), status.get("currentRevision")
    return Health(
        "Healthy",
        f"statefulset rolling update complete {current} pods at revision {revision}...",
    )


def daemon_set(obj: Json) -> Health:
    spec, status = _parts(obj)
    if not _observed(obj):
        return Health(
            "Progressing",
            "Waiting for rollout to finish: observed daemon set generation less than"
            " desired generation",
        )
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        updated = _int(status.get("updatedNumberScheduled"))
        return Health("Healthy", f"daemon set {updated} pods are updated")
    wanted = _int(status.get("desiredNumberScheduled"))
    updated = _int(status.get("updatedNumberScheduled"))
    available = _int(status.get("numberAvailable"))
    if updated < wanted:
        return Health(
            "Progressing",
            f"Waiting for daemon set rollout to finish: {updated} out of {wanted} new pods"
            " have been updated...",
        )
    if available < wanted:
        return Health(
            "Progressing",
            f"Waiting for daemon set rollout to finish: {available} of {wanted} updated pods"
            " are available...",
        )
    return Health("Healthy")


def replica_set(obj: Json) -> Health:
    spec, status = _parts(obj)
    if not _observed(obj):
        return _rollout("observed replica set generation less than desired generation")
    failure = _condition(status, "ReplicaFailure")
    if failure and failure.get("status") == "True":
        return Health("Degraded", str(failure.get("message") or ""))
    wanted, available = _int(spec.get("replicas"), 1), _int(status.get("availableReplicas"))
    if available < wanted:
        return _rollout(f"{available} out of {wanted} new replicas are available...")
    return Health("Healthy")


def pod(obj: Json) -> Health:
    spec, status = _parts(obj)
    phase = status.get("phase")
    restarts = spec.get("restartPolicy") or "Always"
    if restarts == "Always":
        for state in status.get("containerStatuses") or ():
            waiting = (state.get("state") or {}).get("waiting") or {}
            reason = str(waiting.get("reason") or "")
            if reason in _STUCK or reason.startswith("Err") or reason.endswith("Error"):
                return Health("Degraded", str(waiting.get("message") or reason))
    if phase == "Pending" or not phase:
        return Health("Progressing", str(status.get("message") or ""))
    if phase == "Succeeded":
        return Health("Healthy", str(status.get("message") or ""))
    if phase == "Failed":
        return Health("Degraded", _failure(status))
    if phase != "Running":
        return Health("Unknown", str(status.get("message") or ""))
    if restarts != "Always":
        return Health("Progressing", str(status.get("message") or ""))
    ready = _condition(status, "Ready")
    if ready and ready.get("status") == "True":
        return Health("Healthy", str(status.get("message") or ""))
    if any((s.get("lastState") or {}).get("terminated") for s in _containers(status)):
        return Health("Degraded", str(status.get("message") or ""))
    return Health("Progressing", str(status.get("message") or ""))


def _containers(status: Json) -> list[Json]:
    return list(status.get("containerStatuses") or ())


def _failure(status: Json) -> str:
    """Why it failed: the Pod's own message, else the first container that ended badly."""
    if status.get("message"):
        return str(status["message"])
    for state in (*(status.get("initContainerStatuses") or ()), *_containers(status)):
        ended = (state.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            text = ended.get("message") or f"failed with exit code {ended['exitCode']}"
            return f"container {state.get('name')}: {text}"
    return str(status.get("reason") or "")


def job(obj: Json) -> Health:
    spec, status = _parts(obj)
    for name, state in (("Failed", "Degraded"), ("Complete", "Healthy")):
        found = _condition(status, name)
        if found and found.get("status") == "True":
            message = str(found.get("message") or "")
            return Health("Degraded" if state == "Degraded" else "Healthy", message)
    suspended = _condition(status, "Suspended")
    if spec.get("suspend") or (suspended and suspended.get("status") == "True"):
        return Health("Suspended", "Job is suspended")
    return Health("Progressing", "waiting for the job to complete")


def cron_job(obj: Json) -> Health:
    if (obj.get("spec") or {}).get("suspend"):
        return Health("Suspended", "CronJob is suspended")
    return Health("Healthy")
