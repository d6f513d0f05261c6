"""Both scales of health, row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trimtab.engine import assess, has_health, kstatus, worst
from trimtab.engine.health_rules import load_rules


def obj(
    kind: str,
    status: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    *,
    api: str = "apps/v1",
    generation: int = 1,
    **meta: Any,
) -> dict[str, Any]:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": "x", "generation": generation, **meta},
        "spec": spec or {},
        "status": status or {},
    }


def cond(type_: str, status: str = "True", reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


READY = {
    "observedGeneration": 1,
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
    "conditions": [cond("Progressing", reason="NewReplicaSetAvailable"), cond("Available")],
}
TWO = {"replicas": 2, "progressDeadlineSeconds": 600}
STATEFUL = {
    "observedGeneration": 1,
    "replicas": 2,
    "readyReplicas": 2,
    "currentReplicas": 2,
    "updatedReplicas": 2,
    "currentRevision": "r1",
    "updateRevision": "r1",
}
DAEMON = {
    "observedGeneration": 1,
    "desiredNumberScheduled": 2,
    "currentNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
    "numberReady": 2,
}
DEADLINE = [cond("Progressing", "False", "ProgressDeadlineExceeded")]
CRASH = [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}]
OBSERVED = {"observedGeneration": 1}

ASSESSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("ready", obj("Deployment", READY, TWO), "Healthy", ""),
    ("paused", obj("Deployment", READY, {**TWO, "paused": True}), "Suspended", "paused"),
    ("behind", obj("Deployment", READY, TWO, generation=2), "Progressing", "observed deployment"),
    (
        "deadline",
        obj("Deployment", {**READY, "conditions": DEADLINE}, TWO),
        "Degraded",
        'Deployment "x" exceeded its progress deadline',
    ),
    (
        "updating",
        obj("Deployment", {**READY, "updatedReplicas": 1}, TWO),
        "Progressing",
        "1 out of 2",
    ),
    ("old", obj("Deployment", {**READY, "replicas": 3}, TWO), "Progressing", "1 old replicas"),
    (
        "unavailable",
        obj("Deployment", {**READY, "availableReplicas": 1}, TWO),
        "Progressing",
        "1 of 2",
    ),
    ("sts ready", obj("StatefulSet", STATEFUL, TWO), "Healthy", "complete"),
    ("sts new", obj("StatefulSet", {}, TWO), "Progressing", "observed"),
    (
        "sts pods",
        obj("StatefulSet", {**STATEFUL, "readyReplicas": 1}, TWO),
        "Progressing",
        "1 pods",
    ),
    (
        "sts on delete",
        obj(
            "StatefulSet",
            {**STATEFUL, "updateRevision": "r2"},
            {**TWO, "updateStrategy": {"type": "OnDelete"}},
        ),
        "Healthy",
        "2 ready",
    ),
    (
        "sts rolling",
        obj("StatefulSet", {**STATEFUL, "updateRevision": "r2"}, TWO),
        "Progressing",
        "r2",
    ),
    (
        "sts partition",
        obj(
            "StatefulSet",
            {**STATEFUL, "updateRevision": "r2", "updatedReplicas": 1},
            {**TWO, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
        ),
        "Healthy",
        "partitioned",
    ),
    ("ds ready", obj("DaemonSet", DAEMON), "Healthy", ""),
    ("ds behind", obj("DaemonSet", DAEMON, generation=2), "Progressing", "generation"),
    (
        "ds updating",
        obj("DaemonSet", {**DAEMON, "updatedNumberScheduled": 1}),
        "Progressing",
        "1 out",
    ),
    ("ds away", obj("DaemonSet", {**DAEMON, "numberAvailable": 1}), "Progressing", "1 of 2"),
    ("rs ready", obj("ReplicaSet", READY, TWO), "Healthy", ""),
    (
        "rs failure",
        obj("ReplicaSet", {**OBSERVED, "conditions": [cond("ReplicaFailure", message="quota")]}),
        "Degraded",
        "quota",
    ),
    ("rs short", obj("ReplicaSet", {**READY, "availableReplicas": 1}, TWO), "Progressing", "1 out"),
    (
        "pod ok",
        obj("Pod", {"phase": "Running", "conditions": [cond("Ready")]}, api="v1"),
        "Healthy",
        "",
    ),
    ("pod pending", obj("Pod", {"phase": "Pending"}, api="v1"), "Progressing", ""),
    (
        "pod crash",
        obj("Pod", {"phase": "Running", "containerStatuses": CRASH}, api="v1"),
        "Degraded",
        "back-off",
    ),
    ("pod failed", obj("Pod", {"phase": "Failed", "message": "oom"}, api="v1"), "Degraded", "oom"),
    ("pod done", obj("Pod", {"phase": "Succeeded"}, api="v1"), "Healthy", ""),
    (
        "pod of a hook",
        obj("Pod", {"phase": "Running"}, {"restartPolicy": "Never"}, api="v1"),
        "Progressing",
        "",
    ),
    ("job ok", obj("Job", {"conditions": [cond("Complete")]}, api="batch/v1"), "Healthy", ""),
    (
        "job bad",
        obj("Job", {"conditions": [cond("Failed", message="limit")]}, api="batch/v1"),
        "Degraded",
        "limit",
    ),
    ("job off", obj("Job", {}, {"suspend": True}, api="batch/v1"), "Suspended", ""),
    ("job runs", obj("Job", {"active": 1}, api="batch/v1"), "Progressing", ""),
    ("cron off", obj("CronJob", {}, {"suspend": True}, api="batch/v1"), "Suspended", ""),
    ("cron", obj("CronJob", api="batch/v1"), "Healthy", ""),
    ("pvc", obj("PersistentVolumeClaim", {"phase": "Bound"}, api="v1"), "Healthy", ""),
    ("pvc lost", obj("PersistentVolumeClaim", {"phase": "Lost"}, api="v1"), "Degraded", ""),
    ("pvc new", obj("PersistentVolumeClaim", {"phase": "Pending"}, api="v1"), "Progressing", ""),
    ("lb", obj("Service", {}, {"type": "LoadBalancer"}, api="v1"), "Progressing", ""),
    (
        "lb up",
        obj(
            "Service",
            {"loadBalancer": {"ingress": [{"ip": "1"}]}},
            {"type": "LoadBalancer"},
            api="v1",
        ),
        "Healthy",
        "",
    ),
    ("service", obj("Service", api="v1"), "Healthy", ""),
    ("ingress", obj("Ingress", api="networking.k8s.io/v1"), "Progressing", ""),
    (
        "hpa ok",
        obj(
            "HorizontalPodAutoscaler",
            {"conditions": [cond("AbleToScale"), cond("ScalingActive")]},
            api="autoscaling/v2",
        ),
        "Healthy",
        "",
    ),
    (
        "hpa bad",
        obj(
            "HorizontalPodAutoscaler",
            {"conditions": [cond("AbleToScale", "False", "FailedUpdateScale", "no")]},
            api="autoscaling/v2",
        ),
        "Degraded",
        "no",
    ),
    (
        "api service",
        obj(
            "APIService",
            {"conditions": [cond("Available", reason="Passed", message="ok")]},
            api="apiregistration.k8s.io/v1",
        ),
        "Healthy",
        "Passed: ok",
    ),
    (
        "crd",
        obj(
            "CustomResourceDefinition",
            {"conditions": [cond("NamesAccepted"), cond("Established")]},
            api="apiextensions.k8s.io/v1",
        ),
        "Healthy",
        "",
    ),
    (
        "crd names",
        obj(
            "CustomResourceDefinition",
            {"conditions": [cond("NamesAccepted", "False", message="taken")]},
            api="apiextensions.k8s.io/v1",
        ),
        "Degraded",
        "taken",
    ),
    (
        "going",
        obj("Deployment", READY, TWO, deletionTimestamp="x"),
        "Progressing",
        "Pending deletion",
    ),
    ("anything else", obj("ConfigMap", api="v1"), "Healthy", ""),
    (
        "flux ready",
        obj("Kustomization", {"conditions": [cond("Ready")]}, api="kustomize.toolkit.fluxcd.io/v1"),
        "Healthy",
        "",
    ),
    (
        "flux failed",
        obj(
            "HelmRelease",
            {"conditions": [cond("Ready", "False", message="bad")]},
            api="helm.toolkit.fluxcd.io/v2",
        ),
        "Degraded",
        "bad",
    ),
    (
        "flux behind",
        obj(
            "Kustomization",
            {"observedGeneration": 1, "conditions": [cond("Ready")]},
            api="kustomize.toolkit.fluxcd.io/v1",
            generation=2,
        ),
        "Progressing",
        "observed",
    ),
    (
        "application",
        obj("Application", {"health": {"status": "Degraded"}}, api="argoproj.io/v1alpha1"),
        "Degraded",
        "",
    ),
    (
        "certificate",
        obj(
            "Certificate",
            {"conditions": [cond("Ready", "False"), cond("Issuing")]},
            api="cert-manager.io/v1",
        ),
        "Progressing",
        "",
    ),
]


@pytest.mark.parametrize(
    ("live", "status", "part"), [row[1:] for row in ASSESSED], ids=[row[0] for row in ASSESSED]
)
def test_assess(live: dict[str, Any], status: str, part: str) -> None:
    found = assess(live)
    assert found.status == status
    assert part in found.message


def test_what_is_not_there_is_missing_and_the_worst_counts() -> None:
    assert assess(None).status == "Missing"
    assert worst(["Healthy", "Degraded", "Progressing"]) == "Degraded"
    assert worst([]) == "Healthy"
    assert not has_health(obj("ConfigMap", api="v1"))


def test_every_rule_names_kinds_and_can_say_healthy() -> None:
    rules = load_rules()
    assert len(rules) > 30
    for kind, rule in rules.items():
        assert "/" in kind
        outcomes = {check.health for check in rule.checks} | {rule.otherwise}
        assert "Healthy" in outcomes, kind


PROGRESS: list[tuple[str, dict[str, Any], str]] = [
    ("going", obj("Deployment", READY, TWO, deletionTimestamp="x"), "Terminating"),
    ("behind", obj("ConfigMap", OBSERVED, api="v1", generation=2), "InProgress"),
    (
        "reconciling",
        obj("Thing", {"conditions": [cond("Reconciling")]}, api="e.io/v1"),
        "InProgress",
    ),
    ("stalled", obj("Thing", {"conditions": [cond("Stalled")]}, api="e.io/v1"), "Failed"),
    ("ready", obj("Thing", {"conditions": [cond("Ready")]}, api="e.io/v1"), "Current"),
    (
        "not ready",
        obj("Thing", {"conditions": [cond("Ready", "False")]}, api="e.io/v1"),
        "InProgress",
    ),
    (
        "unknown",
        obj("Thing", {"conditions": [cond("Ready", "Unknown")]}, api="e.io/v1"),
        "InProgress",
    ),
    ("no signal", obj("Thing", api="e.io/v1"), "Current"),
    ("deployment", obj("Deployment", READY, TWO), "Current"),
    ("deadline", obj("Deployment", {**READY, "conditions": DEADLINE}, TWO), "Failed"),
    ("few", obj("Deployment", {**READY, "replicas": 1}, TWO), "InProgress"),
    ("updated", obj("Deployment", {**READY, "updatedReplicas": 1}, TWO), "InProgress"),
    ("many", obj("Deployment", {**READY, "replicas": 3}, TWO), "InProgress"),
    ("available", obj("Deployment", {**READY, "availableReplicas": 1}, TWO), "InProgress"),
    ("pods", obj("Deployment", {**READY, "readyReplicas": 1}, TWO), "InProgress"),
    (
        "no new set",
        obj("Deployment", {**READY, "conditions": [cond("Progressing"), cond("Available")]}, TWO),
        "InProgress",
    ),
    (
        "no deadline",
        obj("Deployment", {**READY, "conditions": [cond("Available")]}, {"replicas": 2}),
        "Current",
    ),
    (
        "not available",
        obj("Deployment", {**READY, "conditions": READY["conditions"][:1]}, TWO),
        "InProgress",
    ),
    ("sts", obj("StatefulSet", STATEFUL, TWO), "Current"),
    ("sts few", obj("StatefulSet", {**STATEFUL, "replicas": 1}, TWO), "InProgress"),
    ("sts ready", obj("StatefulSet", {**STATEFUL, "readyReplicas": 1}, TWO), "InProgress"),
    ("sts many", obj("StatefulSet", {**STATEFUL, "replicas": 3}, TWO), "InProgress"),
    ("sts current", obj("StatefulSet", {**STATEFUL, "currentReplicas": 1}, TWO), "InProgress"),
    ("sts revision", obj("StatefulSet", {**STATEFUL, "updateRevision": "r2"}, TWO), "InProgress"),
    (
        "sts partition done",
        obj(
            "StatefulSet",
            {**STATEFUL, "updateRevision": "r2", "updatedReplicas": 1, "currentReplicas": 1},
            {**TWO, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
        ),
        "Current",
    ),
    (
        "sts partition going",
        obj(
            "StatefulSet",
            {**STATEFUL, "updatedReplicas": 0},
            {**TWO, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
        ),
        "InProgress",
    ),
    (
        "sts on delete",
        obj("StatefulSet", {}, {**TWO, "updateStrategy": {"type": "OnDelete"}}),
        "Current",
    ),
    ("ds", obj("DaemonSet", DAEMON), "Current"),
    ("ds unobserved", obj("DaemonSet", {}), "InProgress"),
    ("ds no count", obj("DaemonSet", OBSERVED), "InProgress"),
    *[
        (f"ds {field}", obj("DaemonSet", {**DAEMON, field: 1}), "InProgress")
        for field in (
            "currentNumberScheduled",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberReady",
        )
    ],
    ("rs", obj("ReplicaSet", {**READY, "fullyLabeledReplicas": 2}, TWO), "Current"),
    ("rs labels", obj("ReplicaSet", {**READY, "fullyLabeledReplicas": 1}, TWO), "InProgress"),
    ("rs failure", obj("ReplicaSet", {"conditions": [cond("ReplicaFailure")]}), "InProgress"),
    ("pod none", obj("Pod", {}, api="v1"), "InProgress"),
    ("pod pending", obj("Pod", {"phase": "Pending"}, api="v1"), "InProgress"),
    ("pod running", obj("Pod", {"phase": "Running"}, api="v1"), "InProgress"),
    ("pod crash", obj("Pod", {"phase": "Running", "containerStatuses": CRASH}, api="v1"), "Failed"),
    (
        "pod ready",
        obj("Pod", {"phase": "Running", "conditions": [cond("Ready")]}, api="v1"),
        "Current",
    ),
    ("pod failed", obj("Pod", {"phase": "Failed"}, api="v1"), "Current"),
    ("pod done", obj("Pod", {"phase": "Succeeded"}, api="v1"), "Current"),
    ("job", obj("Job", {"conditions": [cond("Complete")]}, api="batch/v1"), "Current"),
    ("job failed", obj("Job", {"conditions": [cond("Failed")]}, api="batch/v1"), "Failed"),
    ("job running", obj("Job", {}, api="batch/v1"), "InProgress"),
    ("job off", obj("Job", {}, {"suspend": True}, api="batch/v1"), "Current"),
    ("cron", obj("CronJob", api="batch/v1"), "Current"),
    ("pvc", obj("PersistentVolumeClaim", {"phase": "Bound"}, api="v1"), "Current"),
    ("pvc open", obj("PersistentVolumeClaim", {"phase": "Pending"}, api="v1"), "InProgress"),
    ("lb", obj("Service", {}, {"type": "LoadBalancer"}, api="v1"), "InProgress"),
    ("lb ip", obj("Service", {}, {"type": "LoadBalancer", "clusterIP": "1"}, api="v1"), "Current"),
    *[
        (
            f"crd {name}",
            obj("CustomResourceDefinition", {"conditions": c}, api="apiextensions.k8s.io/v1"),
            s,
        )
        for name, c, s in (
            ("new", [], "InProgress"),
            ("names", [cond("NamesAccepted", "False")], "Failed"),
            ("installing", [cond("Established", "False", "Installing")], "InProgress"),
            ("refused", [cond("Established", "False", "Bad")], "Failed"),
            ("up", [cond("Established")], "Current"),
        )
    ],
]


@pytest.mark.parametrize(
    ("live", "status"), [row[1:] for row in PROGRESS], ids=[row[0] for row in PROGRESS]
)
def test_kstatus(live: dict[str, Any], status: str) -> None:
    assert kstatus(live).status == status


def test_an_unschedulable_pod_fails_after_fifteen_seconds() -> None:
    waiting = {"phase": "Pending", "conditions": [cond("PodScheduled", "False", "Unschedulable")]}
    pod = obj("Pod", waiting, api="v1", creationTimestamp="2026-01-01T00:00:00Z")
    soon = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    late = datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC)
    assert kstatus(pod, now=soon).status == "InProgress"
    assert kstatus(pod, now=late).status == "Failed"
    assert kstatus(None).status == "NotFound"
