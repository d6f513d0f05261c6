"""What the API server checks of each built-in kind beyond its schema (spec 9, validation floor)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

from trimtab.objects.names import dns1123_label_problems
from trimtab.objects.quantity import compare, is_quantity
from trimtab.objects.selectors import InvalidSelector, from_label_selector
from trimtab.objects.validation_pod import (
    check_name,
    check_pod_spec,
    check_port,
    dicts,
    immutable_pod_parts,
    one_of,
)
from trimtab.objects.validation_schema import FieldError

__all__ = ["CHECKS", "UPDATE_CHECKS"]

Json = dict[str, Any]
Found = list[FieldError]

_MIB: Final = 1024 * 1024
_IMMUTABLE: Final = "field is immutable"
_STATEFUL_SET_MUTABLE: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _workload(obj: Json, found: Found) -> None:
    spec = obj.get("spec") or {}
    _not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec", found)
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if isinstance(selector, dict):
        try:
            parsed = from_label_selector(selector)
        except InvalidSelector as error:
            found.append(FieldError("Invalid", "spec.selector", selector, error.message))
        else:
            if parsed.empty:
                detail = "empty selector is invalid for deployment"
                found.append(FieldError("Invalid", "spec.selector", selector, detail))
            elif not parsed.matches(labels):
                detail = "`selector` does not match template `labels`"
                where = "spec.template.metadata.labels"
                found.append(FieldError("Invalid", where, labels, detail))
    _template(template, found)
    pod = template.get("spec") or {}
    if pod.get("restartPolicy") not in (None, "Always"):
        detail = 'supported values: "Always"'
        where = "spec.template.spec.restartPolicy"
        found.append(FieldError("NotSupported", where, pod["restartPolicy"], detail))


def _template(template: Json, found: Found, path: str = "spec.template") -> None:
    if isinstance(template.get("spec"), dict):
        check_pod_spec(template["spec"], f"{path}.spec", found)
    else:
        found.append(FieldError("Required", f"{path}.spec.containers"))


def _pod(obj: Json, found: Found) -> None:
    check_pod_spec(obj.get("spec") or {}, "spec", found)


def _job(obj: Json, found: Found) -> None:
    _job_spec(obj.get("spec") or {}, "spec", found)


def _job_spec(spec: Json, path: str, found: Found) -> None:
    _not_negative(spec, ("parallelism", "completions", "backoffLimit"), path, found)
    template = spec.get("template") or {}
    _template(template, found, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        where = f"{path}.template.spec.restartPolicy"
        detail = 'supported values: "OnFailure", "Never"'
        found.append(FieldError("Required", where, policy, f"valid values: {detail[18:]}"))


def _cron_job(obj: Json, found: Found) -> None:
    spec = obj.get("spec") or {}
    one_of(spec, "concurrencyPolicy", ("Allow", "Forbid", "Replace"), "spec", found)
    schedule = spec.get("schedule")
    if schedule == "":
        found.append(FieldError("Required", "spec.schedule"))
    elif isinstance(schedule, str) and not schedule.startswith("@") and len(schedule.split()) != 5:
        detail = f"expected exactly 5 fields, found {len(schedule.split())}: [{schedule}]"
        found.append(FieldError("Invalid", "spec.schedule", schedule, detail))
    _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec", found)


def _service(obj: Json, found: Found) -> None:
    spec = obj.get("spec") or {}
    kinds = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    one_of(spec, "type", kinds, "spec", found)
    one_of(spec, "sessionAffinity", ("ClientIP", "None"), "spec", found)
    ports = list(dicts(spec.get("ports")))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        found.append(FieldError("Required", "spec.ports"))
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        found.append(FieldError("Required", "spec.externalName"))
    names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in ports:
        path = f"spec.ports[{index}]"
        if port.get("name"):
            check_name(port["name"], f"{path}.name", dns1123_label_problems, names, found)
        elif len(ports) > 1:
            found.append(FieldError("Required", f"{path}.name"))
        check_port(port, "port", path, found)
        check_port(port, "targetPort", path, found)
        one_of(port, "protocol", ("SCTP", "TCP", "UDP"), path, found)
        key = (port.get("port"), port.get("protocol"))
        if key in seen:
            value = {"port": key[0], "protocol": key[1]}
            found.append(FieldError("Duplicate", path, value))
        seen.add(key)


def _key_values(obj: Json, found: Found) -> None:
    """ConfigMap and Secret: size, and base64 of binary values."""
    size = 0
    for field in ("data", "binaryData"):
        encoded = field == "binaryData" or obj.get("kind") == "Secret"
        for key, value in (obj.get(field) or {}).items():
            if not isinstance(value, str):
                continue
            size += len(value) * 3 // 4 if encoded else len(value.encode())
            try:
                base64.b64decode(value, validate=True) if encoded else None
            except (binascii.Error, ValueError):
                detail = "illegal base64 data"
                found.append(FieldError("Invalid", f"{field}[{key}]", "<value>", detail))
    if size > _MIB:
        found.append(FieldError("TooLong", "data", None, f"may not be more than {_MIB} bytes"))


def _autoscaler(obj: Json, found: Found) -> None:
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if isinstance(most, int) and most < 1:
        found.append(FieldError("Invalid", "spec.maxReplicas", most, "must be greater than 0"))
    elif isinstance(most, int) and isinstance(least, int) and most < least:
        detail = "must be greater than or equal to `minReplicas`"
        found.append(FieldError("Invalid", "spec.maxReplicas", most, detail))


def _disruption_budget(obj: Json, found: Found) -> None:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        shown = {name: spec[name] for name in ("minAvailable", "maxUnavailable")}
        detail = "minAvailable and maxUnavailable cannot be both set"
        found.append(FieldError("Invalid", "spec", shown, detail))


def _ingress(obj: Json, found: Found) -> None:
    for index, rule in dicts((obj.get("spec") or {}).get("rules")):
        for number, path in dicts((rule.get("http") or {}).get("paths")):
            where = f"spec.rules[{index}].http.paths[{number}]"
            one_of(path, "pathType", ("Exact", "ImplementationSpecific", "Prefix"), where, found)


def _not_negative(spec: Json, names: tuple[str, ...], path: str, found: Found) -> None:
    for name in names:
        value = spec.get(name)
        if isinstance(value, int) and value < 0:
            detail = "must be greater than or equal to 0"
            found.append(FieldError("Invalid", f"{path}.{name}", value, detail))


def _frozen(*names: str) -> Callable[[Json, Json, Found], None]:
    """An update check: these members of the spec stay as they are."""

    def check(new: Json, old: Json, found: Found) -> None:
        now, before = new.get("spec") or {}, old.get("spec") or {}
        found.extend(
            FieldError("Invalid", f"spec.{name}", now.get(name), _IMMUTABLE)
            for name in names
            if now.get(name) != before.get(name)
        )

    return check


def _stateful_set_update(new: Json, old: Json, found: Found) -> None:
    now, before = new.get("spec") or {}, old.get("spec") or {}
    if any(
        now.get(name) != before.get(name)
        for name in {*now, *before}.difference(_STATEFUL_SET_MUTABLE)
    ):
        allowed = ", ".join(f"'{name}'" for name in _STATEFUL_SET_MUTABLE[:-1])
        detail = f"updates to statefulset spec for fields other than {allowed} and "
        detail += f"'{_STATEFUL_SET_MUTABLE[-1]}' are forbidden"
        found.append(FieldError("Forbidden", "spec", None, detail))


def _job_update(new: Json, old: Json, found: Found) -> None:
    _frozen("selector", "completionMode")(new, old, found)
    if not (old.get("spec") or {}).get("suspend"):
        # A suspended Job's template may still get its scheduling fields.
        _frozen("template")(new, old, found)


def _service_update(new: Json, old: Json, found: Found) -> None:
    now, before = new.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" in (now.get("type"), before.get("type")):
        return
    if before.get("clusterIP") and now.get("clusterIP") not in (None, "", before["clusterIP"]):
        value = now["clusterIP"]
        detail = "may not change once set"
        found.append(FieldError("Invalid", "spec.clusterIPs[0]", value, detail))


def _data_update(new: Json, old: Json, found: Found) -> None:
    if old.get("kind") == "Secret" and new.get("type") != old.get("type"):
        found.append(FieldError("Invalid", "type", new.get("type"), _IMMUTABLE))
    if old.get("immutable"):
        found.extend(
            FieldError("Forbidden", name, None, "field is immutable when `immutable` is set")
            for name in ("immutable", "data", "binaryData")
            if new.get(name) != old.get(name)
        )


def _binding_update(new: Json, old: Json, found: Found) -> None:
    if new.get("roleRef") != old.get("roleRef"):
        detail = "cannot change roleRef"
        found.append(FieldError("Invalid", "roleRef", new.get("roleRef"), detail))


def _claim_update(new: Json, old: Json, found: Found) -> None:
    def fixed(spec: Json) -> Json:
        free = ("resources", "volumeName", "volumeAttributesClassName", "storageClassName")
        return {name: value for name, value in spec.items() if name not in free}

    def size(spec: Json) -> Any:
        return ((spec.get("resources") or {}).get("requests") or {}).get("storage")

    now, before = new.get("spec") or {}, old.get("spec") or {}
    if fixed(now) != fixed(before):
        detail = "spec is immutable after creation except resources.requests and "
        detail += "volumeAttributesClassName for bound claims"
        found.append(FieldError("Forbidden", "spec", None, detail))
    a, b = size(now), size(before)
    if a is not None and b is not None and is_quantity(a) and is_quantity(b) and compare(a, b) < 0:
        where = "spec.resources.requests.storage"
        found.append(
            FieldError("Forbidden", where, None, "field can not be less than previous value")
        )


def _pod_update(new: Json, old: Json, found: Found) -> None:
    now, before = new.get("spec") or {}, old.get("spec") or {}
    parts, old_parts = immutable_pod_parts(now), immutable_pod_parts(before)
    if not old_parts.get("nodeName"):
        # Binding sets the node once.
        parts.pop("nodeName", None)
        old_parts.pop("nodeName", None)
    if parts != old_parts:
        detail = "pod updates may not change fields other than `spec.containers[*].image`, "
        detail += "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, "
        detail += "`spec.tolerations` (only additions to existing tolerations), "
        detail += "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
        detail += "previously negative)"
        found.append(FieldError("Forbidden", "spec", None, detail))


CHECKS: Final[dict[tuple[str, str], Callable[[Json, Found], None]]] = {
    ("apps", "Deployment"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("apps", "DaemonSet"): _workload,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("", "ConfigMap"): _key_values,
    ("", "Secret"): _key_values,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("policy", "PodDisruptionBudget"): _disruption_budget,
    ("networking.k8s.io", "Ingress"): _ingress,
}
UPDATE_CHECKS: Final[dict[tuple[str, str], Callable[[Json, Json, Found], None]]] = {
    ("apps", "Deployment"): _frozen("selector"),
    ("apps", "ReplicaSet"): _frozen("selector"),
    ("apps", "DaemonSet"): _frozen("selector"),
    ("apps", "StatefulSet"): _stateful_set_update,
    ("batch", "Job"): _job_update,
    ("", "Pod"): _pod_update,
    ("", "Service"): _service_update,
    ("", "ConfigMap"): _data_update,
    ("", "Secret"): _data_update,
    ("", "PersistentVolumeClaim"): _claim_update,
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding_update,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding_update,
}
