"""From what a client sent to what is stored: pure steps, in the server's order.

decode -> strict check -> prune (custom) -> normalise -> default -> validate -> managed fields
(spec/embedded-cluster.md 9, 10).
"""

from __future__ import annotations

import copy
from typing import Any, Final

from trimtab.cluster.errors import bad_request, invalid
from trimtab.cluster.resources import Resource
from trimtab.objects import (
    Rules,
    Schema,
    apply_defaults,
    default_by_schema,
    normalise,
    prune,
    unknown_fields,
    validate,
)

__all__ = [
    "Prepared",
    "check_identity",
    "generation_of",
    "prepare",
    "strict_check",
    "without_volatile",
]

Object = dict[str, Any]
_OMIT_EMPTY: Final = ("labels", "annotations", "finalizers", "ownerReferences")
WITHOUT_GENERATION: Final = frozenset(
    [
        "ConfigMap",
        "Secret",
        "Service",
        "Namespace",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "Lease",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Event",
        "Endpoints",
        "LimitRange",
        "ResourceQuota",
        "ReplicationController",
        "PodTemplate",
        "ControllerRevision",
        "StorageClass",
        "PriorityClass",
        "RuntimeClass",
        "CSIDriver",
        "CSINode",
        "CSIStorageCapacity",
        "VolumeAttachment",
        "CertificateSigningRequest",
        "IPAddress",
    ]
)


class Prepared:
    """The object as it would be stored, and what to tell the client."""

    def __init__(self, obj: Object, warnings: list[str]) -> None:
        self.obj = obj
        self.warnings = warnings


def check_identity(obj: Any, resource: Resource, namespace: str, name: str = "") -> Object:
    """A private copy that names the URL's kind, namespace and name. Raises 400."""
    if not isinstance(obj, dict):
        raise bad_request("the request body is no object")
    out: Object = copy.deepcopy(obj)
    if out.get("kind") not in (None, "", resource.kind) or (
        out.get("apiVersion") not in (None, "", resource.api_version)
    ):
        raise bad_request(
            f"{out.get('apiVersion')}, Kind={out.get('kind')} in the body does not match the"
            f" expected {resource.api_version}, Kind={resource.kind}"
        )
    out["apiVersion"], out["kind"] = resource.api_version, resource.kind
    meta = out.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise bad_request("metadata is no object")
    if resource.namespaced:
        given = meta.get("namespace") or namespace
        if namespace and given != namespace:
            raise bad_request(
                "the namespace of the provided object does not match"
                " the namespace sent on the request"
            )
        meta["namespace"] = given
    else:
        meta.pop("namespace", None)
    if name:
        if meta.get("name") not in (None, "", name):
            raise bad_request(
                f"the name of the object ({meta.get('name')}) does not match"
                f" the name on the URL ({name})"
            )
        meta["name"] = name
    return out


def strict_check(obj: Object, schema: Schema | None, mode: str, duplicates: list[str]) -> list[str]:
    """Warnings for unknown and repeated fields; an error when `mode` is Strict."""
    if mode == "Ignore":
        return []
    problems = [f'duplicate field "{path}"' for path in duplicates]
    if schema is not None:
        problems += [f'unknown field "{path}"' for path in unknown_fields(obj, schema)]
    if problems and mode == "Strict":
        raise bad_request(f"strict decoding error: {', '.join(problems)}")
    return problems


def prepare(
    obj: Object,
    resource: Resource,
    schema: Schema | None,
    *,
    old: Object | None,
    rules: Rules | None = None,
) -> Prepared:
    """Prune, normalise, default and validate. Raises 422 with every finding."""
    gvk = resource.gvk
    warnings: list[str] = []
    if schema is not None:
        obj = prune(obj, schema)
    obj = normalise(obj, gvk, schema)
    obj["metadata"] = {
        key: value for key, value in obj["metadata"].items() if value or key not in _OMIT_EMPTY
    }
    if resource.custom:
        obj = default_by_schema(obj, schema) if schema else obj
    else:
        obj = apply_defaults(obj, gvk, schema) if schema else obj
    problems = validate(obj, gvk, schema, old=old, builtin=not resource.custom, rules=rules)
    if problems:
        raise invalid(resource.kind, resource.group, obj["metadata"].get("name") or "", problems)
    return Prepared(obj, warnings)


def generation_of(obj: Object, old: Object | None, resource: Resource) -> int | None:
    """The generation to store; None when the kind has none (spec 7.2)."""
    if not resource.custom and resource.kind in WITHOUT_GENERATION:
        return None
    if old is None:
        return 1
    before = int(old["metadata"].get("generation") or 1)
    has_status = "status" in resource.subresources
    changed = _content(obj, status=not has_status) != _content(old, status=not has_status)
    if resource.kind == "Deployment" and not changed:
        changed = obj["metadata"].get("annotations") != old["metadata"].get("annotations")
    deleting = bool(obj["metadata"].get("deletionTimestamp")) and not old["metadata"].get(
        "deletionTimestamp"
    )
    return before + 1 if changed or deleting else before


def without_volatile(obj: Object) -> Object:
    """What decides whether a write changes anything."""
    meta = {
        k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")
    }
    entries = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in obj["metadata"].get("managedFields") or ()
    ]
    return {**obj, "metadata": {**meta, "managedFields": entries}}


def _content(obj: Object, *, status: bool) -> Object:
    left = {"metadata", "apiVersion", "kind"} | (set() if status else {"status"})
    return {key: value for key, value in obj.items() if key not in left}
