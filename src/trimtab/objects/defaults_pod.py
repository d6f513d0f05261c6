"""Defaults inside a pod spec, in place on a private copy (spec/embedded-cluster.md 9).

`fill_pod_spec` is what templates and Pods share; `fill_pod_only` is what only Pods get: a
GitOps diff would otherwise show fields in templates that no server puts there.
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.objects.quantity import is_quantity, round_up

__all__ = ["fill_pod_only", "fill_pod_spec"]

Json = dict[str, Any]

_CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")
_POD: Final = (
    ("restartPolicy", "Always"),
    ("terminationGracePeriodSeconds", 30),
    ("dnsPolicy", "ClusterFirst"),
    ("schedulerName", "default-scheduler"),
)
_CONTAINER: Final = (
    ("terminationMessagePath", "/dev/termination-log"),
    ("terminationMessagePolicy", "File"),
)
_PROBE: Final = (
    ("timeoutSeconds", 1),
    ("periodSeconds", 10),
    ("successThreshold", 1),
    ("failureThreshold", 3),
)
_HTTP_GET: Final = (("path", "/"), ("scheme", "HTTP"))
_VOLUME: Final = {
    "secret": (("defaultMode", 420),),
    "configMap": (("defaultMode", 420),),
    "projected": (("defaultMode", 420),),
    "downwardAPI": (("defaultMode", 420),),
    "hostPath": (("type", ""),),
    "iscsi": (("iscsiInterface", "default"),),
    "rbd": (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")),
    "azureDisk": (
        ("cachingMode", "ReadWrite"),
        ("kind", "Shared"),
        ("fsType", "ext4"),
        ("readOnly", False),
    ),
}


def fill_pod_spec(spec: Json) -> None:
    """What a pod spec gets, in a template and in a Pod."""
    _fill(spec, _POD)
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for name in _CONTAINER_LISTS:
        for container in _dicts(spec.get(name)):
            _fill_container(container)
    for volume in _dicts(spec.get("volumes")):
        _fill_volume(volume)
    if isinstance(overhead := spec.get("overhead"), dict):
        spec["overhead"] = {name: _milli(value) for name, value in overhead.items()}


def fill_pod_only(spec: Json) -> None:
    """What a Pod gets on top; never inside templates."""
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    for name in _CONTAINER_LISTS[:2]:
        for container in _dicts(spec.get(name)):
            resources = container.get("resources") or {}
            limits = resources.get("limits")
            if isinstance(limits, dict) and limits:
                resources["requests"] = {**limits, **(resources.get("requests") or {})}
            for port in _dicts(container.get("ports")) if spec.get("hostNetwork") else ():
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]


def _fill_container(container: Json) -> None:
    if container.get("imagePullPolicy") is None:
        container["imagePullPolicy"] = _pull_policy(container.get("image"))
    _fill(container, _CONTAINER)
    resources = container.get("resources")
    if resources is None:
        container["resources"] = {}
    elif isinstance(resources, dict):
        for kind in ("limits", "requests"):
            if isinstance(amounts := resources.get(kind), dict):
                resources[kind] = {name: _milli(value) for name, value in amounts.items()}
    for port in _dicts(container.get("ports")):
        if port.get("protocol") is None:
            port["protocol"] = "TCP"
    for env in _dicts(container.get("env")):
        _fill_field_ref(env.get("valueFrom"))
    _fill_handlers(container)


def _fill_handlers(container: Json) -> None:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(probe := container.get(name), dict):
            _fill(probe, _PROBE)
            _fill_handler(probe)
            if isinstance(grpc := probe.get("grpc"), dict) and grpc.get("service") is None:
                grpc["service"] = ""
    if isinstance(lifecycle := container.get("lifecycle"), dict):
        for name in ("postStart", "preStop"):
            if isinstance(handler := lifecycle.get(name), dict):
                _fill_handler(handler)


def _fill_handler(handler: Json) -> None:
    if isinstance(http := handler.get("httpGet"), dict):
        _fill(http, _HTTP_GET)


def _fill_volume(volume: Json) -> None:
    sources = [name for name, value in volume.items() if name != "name" and value is not None]
    if not sources:
        volume["emptyDir"] = {}
        return
    for name in sources:
        source = volume[name]
        if not isinstance(source, dict):
            continue
        _fill(source, _VOLUME.get(name, ()))
        if name == "downwardAPI":
            _fill_downward(source)
        elif name == "ephemeral" and isinstance(source.get("volumeClaimTemplate"), dict):
            claim = source["volumeClaimTemplate"].get("spec")
            if isinstance(claim, dict) and claim.get("volumeMode") is None:
                claim["volumeMode"] = "Filesystem"
        elif name == "projected":
            for part in _dicts(source.get("sources")):
                if isinstance(downward := part.get("downwardAPI"), dict):
                    _fill_downward(downward)
                token = part.get("serviceAccountToken")
                if isinstance(token, dict) and token.get("expirationSeconds") is None:
                    token["expirationSeconds"] = 3600


def _fill_downward(source: Json) -> None:
    for item in _dicts(source.get("items")):
        _fill_field_ref(item)


def _fill_field_ref(owner: Any) -> None:
    if isinstance(owner, dict) and isinstance(ref := owner.get("fieldRef"), dict):
        _fill(ref, (("apiVersion", "v1"),))


def _pull_policy(image: Any) -> str:
    """Always for the tag `latest` and for no tag at all; a digest pins the image."""
    name = image if isinstance(image, str) else ""
    if "@" in name or not name:
        return "Always" if _tag(name.partition("@")[0]) == "latest" else "IfNotPresent"
    return "Always" if _tag(name) in ("", "latest") else "IfNotPresent"


def _tag(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[2]


def _milli(value: Any) -> Any:
    """Rounded up to milli; what is no quantity stays for validation to refuse."""
    return round_up(value) if isinstance(value, (str, int, float)) and is_quantity(value) else value


def _fill(node: Json, facts: tuple[tuple[str, Any], ...]) -> None:
    for name, value in facts:
        if node.get(name) is None:
            node[name] = value


def _dicts(value: Any) -> list[Json]:
    """The objects of a list; validation names the others."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
