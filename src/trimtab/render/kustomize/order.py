"""The order of a build's output (spec/rendering.md 3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import Resource

__all__ = ["KINDS_FIRST", "sort_resources"]

KINDS_FIRST: Final = (
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
)
_KINDS_LAST: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def sort_resources(resources: ResMap, options: Mapping[str, Any] | None) -> None:
    """Legacy order unless `sortOptions` says fifo. Raises KustomizeError for options that
    contradict each other."""
    if options is None:
        options = {"order": "legacy"}
    order = options.get("order") or ""
    legacy = options.get("legacySortOptions")
    if order not in ("legacy", "fifo"):
        raise KustomizeError(
            f"`sortOptions.order` is legacy or fifo, found {order!r}", reason="SortOptionsInvalid"
        )
    if order == "fifo":
        if legacy is not None:
            raise KustomizeError(
                "`sortOptions.legacySortOptions` needs `order: legacy`",
                reason="SortOptionsInvalid",
            )
        return
    first = KINDS_FIRST if legacy is None else tuple(legacy.get("orderFirst") or ())
    last = _KINDS_LAST if legacy is None else tuple(legacy.get("orderLast") or ())
    rank = {kind: index - len(first) for index, kind in enumerate(first)}
    rank.update({kind: index + 1 for index, kind in enumerate(last)})

    def key(resource: Resource) -> tuple[int, str, str]:
        group, version, kind = resource.gvk
        text = "_".join((group or "~G", version or "~V", kind or "~K"))
        who = "|".join((resource.namespace or "~X", resource.name or "~N"))
        return rank.get(kind, 0), text, who

    resources.reorder(key)
