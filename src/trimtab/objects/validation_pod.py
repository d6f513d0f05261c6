"""Validation of pod specs, in templates and in Pods (spec/embedded-cluster.md 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from trimtab.objects.names import (
    dns1123_label_problems,
    env_name_problems,
    port_name_problems,
)
from trimtab.objects.quantity import compare, is_quantity
from trimtab.objects.validation_schema import FieldError

__all__ = ["check_pod_spec", "dicts", "immutable_pod_parts", "one_of"]

Json = dict[str, Any]
Found = list[FieldError]

_ENUMS: Final = {
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
}
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_MUTABLE: Final = ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds")


def check_pod_spec(spec: Json, path: str, found: Found) -> None:
    """`spec` has its defaults already; types were checked by schema."""
    for name, allowed in _ENUMS.items():
        one_of(spec, name, allowed, path, found)
    volumes: set[str] = set()
    for index, volume in dicts(spec.get("volumes")):
        here = f"{path}.volumes[{index}]"
        check_name(volume.get("name"), f"{here}.name", dns1123_label_problems, volumes, found)
        sources = [name for name, each in volume.items() if name != "name" and each is not None]
        found.extend(
            FieldError(
                "Forbidden", f"{here}.{each}", None, "may not specify more than 1 volume type"
            )
            for each in sources[1:]
        )
    if not spec.get("containers") and isinstance(spec.get("containers"), list):
        found.append(FieldError("Required", f"{path}.containers"))
    names: set[str] = set()
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in dicts(spec.get(group)):
            here = f"{path}.{group}[{index}]"
            check_name(container.get("name"), f"{here}.name", dns1123_label_problems, names, found)
            _check_container(container, here, volumes, found)


def check_name(
    name: Any, path: str, rule: Callable[[str], list[str]], seen: set[str], found: Found
) -> None:
    """A required name of a list item, unique among `seen`."""
    if name == "":
        found.append(FieldError("Required", path))
    if not isinstance(name, str) or not name:
        return
    found.extend(FieldError("Invalid", path, name, problem) for problem in rule(name))
    if name in seen:
        found.append(FieldError("Duplicate", path, name))
    seen.add(name)


def _check_container(container: Json, path: str, volumes: set[str], found: Found) -> None:
    if not container.get("image"):
        found.append(FieldError("Required", f"{path}.image"))
    one_of(container, "imagePullPolicy", ("Always", "IfNotPresent", "Never"), path, found)
    one_of(container, "terminationMessagePolicy", ("FallbackToLogsOnError", "File"), path, found)
    port_names: set[str] = set()
    for index, port in dicts(container.get("ports")):
        here = f"{path}.ports[{index}]"
        if port.get("name"):
            check_name(port["name"], f"{here}.name", port_name_problems, port_names, found)
        check_port(port, "containerPort", here, found)
        check_port(port, "hostPort", here, found, optional=True)
        one_of(port, "protocol", _PROTOCOLS, here, found)
    for index, env in dicts(container.get("env")):
        name = env.get("name")
        if isinstance(name, str):
            here = f"{path}.env[{index}].name"
            if not name:
                found.append(FieldError("Required", here))
            found.extend(
                FieldError("Invalid", here, name, each)
                for each in (env_name_problems(name) if name else ())
            )
        if env.get("value") and env.get("valueFrom"):
            here = f"{path}.env[{index}].valueFrom"
            detail = "may not be specified when `value` is not empty"
            found.append(FieldError("Invalid", here, "", detail))
    mounts: set[str] = set()
    for index, mount in dicts(container.get("volumeMounts")):
        here = f"{path}.volumeMounts[{index}]"
        name, where = mount.get("name"), mount.get("mountPath")
        if isinstance(name, str) and name not in volumes:
            found.append(FieldError("NotFound", f"{here}.name", name))
        if where in mounts:
            detail = "must be unique"
            found.append(FieldError("Invalid", f"{here}.mountPath", where, detail))
        mounts.add(str(where))
    _check_resources(container.get("resources") or {}, f"{path}.resources", found)


def _check_resources(resources: Json, path: str, found: Found) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, amount in requests.items():
        here = f"{path}.requests"
        if is_quantity(amount) and compare(amount, 0) < 0:
            found.append(
                FieldError(
                    "Invalid", f"{here}[{name}]", amount, "must be greater than or equal to 0"
                )
            )
        limit = limits.get(name)
        if limit is None or not (is_quantity(limit) and is_quantity(amount)):
            continue
        if compare(amount, limit) > 0:
            detail = f"must be less than or equal to {name} limit of {limit}"
            found.append(FieldError("Invalid", here, amount, detail))


def check_port(owner: Json, name: str, path: str, found: Found, *, optional: bool = False) -> None:
    """A port number of 1 to 65535 (0 counts as absent where optional)."""
    port = owner.get(name)
    if not isinstance(port, int) or isinstance(port, bool) or (optional and port == 0):
        return
    if not 1 <= port <= 65535:
        detail = "must be between 1 and 65535, inclusive"
        found.append(FieldError("Invalid", f"{path}.{name}", port, detail))


def one_of(owner: Json, name: str, allowed: tuple[str, ...], path: str, found: Found) -> None:
    """The member, when there, is one of `allowed`."""
    value = owner.get(name)
    if value is not None and value not in allowed:
        supported = ", ".join(f'"{each}"' for each in sorted(allowed))
        detail = f"supported values: {supported}"
        found.append(FieldError("NotSupported", f"{path}.{name}", value, detail))


def immutable_pod_parts(spec: Json) -> Json:
    """What may not change in a Pod: all but images, tolerations and two deadlines."""
    out = {name: value for name, value in spec.items() if name not in _MUTABLE}
    for group in ("containers", "initContainers"):
        if group in out:
            out[group] = [{**each, "image": ""} for _, each in dicts(out[group])]
    return out


def dicts(value: Any) -> Iterator[tuple[int, Json]]:
    """Index and item of the objects in a list; the schema check names the others."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield index, item
