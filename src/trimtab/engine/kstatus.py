"""The status of an object on the scale of spec/flux.md 3.8: Current, InProgress, Failed,
Terminating, NotFound. Pure; every row of its table is a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from trimtab.engine.model import Progress

__all__ = ["kstatus"]

Json = Mapping[str, Any]
_MAX_INT: Final = 2**31 - 1
_UNSCHEDULABLE_S: Final = 15.0


def kstatus(obj: Json | None, *, now: datetime | None = None) -> Progress:
    """`now` (aware) is for the one rule that knows time: an unschedulable Pod."""
    if obj is None:
        return Progress("NotFound", "Resource not found")
    meta, status = obj.get("metadata") or {}, obj.get("status") or {}
    if meta.get("deletionTimestamp"):
        return Progress("Terminating", "Resource scheduled for deletion")
    observed, generation = status.get("observedGeneration"), meta.get("generation")
    if isinstance(observed, int) and isinstance(generation, int) and observed != generation:
        return _going(f"generation is {generation}, but latest observed generation is {observed}")
    conditions = _conditions(status)
    for name, state in (("Reconciling", "InProgress"), ("Stalled", "Failed")):
        found = conditions.get(name)
        if found and found.get("status") == "True":
            text = str(found.get("message") or "")
            return Progress("Failed", text) if state == "Failed" else _going(text)
    kind = (str(obj.get("apiVersion") or "").rpartition("/")[0], str(obj.get("kind") or ""))
    if kind == ("", "Pod"):
        return _pod(obj, now)
    rule = _KINDS.get(kind)
    if rule is not None:
        return rule(obj)
    ready = conditions.get("Ready")
    if ready is None or ready.get("status") == "True":
        return Progress("Current", "Resource is current")
    return _going(str(ready.get("message") or "Ready condition is not True"))


def _going(message: str) -> Progress:
    return Progress("InProgress", message)


def _current(message: str = "Resource is current") -> Progress:
    return Progress("Current", message)


def _conditions(status: Json) -> dict[str, Json]:
    return {str(c.get("type")): c for c in status.get("conditions") or ()}


def _number(status: Json, name: str, default: int = 0) -> int:
    value = status.get(name)
    return value if isinstance(value, int) else default


def _wanted(obj: Json) -> int:
    value = (obj.get("spec") or {}).get("replicas")
    return value if isinstance(value, int) else 1


def _deployment(obj: Json) -> Progress:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    conditions = _conditions(status)
    progressing, available_is = conditions.get("Progressing"), conditions.get("Available")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return Progress("Failed", "Progress deadline exceeded")
    wanted, total = _wanted(obj), _number(status, "replicas")
    updated, ready = _number(status, "updatedReplicas"), _number(status, "readyReplicas")
    available = _number(status, "availableReplicas")
    if total < wanted:
        return _going(f"replicas: {total}/{wanted}")
    if updated < wanted:
        return _going(f"Updated: {updated}/{wanted}")
    if total > wanted:
        return _going(f"Pending termination: {total - wanted}")
    if available < updated:
        return _going(f"Available: {available}/{updated}")
    if ready < wanted:
        return _going(f"Ready: {ready}/{wanted}")
    deadline = spec.get("progressDeadlineSeconds")
    done = bool(
        progressing
        and progressing.get("status") == "True"
        and progressing.get("reason") == "NewReplicaSetAvailable"
    )
    if not done and isinstance(deadline, int) and deadline < _MAX_INT:
        return _going("ReplicaSet not Available")
    if not available_is or available_is.get("status") != "True":
        return _going("Deployment not Available")
    return _current(f"Deployment is available. Replicas: {total}")


def _stateful_set(obj: Json) -> Progress:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return _current("StatefulSet is using the ondelete update strategy")
    wanted, total = _wanted(obj), _number(status, "replicas")
    ready, current = _number(status, "readyReplicas"), _number(status, "currentReplicas")
    updated = _number(status, "updatedReplicas")
    if total < wanted:
        return _going(f"Replicas: {total}/{wanted}")
    if ready < wanted:
        return _going(f"Ready: {ready}/{wanted}")
    if total > wanted:
        return _going(f"Pending termination: {total - wanted}")
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if isinstance(partition, int) and partition > 0:
        if updated < wanted - partition:
            return _going(f"updated: {updated}/{wanted - partition}")
        return _current(f"Partition rollout complete. updated: {updated}")
    if current < wanted:
        return _going(f"current: {current}/{wanted}")
    if status.get("currentRevision") != status.get("updateRevision"):
        return _going("Waiting for updated revision to match current")
    return _current(f"All replicas scheduled as expected. Replicas: {total}")


def _daemon_set(obj: Json) -> Progress:
    meta, status = obj.get("metadata") or {}, obj.get("status") or {}
    if "generation" not in meta or "observedGeneration" not in status:
        return _going("generation or observedGeneration is missing")
    if "desiredNumberScheduled" not in status:
        return _going("Missing .status.desiredNumberScheduled")
    wanted = _number(status, "desiredNumberScheduled")
    for field, name in (
        ("currentNumberScheduled", "Current"),
        ("updatedNumberScheduled", "Updated"),
        ("numberAvailable", "Available"),
        ("numberReady", "Ready"),
    ):
        if _number(status, field) < wanted:
            return _going(f"{name}: {_number(status, field)}/{wanted}")
    return _current(f"All replicas scheduled as expected. Replicas: {wanted}")


def _replica_set(obj: Json) -> Progress:
    status = obj.get("status") or {}
    failure = _conditions(status).get("ReplicaFailure")
    if failure and failure.get("status") == "True":
        return _going(f"Replica Failure condition. Reason: {failure.get('reason')}")
    wanted = _wanted(obj)
    for field, name in (
        ("fullyLabeledReplicas", "Labelled"),
        ("availableReplicas", "Available"),
        ("readyReplicas", "Ready"),
    ):
        if _number(status, field) < wanted:
            return _going(f"{name}: {_number(status, field)}/{wanted}")
    if _number(status, "replicas") > wanted:
        return _going(f"Pending termination: {_number(status, 'replicas') - wanted}")
    return _current(f"ReplicaSet is available. Replicas: {wanted}")


def _pod(obj: Json, now: datetime | None) -> Progress:
    status = obj.get("status") or {}
    phase = status.get("phase") or ""
    conditions = _conditions(status)
    if phase in ("Succeeded", "Failed"):
        return _current("Pod has completed" if phase == "Succeeded" else "Pod has failed")
    if phase == "Running":
        ready = conditions.get("Ready")
        if ready and ready.get("status") == "True":
            return _current("Pod is Ready")
        crashing = [
            str(c.get("name"))
            for c in status.get("containerStatuses") or ()
            if ((c.get("state") or {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff"
        ]
        if crashing:
            return Progress("Failed", f"Containers in CrashLoop state: {','.join(crashing)}")
        return _going("Pod is running but is not Ready")
    scheduled = conditions.get("PodScheduled")
    if scheduled and scheduled.get("reason") == "Unschedulable":
        since = _time((obj.get("metadata") or {}).get("creationTimestamp"))
        if now and since and (now - since).total_seconds() > _UNSCHEDULABLE_S:
            return Progress("Failed", "Pod could not be scheduled")
    return _going("Pod is in the Pending phase" if phase else "Pod phase not available")


def _time(text: object) -> datetime | None:
    if not isinstance(text, str) or not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _job(obj: Json) -> Progress:
    conditions = _conditions(obj.get("status") or {})
    for name in ("Failed", "Complete"):
        found = conditions.get(name)
        if found and found.get("status") == "True":
            text = str(found.get("message") or "")
            return (
                Progress("Failed", f"Job Failed. {text}".strip())
                if name == "Failed"
                else (_current("Job Completed"))
            )
    if (obj.get("spec") or {}).get("suspend"):
        return _current("Job is suspended")
    return _going("Job in progress")


def _claim(obj: Json) -> Progress:
    phase = (obj.get("status") or {}).get("phase")
    return _current("PVC is Bound") if phase == "Bound" else _going("PVC is not Bound")


def _service(obj: Json) -> Progress:
    spec = obj.get("spec") or {}
    if spec.get("type") == "LoadBalancer" and not spec.get("clusterIP"):
        return _going("ClusterIP not set. Service type: LoadBalancer")
    return _current("Service is ready")


def _definition(obj: Json) -> Progress:
    conditions = _conditions(obj.get("status") or {})
    names, established = conditions.get("NamesAccepted"), conditions.get("Established")
    if names and names.get("status") == "False":
        return Progress("Failed", str(names.get("message") or ""))
    if established and established.get("status") == "True":
        return _current("CRD is established")
    refused = established and established.get("status") == "False"
    if established and refused and established.get("reason") != "Installing":
        return Progress("Failed", str(established.get("message") or ""))
    return _going("Install in progress")


def _always(_obj: Json) -> Progress:
    return _current()


_KINDS: Final[dict[tuple[str, str], Callable[[Json], Progress]]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _always,
    ("", "ConfigMap"): _always,
    ("", "Secret"): _always,
    ("policy", "PodDisruptionBudget"): _always,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
