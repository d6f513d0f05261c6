"""PodDisruptionBudget: how many Pods may go now."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.conditions import set_condition
from trimtab.cluster.simulation.kinds import DEPLOYMENT, PDB, POD, REPLICA_SET, STATEFUL_SET
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.labels import matches
from trimtab.cluster.simulation.podspec import is_active, is_ready, is_terminating
from trimtab.cluster.simulation.rollout import pods_of
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["DisruptionController"]


class DisruptionController:
    """Keeps the status of budgets; the eviction endpoint reads it."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("disruption", self.reconcile)
        kit.on(PDB, self._changed)
        kit.on(POD, self._pod_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is None:
            return
        labels = subject["metadata"].get("labels") or {}
        for budget in self.kit.cache.of_kind(PDB, subject["metadata"]["namespace"]):
            if matches(budget["spec"].get("selector"), labels):
                self.queue.add(key_of(budget))

    def reconcile(self, key: ObjectKey) -> None:
        budget = self.kit.get(PDB, key.namespace, key.name)
        if budget is None or is_terminating(budget):
            return
        selector = budget["spec"].get("selector")
        pods = [
            pod
            for pod in self.kit.cache.of_kind(POD, key.namespace)
            if matches(selector, pod["metadata"].get("labels") or {}) and is_active(pod)
        ]
        expected, desired = self._expected(budget, pods)
        healthy = sum(is_ready(pod) for pod in pods)
        allowed = max(0, healthy - desired) if expected else 0
        old = budget.get("status") or {}
        conditions = set_condition(
            old.get("conditions"),
            "DisruptionAllowed",
            "True" if allowed else "False",
            now=self.kit.now(),
            reason="SufficientPods" if allowed else "InsufficientPods",
            observedGeneration=budget["metadata"].get("generation"),
        )
        status: Object = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "observedGeneration": budget["metadata"].get("generation", 0),
            "conditions": [{"message": "", **c} for c in conditions],  # required, though empty
        }
        self.kit.set_status(budget, status)

    def _expected(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """(expected, desired healthy). A number needs no scale; shares are of the owners'."""
        spec = budget["spec"]
        if isinstance(spec.get("minAvailable"), int):
            return len(pods), spec["minAvailable"]
        total = self._owners_size(pods)
        if "maxUnavailable" in spec:
            return total, max(0, total - pods_of(spec["maxUnavailable"], total, up=True))
        return total, pods_of(spec.get("minAvailable", 1), total, up=True)

    def _owners_size(self, pods: list[Object]) -> int:
        """The sum of `replicas` of everything that owns one of the Pods; bare ones count one."""
        sizes: dict[str, int] = {}
        for pod in pods:
            owner = self._top_owner(pod)
            uid = owner["metadata"]["uid"] if owner is not None else pod["metadata"]["uid"]
            sizes[uid] = int(owner["spec"].get("replicas", 1)) if owner is not None else 1
        return sum(sizes.values())

    def _top_owner(self, pod: Object) -> Object | None:
        namespace, reference = pod["metadata"]["namespace"], controller_of(pod)
        if reference is None:
            return None
        if reference.get("kind") == "StatefulSet":
            return self.kit.get(STATEFUL_SET, namespace, reference["name"])
        if reference.get("kind") != "ReplicaSet":
            return None
        rs = self.kit.get(REPLICA_SET, namespace, reference["name"])
        parent = controller_of(rs) if rs is not None else None
        if parent is None:
            return rs
        return self.kit.get(DEPLOYMENT, namespace, parent["name"]) or rs
