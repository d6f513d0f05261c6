"""The columns of built-in kinds, as users know them from `kubectl get`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from trimtab.cluster.ages import age, duration
from trimtab.cluster.columns_pod import pod_ready, pod_restarts, pod_status, readiness_gates

__all__ = [
    "AGE",
    "COLUMNS",
    "NAME",
    "Column",
    "Object",
    "Value",
    "at",
    "containers",
    "number",
    "pairs",
    "selector",
]

Object = Mapping[str, Any]
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
Value = Callable[[dict[str, Any], datetime], Any]


class Column(msgspec.Struct, frozen=True):
    """`priority` 1 is shown with `-o wide` only."""

    name: str
    value: Value
    type: str = "string"
    priority: int = 0
    description: str = ""


def at(path: str, default: Any = "<none>") -> Value:
    keys = path.split(".")

    def read(obj: dict[str, Any], _now: datetime) -> Any:
        value: Any = obj
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None or value == "" else value

    return read


def number(path: str) -> Value:
    return at(path, 0)


def _age(path: str = "metadata.creationTimestamp") -> Value:
    read = at(path, None)
    return lambda obj, now: age(read(obj, now), now)


def pairs(labels: Object | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


NAME: Final = Column("Name", lambda obj, _now: obj["metadata"]["name"])
AGE: Final = Column("Age", _age())


def containers(path: str) -> tuple[Column, Column]:
    def specs(obj: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = at(path, [])(obj, _NEVER)
        return found

    return (
        Column("Containers", lambda o, _: ",".join(c["name"] for c in specs(o)), priority=1),
        Column("Images", lambda o, _: ",".join(c.get("image", "") for c in specs(o)), priority=1),
    )


def selector(path: str = "spec.selector.matchLabels") -> Column:
    return Column("Selector", lambda o, n: pairs(at(path, {})(o, n)), priority=1)


def _ports(obj: dict[str, Any], _now: datetime) -> str:
    parts = []
    for port in obj["spec"].get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or "<none>"


def _external(obj: dict[str, Any], _now: datetime) -> str:
    spec = obj["spec"]
    if spec.get("type") == "LoadBalancer":
        found = _balancer(obj)
        return found or "<pending>"
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    return ",".join(spec.get("externalIPs") or ()) or "<none>"


def _balancer(obj: dict[str, Any]) -> str:
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(str(each.get("ip") or each.get("hostname")) for each in ingress)


def _fraction(ready: str, wanted: str, default: int = 0) -> Value:
    left, right = at(ready, 0), at(wanted, default)
    return lambda obj, now: f"{left(obj, now)}/{right(obj, now)}"


def _node_status(obj: dict[str, Any], _now: datetime) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    ready: Object = next((c for c in conditions if c["type"] == "Ready"), {})
    text = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if obj.get("spec", {}).get("unschedulable") else text


def _roles(obj: dict[str, Any], _now: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return (
        ",".join(sorted(k.removeprefix(prefix) for k in labels if k.startswith(prefix))) or "<none>"
    )


def _address(kind: str) -> Value:
    def read(obj: dict[str, Any], _now: datetime) -> str:
        addresses = (obj.get("status") or {}).get("addresses") or ()
        return next((str(a["address"]) for a in addresses if a.get("type") == kind), "<none>")

    return read


def _hosts(obj: dict[str, Any], _now: datetime) -> str:
    return ",".join(r.get("host", "*") for r in obj["spec"].get("rules") or ()) or "*"


def _targets(obj: dict[str, Any], _now: datetime) -> str:
    parts = []
    current = {
        (m.get("resource") or {}).get("name"): (m.get("resource") or {}).get("current", {})
        for m in (obj.get("status") or {}).get("currentMetrics") or ()
    }
    for metric in obj["spec"].get("metrics") or ():
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        if "averageUtilization" in target:
            now = (current.get(resource.get("name")) or {}).get("averageUtilization")
            shown = "<unknown>" if now is None else f"{now}%"
            parts.append(f"{resource.get('name')}: {shown}/{target['averageUtilization']}%")
    return ", ".join(parts) or "<none>"


def _job_status(obj: dict[str, Any], _now: datetime) -> str:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition["type"] in (
            "Complete",
            "Failed",
            "Suspended",
        ):
            return str(condition["type"])
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else "Running"


def _job_duration(obj: dict[str, Any], now: datetime) -> str:
    status = obj.get("status") or {}
    if not status.get("startTime"):
        return ""
    end = datetime.fromisoformat(status["completionTime"]) if status.get("completionTime") else now
    return duration(
        max(0, int((end - datetime.fromisoformat(status["startTime"])).total_seconds()))
    )


def _event_object(obj: dict[str, Any], _now: datetime) -> str:
    found = obj.get("involvedObject") or {}
    return f"{str(found.get('kind', '')).lower()}/{found.get('name', '')}"


def _event_seen(obj: dict[str, Any], now: datetime) -> str:
    return age(
        obj.get("lastTimestamp")
        or obj.get("eventTime")
        or obj["metadata"].get("creationTimestamp"),
        now,
    )


def _event_first(obj: dict[str, Any], now: datetime) -> str:
    return age(obj.get("firstTimestamp") or obj.get("eventTime"), now)


def _event_source(obj: dict[str, Any], _now: datetime) -> str:
    source = obj.get("source") or {}
    parts = (source.get("component") or obj.get("reportingComponent"), source.get("host"))
    return ", ".join(str(each) for each in parts if each)


def _endpoints(obj: dict[str, Any], _now: datetime) -> str:
    found = [a["ip"] for s in obj.get("subsets") or () for a in s.get("addresses") or ()]
    return (
        ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or "<none>"
    )


_TEMPLATE: Final = "spec.template.spec.containers"
COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "Pod": (
        NAME,
        Column("Ready", pod_ready),
        Column("Status", pod_status),
        Column("Restarts", pod_restarts),
        AGE,
        Column("IP", at("status.podIP"), priority=1),
        Column("Node", at("spec.nodeName"), priority=1),
        Column("Nominated Node", at("status.nominatedNodeName"), priority=1),
        Column("Readiness Gates", readiness_gates, priority=1),
    ),
    "Deployment": (
        NAME,
        Column("Ready", _fraction("status.readyReplicas", "spec.replicas")),
        Column("Up-to-date", number("status.updatedReplicas"), type="integer"),
        Column("Available", number("status.availableReplicas"), type="integer"),
        AGE,
        *containers(_TEMPLATE),
        selector(),
    ),
    "ReplicaSet": (
        NAME,
        Column("Desired", number("spec.replicas"), type="integer"),
        Column("Current", number("status.replicas"), type="integer"),
        Column("Ready", number("status.readyReplicas"), type="integer"),
        AGE,
        *containers(_TEMPLATE),
        selector(),
    ),
    "StatefulSet": (
        NAME,
        Column("Ready", _fraction("status.readyReplicas", "spec.replicas")),
        AGE,
        *containers(_TEMPLATE),
    ),
    "DaemonSet": (
        NAME,
        Column("Desired", number("status.desiredNumberScheduled"), type="integer"),
        Column("Current", number("status.currentNumberScheduled"), type="integer"),
        Column("Ready", number("status.numberReady"), type="integer"),
        Column("Up-to-date", number("status.updatedNumberScheduled"), type="integer"),
        Column("Available", number("status.numberAvailable"), type="integer"),
        Column(
            "Node Selector", lambda o, n: pairs(at("spec.template.spec.nodeSelector", {})(o, n))
        ),
        AGE,
        *containers(_TEMPLATE),
        selector(),
    ),
    "Service": (
        NAME,
        Column("Type", at("spec.type")),
        Column("Cluster-IP", at("spec.clusterIP")),
        Column("External-IP", _external),
        Column("Port(s)", _ports),
        AGE,
        selector("spec.selector"),
    ),
    "Namespace": (NAME, Column("Status", at("status.phase")), AGE),
    "Node": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _roles),
        AGE,
        Column("Version", at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _address("InternalIP"), priority=1),
        Column("External-IP", _address("ExternalIP"), priority=1),
        Column("OS-Image", at("status.nodeInfo.osImage", "<unknown>"), priority=1),
        Column("Kernel-Version", at("status.nodeInfo.kernelVersion", "<unknown>"), priority=1),
        Column(
            "Container-Runtime",
            at("status.nodeInfo.containerRuntimeVersion", "<unknown>"),
            priority=1,
        ),
    ),
    "ConfigMap": (
        NAME,
        Column(
            "Data",
            lambda o, _: len(o.get("data") or {}) + len(o.get("binaryData") or {}),
            type="integer",
        ),
        AGE,
    ),
    "Secret": (
        NAME,
        Column("Type", at("type")),
        Column("Data", lambda o, _: len(o.get("data") or {}), type="integer"),
        AGE,
    ),
    "ServiceAccount": (
        NAME,
        Column("Secrets", lambda o, _: len(o.get("secrets") or ()), type="integer"),
        AGE,
    ),
    "Ingress": (
        NAME,
        Column("Class", at("spec.ingressClassName")),
        Column("Hosts", _hosts),
        Column("Address", lambda o, _: _balancer(o)),
        Column("Ports", lambda o, _: "80, 443" if o["spec"].get("tls") else "80"),
        AGE,
    ),
    "IngressClass": (
        NAME,
        Column("Controller", at("spec.controller")),
        Column("Parameters", at("spec.parameters.name")),
        AGE,
    ),
    "HorizontalPodAutoscaler": (
        NAME,
        Column(
            "Reference",
            lambda o, _: (
                f"{o['spec']['scaleTargetRef']['kind']}/{o['spec']['scaleTargetRef']['name']}"
            ),
        ),
        Column("Targets", _targets),
        Column("MinPods", at("spec.minReplicas", 1)),
        Column("MaxPods", number("spec.maxReplicas"), type="integer"),
        Column("Replicas", number("status.currentReplicas"), type="integer"),
        AGE,
    ),
    "Job": (
        NAME,
        Column("Status", _job_status),
        Column("Completions", _fraction("status.succeeded", "spec.completions", 1)),
        Column("Duration", _job_duration),
        AGE,
        *containers(_TEMPLATE),
        selector(),
    ),
    "CronJob": (
        NAME,
        Column("Schedule", at("spec.schedule")),
        Column("Timezone", at("spec.timeZone")),
        Column("Suspend", lambda o, _: str(bool(o["spec"].get("suspend")))),
        Column(
            "Active", lambda o, _: len((o.get("status") or {}).get("active") or ()), type="integer"
        ),
        Column(
            "Last Schedule",
            lambda o, n: (
                age(s, n) if (s := (o.get("status") or {}).get("lastScheduleTime")) else "<none>"
            ),
        ),
        AGE,
        *containers("spec.jobTemplate.spec.template.spec.containers"),
    ),
    "PodDisruptionBudget": (
        NAME,
        Column("Min Available", at("spec.minAvailable", "N/A")),
        Column("Max Unavailable", at("spec.maxUnavailable", "N/A")),
        Column("Allowed Disruptions", number("status.disruptionsAllowed"), type="integer"),
        AGE,
    ),
    "Endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "Event": (
        Column("Last Seen", _event_seen),
        Column("Type", at("type")),
        Column("Reason", at("reason")),
        Column("Object", _event_object),
        Column("Subobject", at("involvedObject.fieldPath", ""), priority=1),
        Column("Source", _event_source, priority=1),
        Column("Message", at("message")),
        Column("First Seen", _event_first, priority=1),
        Column("Count", at("count", 1), type="integer", priority=1),
        Column("Name", at("metadata.name"), priority=1),
    ),
    "Role": (NAME, Column("Created At", at("metadata.creationTimestamp"))),
    "ClusterRole": (NAME, Column("Created At", at("metadata.creationTimestamp"))),
    "CustomResourceDefinition": (NAME, Column("Created At", at("metadata.creationTimestamp"))),
    "Lease": (NAME, Column("Holder", at("spec.holderIdentity")), AGE),
}
