"""The columns of built-in kinds, as users know them from `kubectl get`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from trimtab.cluster.ages import age, duration

__all__ = ["COLUMNS", "Column"]

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


def _at(path: str, default: Any = "<none>") -> Value:
    keys = path.split(".")

    def read(obj: dict[str, Any], _now: datetime) -> Any:
        value: Any = obj
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None or value == "" else value

    return read


def _number(path: str) -> Value:
    return _at(path, 0)


def _age(path: str = "metadata.creationTimestamp") -> Value:
    read = _at(path, None)
    return lambda obj, now: age(read(obj, now), now)


def _pairs(labels: Object | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


NAME: Final = Column("Name", lambda obj, _now: obj["metadata"]["name"])
AGE: Final = Column("Age", _age())


def _containers(path: str) -> tuple[Column, Column]:
    def specs(obj: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = _at(path, [])(obj, _NEVER)
        return found

    return (
        Column("Containers", lambda o, _: ",".join(c["name"] for c in specs(o)), priority=1),
        Column("Images", lambda o, _: ",".join(c.get("image", "") for c in specs(o)), priority=1),
    )


def _selector(path: str = "spec.selector.matchLabels") -> Column:
    return Column("Selector", lambda o, n: _pairs(_at(path, {})(o, n)), priority=1)


def _pod_ready(obj: dict[str, Any], _now: datetime) -> str:
    statuses = (obj.get("status") or {}).get("containerStatuses") or []
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(obj['spec']['containers'])}"


def _pod_restarts(obj: dict[str, Any], _now: datetime) -> str:
    statuses = (obj.get("status") or {}).get("containerStatuses") or []
    return str(sum(int(s.get("restartCount") or 0) for s in statuses))


def _pod_status(obj: dict[str, Any], _now: datetime) -> str:
    status = obj.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    for each in status.get("initContainerStatuses") or ():
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            reason = f"Init:{waiting['reason']}"
    for each in reversed(status.get("containerStatuses") or ()):
        state = each.get("state") or {}
        found = (state.get("waiting") or {}).get("reason") or (state.get("terminated") or {}).get(
            "reason"
        )
        if found:
            reason = found
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else str(reason)


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
    left, right = _at(ready, 0), _at(wanted, default)
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


def _endpoints(obj: dict[str, Any], _now: datetime) -> str:
    found = [a["ip"] for s in obj.get("subsets") or () for a in s.get("addresses") or ()]
    return (
        ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or "<none>"
    )


def _role(obj: dict[str, Any], _now: datetime) -> str:
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


_MODES: Final[Mapping[str, str]] = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_TEMPLATE: Final = "spec.template.spec.containers"
COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "Pod": (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _pod_restarts),
        AGE,
        Column("IP", _at("status.podIP"), priority=1),
        Column("Node", _at("spec.nodeName"), priority=1),
        Column("Nominated Node", _at("status.nominatedNodeName"), priority=1),
        Column("Readiness Gates", lambda o, _: "<none>", priority=1),
    ),
    "Deployment": (
        NAME,
        Column("Ready", _fraction("status.readyReplicas", "spec.replicas")),
        Column("Up-to-date", _number("status.updatedReplicas"), type="integer"),
        Column("Available", _number("status.availableReplicas"), type="integer"),
        AGE,
        *_containers(_TEMPLATE),
        _selector(),
    ),
    "ReplicaSet": (
        NAME,
        Column("Desired", _number("spec.replicas"), type="integer"),
        Column("Current", _number("status.replicas"), type="integer"),
        Column("Ready", _number("status.readyReplicas"), type="integer"),
        AGE,
        *_containers(_TEMPLATE),
        _selector(),
    ),
    "StatefulSet": (
        NAME,
        Column("Ready", _fraction("status.readyReplicas", "spec.replicas")),
        AGE,
        *_containers(_TEMPLATE),
    ),
    "DaemonSet": (
        NAME,
        Column("Desired", _number("status.desiredNumberScheduled"), type="integer"),
        Column("Current", _number("status.currentNumberScheduled"), type="integer"),
        Column("Ready", _number("status.numberReady"), type="integer"),
        Column("Up-to-date", _number("status.updatedNumberScheduled"), type="integer"),
        Column("Available", _number("status.numberAvailable"), type="integer"),
        Column(
            "Node Selector", lambda o, n: _pairs(_at("spec.template.spec.nodeSelector", {})(o, n))
        ),
        AGE,
        *_containers(_TEMPLATE),
        _selector(),
    ),
    "Service": (
        NAME,
        Column("Type", _at("spec.type")),
        Column("Cluster-IP", _at("spec.clusterIP")),
        Column("External-IP", _external),
        Column("Port(s)", _ports),
        AGE,
        _selector("spec.selector"),
    ),
    "Namespace": (NAME, Column("Status", _at("status.phase")), AGE),
    "Node": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _roles),
        AGE,
        Column("Version", _at("status.nodeInfo.kubeletVersion")),
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
        Column("Type", _at("type")),
        Column("Data", lambda o, _: len(o.get("data") or {}), type="integer"),
        AGE,
    ),
    "ServiceAccount": (NAME, AGE),
    "Ingress": (
        NAME,
        Column("Class", _at("spec.ingressClassName")),
        Column("Hosts", _hosts),
        Column("Address", lambda o, _: _balancer(o)),
        Column("Ports", lambda o, _: "80, 443" if o["spec"].get("tls") else "80"),
        AGE,
    ),
    "IngressClass": (
        NAME,
        Column("Controller", _at("spec.controller")),
        Column("Parameters", _at("spec.parameters.name")),
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
        Column("MinPods", _at("spec.minReplicas", 1)),
        Column("MaxPods", _number("spec.maxReplicas"), type="integer"),
        Column("Replicas", _number("status.currentReplicas"), type="integer"),
        AGE,
    ),
    "Job": (
        NAME,
        Column("Status", _job_status),
        Column("Completions", _fraction("status.succeeded", "spec.completions", 1)),
        Column("Duration", _job_duration),
        AGE,
        *_containers(_TEMPLATE),
        _selector(),
    ),
    "CronJob": (
        NAME,
        Column("Schedule", _at("spec.schedule")),
        Column("Timezone", _at("spec.timeZone")),
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
    ),
    "PodDisruptionBudget": (
        NAME,
        Column("Min Available", _at("spec.minAvailable", "N/A")),
        Column("Max Unavailable", _at("spec.maxUnavailable", "N/A")),
        Column("Allowed Disruptions", _number("status.disruptionsAllowed"), type="integer"),
        AGE,
    ),
    "PersistentVolumeClaim": (
        NAME,
        Column("Status", _at("status.phase")),
        Column("Volume", _at("spec.volumeName", "")),
        Column("Capacity", _at("status.capacity.storage", "")),
        Column(
            "Access Modes",
            lambda o, _: ",".join(
                _MODES.get(m, m) for m in (o.get("status") or {}).get("accessModes") or ()
            ),
        ),
        Column("StorageClass", _at("spec.storageClassName", "")),
        AGE,
    ),
    "Endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "Event": (
        Column("Last Seen", _event_seen),
        Column("Type", _at("type")),
        Column("Reason", _at("reason")),
        Column("Object", _event_object),
        Column("Message", _at("message")),
    ),
    "RoleBinding": (NAME, Column("Role", _role), AGE),
    "ClusterRoleBinding": (NAME, Column("Role", _role), AGE),
    "Role": (NAME, Column("Created At", _at("metadata.creationTimestamp"))),
    "ClusterRole": (NAME, Column("Created At", _at("metadata.creationTimestamp"))),
    "StorageClass": (
        NAME,
        Column("Provisioner", _at("provisioner")),
        Column("ReclaimPolicy", _at("reclaimPolicy")),
        Column("VolumeBindingMode", _at("volumeBindingMode")),
        AGE,
    ),
    "CustomResourceDefinition": (NAME, Column("Created At", _at("metadata.creationTimestamp"))),
    "Lease": (NAME, Column("Holder", _at("spec.holderIdentity")), AGE),
}
