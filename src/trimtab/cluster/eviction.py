"""`pods/eviction`: a deletion that a PodDisruptionBudget may refuse (spec 7.3, 7.8)."""

from __future__ import annotations

import copy
from typing import Any, Final

from trimtab.cluster.errors import ApiError
from trimtab.cluster.registry import Registry
from trimtab.cluster.store import Record, Store
from trimtab.cluster.writer import Options, Writer
from trimtab.objects import from_label_selector
from trimtab.objects.identity import GroupKind

__all__ = ["take_from_budget"]

PDB: Final = GroupKind("policy", "PodDisruptionBudget")


def take_from_budget(
    store: Store, registry: Registry, writer: Writer, pod: Record, *, dry_run: bool
) -> None:
    """Use up one disruption of the Pod's budget. Raises 429 when there is none left, 500 when
    several budgets claim the Pod."""
    phase = (pod.obj.get("status") or {}).get("phase")
    if phase != "Running" or pod.obj["metadata"].get("deletionTimestamp"):
        return
    labels = pod.obj["metadata"].get("labels") or {}
    budgets = [
        record
        for record in store.iterate(PDB, pod.namespace)
        if from_label_selector((record.obj.get("spec") or {}).get("selector")).matches(labels)
    ]
    if not budgets:
        return
    if len(budgets) > 1:
        raise ApiError(
            500,
            "InternalError",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does"
            " not support.",
        )
    _take(registry, writer, budgets[0], dry_run=dry_run)


def _take(registry: Registry, writer: Writer, budget: Record, *, dry_run: bool) -> None:
    status: dict[str, Any] = budget.obj.get("status") or {}
    seen = int(status.get("observedGeneration") or 0)
    if seen < int(budget.obj["metadata"].get("generation") or 0):
        raise _refused(
            f"The disruption budget {budget.name} is still being processed by the server."
        )
    if int(status.get("disruptionsAllowed") or 0) < 1:
        wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _refused(
            f"The disruption budget {budget.name} needs {wanted} healthy pods and has {healthy}"
            " currently"
        )
    if dry_run:
        return
    resource = registry.of_kind(PDB)
    assert resource is not None
    obj = copy.deepcopy(budget.obj)
    obj["status"]["disruptionsAllowed"] -= 1
    writer.write(resource, budget, obj, Options(manager="kube-apiserver"), "status")


def _refused(why: str) -> ApiError:
    return ApiError(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        details={"causes": [{"reason": "DisruptionBudget", "message": why}]},
    )
