"""The ClusterRoles and bindings that every cluster has (spec/embedded-cluster.md 6, 12)."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["bootstrap_roles"]

Object = dict[str, Any]
_RBAC: Final = "rbac.authorization.k8s.io"
_AGGREGATE: Final = f"{_RBAC}/aggregate-to-"
_READ: Final = ("get", "list", "watch")
_CHANGE: Final = ("create", "delete", "deletecollection", "patch", "update")
# What users of a namespace see, by group; secrets and roles are not for everybody.
_VIEWED: Final[dict[str, tuple[str, ...]]] = {
    "": (
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "persistentvolumeclaims/status",
        "pods",
        "pods/log",
        "pods/status",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "replicationcontrollers/status",
        "serviceaccounts",
        "services",
        "services/status",
        "bindings",
        "events",
        "limitranges",
        "namespaces",
        "namespaces/status",
        "resourcequotas",
        "resourcequotas/status",
    ),
    "apps": (
        "controllerrevisions",
        "daemonsets",
        "daemonsets/status",
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
        "replicasets/scale",
        "replicasets/status",
        "statefulsets",
        "statefulsets/scale",
        "statefulsets/status",
    ),
    "autoscaling": ("horizontalpodautoscalers", "horizontalpodautoscalers/status"),
    "batch": ("cronjobs", "cronjobs/status", "jobs", "jobs/status"),
    "discovery.k8s.io": ("endpointslices",),
    "networking.k8s.io": ("ingresses", "ingresses/status", "networkpolicies"),
    "policy": ("poddisruptionbudgets", "poddisruptionbudgets/status"),
}
_EDITED: Final[dict[str, tuple[str, ...]]] = {
    "": (
        "configmaps",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/attach",
        "pods/eviction",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "secrets",
        "serviceaccounts",
        "services",
        "services/proxy",
    ),
    "apps": (
        "daemonsets",
        "deployments",
        "deployments/rollback",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "coordination.k8s.io": ("leases",),
    "networking.k8s.io": ("ingresses", "networkpolicies"),
    "policy": ("poddisruptionbudgets",),
}
_DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
_PUBLIC: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")


def bootstrap_roles() -> list[Object]:
    """ClusterRoles first, then what binds them."""
    everything = [_rule(("*",), ("*",), ("*",)), {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    return [
        _role("cluster-admin", everything),
        _gathering("admin", "admin", grows_into=()),
        _gathering("edit", "edit", grows_into=("admin",)),
        _gathering("view", "view", grows_into=("edit",)),
        _part("admin", _administered()),
        _part("edit", _edited()),
        _part("view", [_rule((group,), names, _READ) for group, names in _VIEWED.items()]),
        _role("system:basic-user", _reviews()),
        _role("system:discovery", [_urls((*_DISCOVERY, *_PUBLIC))]),
        _role("system:public-info-viewer", [_urls(_PUBLIC)]),
        _binding("cluster-admin", "system:masters"),
        _binding("system:basic-user", "system:authenticated"),
        _binding("system:discovery", "system:authenticated"),
        _binding("system:public-info-viewer", "system:authenticated", "system:unauthenticated"),
    ]


def _administered() -> list[Object]:
    return [
        _rule((_RBAC,), ("rolebindings", "roles"), (*_READ, *_CHANGE)),
        _rule(("authorization.k8s.io",), ("localsubjectaccessreviews",), ("create",)),
    ]


def _edited() -> list[Object]:
    return [
        *(_rule((group,), names, _CHANGE) for group, names in _EDITED.items()),
        _rule(("",), ("secrets",), _READ),
        _rule(("coordination.k8s.io",), ("leases",), _READ),
        _rule(("",), ("serviceaccounts",), ("impersonate",)),
        _rule(("",), ("serviceaccounts/token",), ("create",)),
    ]


def _reviews() -> list[Object]:
    return [
        _rule(
            ("authorization.k8s.io",),
            ("selfsubjectaccessreviews", "selfsubjectrulesreviews"),
            ("create",),
        ),
        _rule(("authentication.k8s.io",), ("selfsubjectreviews",), ("create",)),
    ]


def _rule(groups: tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...]) -> Object:
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}


def _urls(paths: tuple[str, ...]) -> Object:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


def _role(name: str, rules: list[Object], labels: dict[str, str] | None = None) -> Object:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": rules,
    }


def _gathering(name: str, label: str, *, grows_into: tuple[str, ...]) -> Object:
    """A role whose rules are those of every role with a label."""
    labels = {f"{_AGGREGATE}{each}": "true" for each in grows_into}
    selector = {"matchLabels": {f"{_AGGREGATE}{label}": "true"}}
    return {
        **_role(name, [], labels),
        "aggregationRule": {"clusterRoleSelectors": [selector]},
    }


def _part(name: str, rules: list[Object]) -> Object:
    return _role(f"system:aggregate-to-{name}", rules, {f"{_AGGREGATE}{name}": "true"})


def _binding(role: str, *groups: str) -> Object:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {
            "name": role,
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        },
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups],
    }
