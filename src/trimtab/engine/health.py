"""Is an object well? Rules by kind (spec/argocd.md 5); other kinds by data (`data/health.yaml`).

`assess` gives None-free answers: a kind without a rule is Healthy once it exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from trimtab.engine import health_workloads as workloads
from trimtab.engine.health_rules import assess_by_rule, has_rule
from trimtab.engine.model import Health, HealthStatus

__all__ = ["ORDER", "assess", "has_health", "worst"]

Json = Mapping[str, Any]
ORDER: Final[tuple[HealthStatus, ...]] = (
    "Healthy",
    "Suspended",
    "Progressing",
    "Missing",
    "Degraded",
    "Unknown",
)


def assess(obj: Json | None) -> Health:
    """The health of one live object; None is Missing."""
    if obj is None:
        return Health("Missing")
    if (obj.get("metadata") or {}).get("deletionTimestamp"):
        return Health("Progressing", "Pending deletion")
    rule = _KINDS.get(_kind(obj))
    if rule is not None:
        return rule(obj)
    return assess_by_rule(obj) or Health("Healthy")


def has_health(obj: Json) -> bool:
    """Is there a rule for its kind? Objects without one have no health of their own."""
    return _kind(obj) in _KINDS or has_rule(obj)


def worst(states: Iterable[HealthStatus]) -> HealthStatus:
    """The worst of these; Healthy when there is none."""
    return max(states, key=ORDER.index, default="Healthy")


def _kind(obj: Json) -> tuple[str, str]:
    return str(obj.get("apiVersion") or "").rpartition("/")[0], str(obj.get("kind") or "")


def _claim(obj: Json) -> Health:
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Bound":
        return Health("Healthy")
    if phase == "Lost":
        return Health("Degraded", "the volume is lost")
    return Health("Progressing") if phase in (None, "", "Pending") else Health("Unknown")


def _service(obj: Json) -> Health:
    if (obj.get("spec") or {}).get("type") != "LoadBalancer" or _has_ingress(obj):
        return Health("Healthy")
    return Health("Progressing", "waiting for an address of the load balancer")


def _ingress(obj: Json) -> Health:
    if _has_ingress(obj):
        return Health("Healthy")
    return Health("Progressing", "waiting for an address of the ingress")


def _has_ingress(obj: Json) -> bool:
    return bool(((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _autoscaler(obj: Json) -> Health:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    by_type = {c.get("type"): c for c in conditions}
    for name in ("AbleToScale", "ScalingActive"):
        found = by_type.get(name)
        if found and found.get("status") == "False":
            reason = found.get("reason")
            if reason == "ScalingDisabled":
                continue
            waiting = reason in ("FailedGetResourceMetric", "FailedGetScale") and not by_type.get(
                "ScalingLimited"
            )
            state: HealthStatus = "Progressing" if waiting else "Degraded"
            return Health(state, str(found.get("message") or ""))
    good = by_type.get("AbleToScale") or by_type.get("ScalingLimited")
    if good:
        return Health("Healthy", str(good.get("message") or ""))
    if (obj.get("status") or {}).get("currentReplicas") is not None and not conditions:
        return Health("Healthy")
    return Health("Progressing", "Waiting to Autoscale")


def _api_service(obj: Json) -> Health:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Available":
            text = f"{condition.get('reason')}: {condition.get('message')}"
            good = condition.get("status") == "True"
            return Health("Healthy" if good else "Progressing", text)
    return Health("Progressing", "Waiting to be processed")


def _definition(obj: Json) -> Health:
    by_type = {c.get("type"): c for c in (obj.get("status") or {}).get("conditions") or ()}
    names, established = by_type.get("NamesAccepted"), by_type.get("Established")
    if names and names.get("status") == "False":
        return Health("Degraded", str(names.get("message") or ""))
    if established and established.get("status") == "True":
        return Health("Healthy")
    return Health("Progressing", "waiting for the definition to be established")


_KINDS: Final[dict[tuple[str, str], Callable[[Json], Health]]] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("", "Pod"): workloads.pod,
    ("batch", "Job"): workloads.job,
    ("batch", "CronJob"): workloads.cron_job,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
