"""Defaults that the API server puts into objects: built-in kinds by rule, custom ones by schema.

The differ applies the same to desired objects; a diff against live objects is wrong without.
Not here, since they need state: cluster IPs, node ports, controller-uid labels of Jobs, the
namespace finalizer, what admission adds to Pods. Source: spec/embedded-cluster.md 9, 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from trimtab.objects.defaults_pod import fill_pod_only, fill_pod_spec
from trimtab.objects.defaults_rules import RULES
from trimtab.objects.identity import GVK
from trimtab.objects.schema import MISSING, Schema

__all__ = ["apply_defaults", "copy_json", "default_by_schema"]

Json = dict[str, Any]

_TEMPLATES: Final = {
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    ("", "PodTemplate"): ("template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
    ("", "Pod"): ("spec",),
}
_SCALE_UP: Final[Json] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: Final[Json] = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_CPU_METRIC: Final[Json] = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
}


def apply_defaults(obj: Json, gvk: GVK, schema: Schema | None) -> Json:
    """A copy of `obj` with its defaults. Built-in kinds by rule, others by `schema` (or as is).

    In built-in kinds null counts as absent.
    """
    kind = (gvk.group, gvk.kind)
    known = kind in RULES or kind in _TEMPLATES or kind in _CODE
    if not known:
        return copy_json(obj) if schema is None else dict(default_by_schema(obj, schema))
    out: Json = _copy_without_nulls(obj)
    for rule in _COMPILED.get(kind, ()):
        _apply(out, *rule)
    if kind in _CODE:
        _CODE[kind](out, gvk)
    if kind in _TEMPLATES:
        spec: Any = out
        for step in _TEMPLATES[kind]:
            spec = spec.get(step) if isinstance(spec, dict) else None
        if isinstance(spec, dict):
            fill_pod_spec(spec)
            if kind == ("", "Pod"):
                fill_pod_only(spec)
    return out


def default_by_schema(value: Any, schema: Schema) -> Any:
    """A copy of `value` with the defaults a structural schema declares (spec 10).

    null where null is not allowed and a default stands counts as absent.
    """
    if isinstance(value, dict):
        out: Json = {}
        for name, member in value.items():
            below = schema.field(name)
            if member is None and below is not None and not below.nullable:
                if below.default is not MISSING:
                    continue
                out[name] = None
            else:
                out[name] = copy_json(member) if below is None else default_by_schema(member, below)
        for name, below in schema.properties.items():
            if name not in out and below.default is not MISSING:
                out[name] = default_by_schema(below.default, below)
        return out
    if isinstance(value, list) and schema.items is not None:
        return [default_by_schema(item, schema.items) for item in value]
    return copy_json(value)


def copy_json(value: Any) -> Any:
    """A deep copy of a JSON value."""
    if isinstance(value, dict):
        return {name: copy_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


def _copy_without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {n: _copy_without_nulls(member) for n, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_copy_without_nulls(item) for item in value]
    return value


# A step is (name, is a list, only where present).
_Step = tuple[str, bool, bool]


def _steps(path: str) -> tuple[_Step, ...]:
    return tuple(
        (part.rstrip("[]?"), part.endswith("[]"), part.endswith("?")) for part in path.split(".")
    )


def _compile(path: str, value: Any, when: str = "", wanted: Any = None) -> tuple[Any, ...]:
    """Steps to the owner, the last name, the value, and the condition from the shared owner on."""
    steps = _steps(path)
    if not when:
        return steps[:-1], steps[-1][0], value, (), None
    condition = _steps(when)
    shared = 0
    while shared < min(len(steps), len(condition)) - 1 and steps[shared] == condition[shared]:
        shared += 1
    return steps[:shared], steps[shared:], value, tuple(s[0] for s in condition[shared:]), wanted


def _apply(
    obj: Json, way: tuple[_Step, ...], last: Any, value: Any, when: Any, wanted: Any
) -> None:
    for owner in _owners(obj, way):
        if not when:
            targets, name = iter((owner,)), last
        else:
            found: Any = owner
            for step in when:
                found = found.get(step) if isinstance(found, dict) else None
            if found != wanted:
                continue
            targets, name = _owners(owner, last[:-1]), last[-1][0]
        for target in targets:
            if target.get(name) is None:
                target[name] = copy_json(value)


def _owners(obj: Json, way: tuple[_Step, ...]) -> Iterator[Json]:
    """The objects at the end of `way`; members on it are created unless it says otherwise."""
    if not way:
        yield obj
        return
    (name, many, optional), rest = way[0], way[1:]
    member = obj.get(name)
    if many:
        for item in member if isinstance(member, list) else ():
            if isinstance(item, dict):
                yield from _owners(item, rest)
        return
    if member is None and not optional:
        member = obj[name] = {}
    if isinstance(member, dict):
        yield from _owners(member, rest)


_COMPILED: Final = {kind: tuple(_compile(*rule) for rule in rules) for kind, rules in RULES.items()}


def _part(obj: Json, name: str) -> Json:
    """A member object, created when absent; a throw-away one where something else stands."""
    if obj.get(name) is None:
        obj[name] = {}
    member = obj[name]
    return member if isinstance(member, dict) else {}


def _service(obj: Json, _gvk: GVK) -> None:
    spec = _part(obj, "spec")
    kind = spec.setdefault("type", "ClusterIP")
    if spec.setdefault("sessionAffinity", "None") == "ClientIP":
        client = _part(_part(spec, "sessionAffinityConfig"), "clientIP")
        client.setdefault("timeoutSeconds", 10800)
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports") or ():
        if isinstance(port, dict):
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, "") and "port" in port:
                port["targetPort"] = port["port"]
    if kind == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in ("NodePort", "LoadBalancer") or spec.get("externalIPs"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    # Without a selector a headless service may be asked for any family: the server says both.
    both = spec.get("clusterIP") == "None" and not spec.get("selector")
    if not spec.get("ipFamilies"):
        policy = spec.get("ipFamilyPolicy")
        dual = both and policy in (None, "RequireDualStack", "PreferDualStack")
        spec["ipFamilies"] = ["IPv4", "IPv6"] if dual else ["IPv4"]
    single = len(spec["ipFamilies"]) == 1
    spec.setdefault("ipFamilyPolicy", "SingleStack" if single else "RequireDualStack")


def _job(obj: Json, _gvk: GVK) -> None:
    spec = _part(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6 if spec.get("backoffLimitPerIndex") is None else 2**31 - 1)
    policy = "TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed"
    spec.setdefault("podReplacementPolicy", policy)
    labels = (_part(spec, "template").get("metadata") or {}).get("labels")
    metadata = _part(obj, "metadata")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)


def _replication_controller(obj: Json, _gvk: GVK) -> None:
    spec = _part(obj, "spec")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    metadata = _part(obj, "metadata")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)


def _autoscaler(obj: Json, gvk: GVK) -> None:
    spec = _part(obj, "spec")
    if gvk.version == "v1":
        spec.setdefault("targetCPUUtilizationPercentage", 80)
        return
    if not spec.get("metrics"):
        spec["metrics"] = [copy_json(_CPU_METRIC)]
    if isinstance(behavior := spec.get("behavior"), dict):
        for name, facts in (("scaleUp", _SCALE_UP), ("scaleDown", _SCALE_DOWN)):
            rules = _part(behavior, name)
            for field, value in facts.items():
                if rules.get(field) is None:
                    rules[field] = copy_json(value)


def _network_policy(obj: Json, _gvk: GVK) -> None:
    spec = _part(obj, "spec")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _namespace(obj: Json, _gvk: GVK) -> None:
    metadata = _part(obj, "metadata")
    if metadata.get("name"):
        _part(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]
    _part(obj, "status").setdefault("phase", "Active")


def _crd(obj: Json, _gvk: GVK) -> None:
    names = _part(_part(obj, "spec"), "names")
    if isinstance(kind := names.get("kind"), str):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = kind + "List"


def _limit_range(obj: Json, _gvk: GVK) -> None:
    for item in _part(obj, "spec").get("limits") or ():
        if not isinstance(item, dict) or item.get("type") != "Container":
            continue
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        for name, amounts in (("default", limits), ("defaultRequest", requests)):
            if amounts:
                item[name] = amounts


_CODE: Final[dict[tuple[str, str], Callable[[Json, GVK], None]]] = {
    ("", "Service"): _service,
    ("", "ReplicationController"): _replication_controller,
    ("", "Namespace"): _namespace,
    ("", "LimitRange"): _limit_range,
    ("batch", "Job"): _job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
}
