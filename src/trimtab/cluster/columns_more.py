"""The columns of built-in kinds that are looked at less often, and of those of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from trimtab.cluster.columns import AGE, NAME, Column, Value, at, containers, number, pairs
from trimtab.objects import from_label_selector

__all__ = ["MORE_COLUMNS"]

Json = dict[str, Any]
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MODES: Final[Mapping[str, str]] = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def _modes(path: str) -> Value:
    read = at(path, ())
    return lambda obj, now: ",".join(_MODES.get(mode, mode) for mode in read(obj, now))


def _flag(path: str, default: bool = False) -> Value:
    read = at(path, default)
    return lambda obj, now: "true" if read(obj, now) else "false"


def _class_name(obj: Json, _now: datetime) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    default = annotations.get(_DEFAULT_CLASS) == "true"
    return f"{obj['metadata']['name']} (default)" if default else str(obj["metadata"]["name"])


def _claim(obj: Json, _now: datetime) -> str:
    reference = obj["spec"].get("claimRef") or {}
    return f"{reference.get('namespace', '')}/{reference['name']}" if reference else ""


def _role(obj: Json, _now: datetime) -> str:
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def _subjects(kind: str) -> Value:
    def read(obj: Json, _now: datetime) -> str:
        found = [each for each in obj.get("subjects") or () if each.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{each.get('namespace', '')}/{each['name']}" for each in found)
        return ", ".join(str(each["name"]) for each in found)

    return read


_BINDING: Final = (
    NAME,
    Column("Role", _role),
    AGE,
    Column("Users", _subjects("User"), priority=1),
    Column("Groups", _subjects("Group"), priority=1),
    Column("ServiceAccounts", _subjects("ServiceAccount"), priority=1),
)


def _some(values: list[str]) -> str:
    more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
    return ",".join(values[:3]) + more if values else "<unset>"


def _slice_ports(obj: Json, _now: datetime) -> str:
    return _some([str(each.get("port", "*")) for each in obj.get("ports") or ()])


def _slice_endpoints(obj: Json, _now: datetime) -> str:
    return _some([a for each in obj.get("endpoints") or () for a in each.get("addresses") or ()])


def _pod_selector(obj: Json, _now: datetime) -> str:
    return str(from_label_selector(obj["spec"].get("podSelector") or {})) or "<none>"


def _amounts(kind: str) -> Value:
    def read(obj: Json, _now: datetime) -> str:
        status = obj.get("status") or {}
        used, hard = status.get("used") or {}, status.get("hard") or {}
        limits = {name for name in hard if name.startswith("limits.")}
        names = limits if kind == "limit" else set(hard) - limits
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(names))

    return read


def _count(path: str) -> Value:
    read = at(path, ())
    return lambda obj, now: len(read(obj, now))


def _controller(obj: Json, _now: datetime) -> str:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            group = str(owner["apiVersion"]).rpartition("/")[0]
            kind = str(owner["kind"]).lower()
            return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return "<none>"


def _csr_condition(obj: Json, _now: datetime) -> str:
    status = obj.get("status") or {}
    types = [str(each["type"]) for each in status.get("conditions") or ()]
    if not types:
        return "Pending"
    return ",".join(types + (["Issued"] if status.get("certificate") else []))


def _requested(obj: Json, _now: datetime) -> str:
    seconds = obj["spec"].get("expirationSeconds")
    return "<none>" if seconds is None else f"{seconds}s"


MORE_COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "StorageClass": (
        Column("Name", _class_name),
        Column("Provisioner", at("provisioner")),
        Column("ReclaimPolicy", at("reclaimPolicy", "Delete")),
        Column("VolumeBindingMode", at("volumeBindingMode", "Immediate")),
        Column("AllowVolumeExpansion", _flag("allowVolumeExpansion")),
        AGE,
    ),
    "PriorityClass": (
        NAME,
        Column("Value", number("value"), type="integer"),
        Column("Global-Default", _flag("globalDefault")),
        AGE,
        Column("PreemptionPolicy", at("preemptionPolicy", "PreemptLowerPriority")),
    ),
    "PersistentVolume": (
        NAME,
        Column("Capacity", at("spec.capacity.storage", "")),
        Column("Access Modes", _modes("spec.accessModes")),
        Column("Reclaim Policy", at("spec.persistentVolumeReclaimPolicy", "")),
        Column("Status", at("status.phase", "")),
        Column("Claim", _claim),
        Column("StorageClass", at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", at("spec.volumeAttributesClassName", "<unset>")),
        Column("Reason", at("status.reason", "")),
        AGE,
        Column("VolumeMode", at("spec.volumeMode", "<unset>"), priority=1),
    ),
    "PersistentVolumeClaim": (
        NAME,
        Column("Status", at("status.phase")),
        Column("Volume", at("spec.volumeName", "")),
        Column("Capacity", at("status.capacity.storage", "")),
        Column("Access Modes", _modes("status.accessModes")),
        Column("StorageClass", at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", at("spec.volumeAttributesClassName", "<unset>")),
        AGE,
        Column("VolumeMode", at("spec.volumeMode", "<unset>"), priority=1),
    ),
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "EndpointSlice": (
        NAME,
        Column("AddressType", at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        AGE,
    ),
    "NetworkPolicy": (NAME, Column("Pod-Selector", _pod_selector), AGE),
    "ReplicationController": (
        NAME,
        Column("Desired", number("spec.replicas"), type="integer"),
        Column("Current", number("status.replicas"), type="integer"),
        Column("Ready", number("status.readyReplicas"), type="integer"),
        AGE,
        *containers("spec.template.spec.containers"),
        Column("Selector", lambda o, n: pairs(at("spec.selector", {})(o, n)), priority=1),
    ),
    "LimitRange": (NAME, Column("Created At", at("metadata.creationTimestamp"))),
    "ResourceQuota": (
        NAME,
        Column("Request", _amounts("request")),
        Column("Limit", _amounts("limit")),
        AGE,
    ),
    "ControllerRevision": (
        NAME,
        Column("Controller", _controller),
        Column("Revision", number("revision"), type="integer"),
        AGE,
    ),
    "PodTemplate": (
        NAME,
        *(Column(each.name, each.value) for each in containers("template.spec.containers")),
        Column("Pod Labels", lambda o, _: pairs(at("template.metadata.labels", {})(o, _NEVER))),
    ),
    "CertificateSigningRequest": (
        NAME,
        AGE,
        Column("SignerName", at("spec.signerName")),
        Column("Requestor", at("spec.username", "")),
        Column("RequestedDuration", _requested),
        Column("Condition", _csr_condition),
    ),
    "RuntimeClass": (NAME, Column("Handler", at("handler")), AGE),
    "CSIDriver": (
        NAME,
        Column("AttachRequired", _flag("spec.attachRequired", True)),
        Column("PodInfoOnMount", _flag("spec.podInfoOnMount")),
        Column("StorageCapacity", _flag("spec.storageCapacity")),
        Column(
            "TokenRequests",
            lambda o, n: (
                ",".join(
                    str(each.get("audience", "")) for each in at("spec.tokenRequests", ())(o, n)
                )
                or "<unset>"
            ),
        ),
        Column("RequiresRepublish", _flag("spec.requiresRepublish")),
        Column("Modes", lambda o, n: ",".join(at("spec.volumeLifecycleModes", ())(o, n))),
        AGE,
    ),
    "CSINode": (NAME, Column("Drivers", _count("spec.drivers"), type="integer"), AGE),
    "VolumeAttachment": (
        NAME,
        Column("Attacher", at("spec.attacher")),
        Column("PV", at("spec.source.persistentVolumeName", "")),
        Column("Node", at("spec.nodeName")),
        Column("Attached", _flag("status.attached")),
        AGE,
    ),
    "IPAddress": (NAME, Column("ParentRef", lambda o, _: _parent(o))),
    "ServiceCIDR": (NAME, Column("CIDRs", lambda o, n: ",".join(at("spec.cidrs", ())(o, n))), AGE),
    "MutatingWebhookConfiguration": (NAME, Column("Webhooks", _count("webhooks")), AGE),
    "ValidatingWebhookConfiguration": (NAME, Column("Webhooks", _count("webhooks")), AGE),
}


def _parent(obj: Json) -> str:
    found = (obj.get("spec") or {}).get("parentRef") or {}
    parts = (found.get("resource"), found.get("namespace"), found.get("name"))
    return "/".join(str(each) for each in parts if each)
