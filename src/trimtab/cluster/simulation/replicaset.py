"""ReplicaSet: keep a number of Pods (spec/embedded-cluster.md 11)."""

from __future__ import annotations

from collections import Counter

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.claim import claim
from trimtab.cluster.simulation.conditions import set_condition, without
from trimtab.cluster.simulation.kinds import POD, REPLICA_SET
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.labels import has_labels, matches
from trimtab.cluster.simulation.podspec import (
    available_in,
    deletion_rank,
    is_active,
    is_ready,
    is_terminating,
    pod_from_template,
)
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["ReplicaSetController"]

COMPONENT = "replicaset-controller"
_BURST = 500


class ReplicaSetController:
    """Creates and deletes Pods, and counts them."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("replicaset", self.reconcile)
        kit.on(REPLICA_SET, self._changed)
        kit.on(POD, self._pod_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            self.queue.add(key_of(subject))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            owner = controller_of(pod)
            if owner is None:
                self._wake_adopters(pod)
            elif owner.get("kind") == "ReplicaSet":
                namespace = pod["metadata"]["namespace"]
                self.queue.add(ObjectKey("apps", "ReplicaSet", namespace, owner["name"]))

    def _wake_adopters(self, pod: Object) -> None:
        labels = pod["metadata"].get("labels") or {}
        if not labels:
            return
        for rs in self.kit.cache.of_kind(REPLICA_SET, pod["metadata"]["namespace"]):
            if matches(rs["spec"].get("selector"), labels):
                self.queue.add(key_of(rs))

    def reconcile(self, key: ObjectKey) -> None:
        rs = self.kit.get(REPLICA_SET, key.namespace, key.name)
        if rs is None:
            return
        pods = claim(self.kit, rs, api_version="apps/v1", kind="ReplicaSet")
        failure: tuple[str, str] | None = None
        if not is_terminating(rs):
            failure = self._scale(rs, [pod for pod in pods if is_active(pod)])
        self._write_status(rs, failure)
        if failure is not None:
            self.queue.add_after(key, 5.0)

    def _scale(self, rs: Object, active: list[Object]) -> tuple[str, str] | None:
        """Creates or deletes Pods. Returns (reason, message) of a failure."""
        missing = rs["spec"].get("replicas", 1) - len(active)
        if missing > 0:
            return self._grow(rs, min(missing, _BURST))
        if not missing:
            return None
        crowd = Counter(pod["spec"].get("nodeName") for pod in active if is_active(pod))
        ranked = sorted(
            active, key=lambda p: deletion_rank(p, neighbours=crowd[p["spec"].get("nodeName")])
        )
        for pod in ranked[: min(-missing, _BURST)]:
            self.kit.delete(pod)
            message = f"Deleted pod: {pod['metadata']['name']}"
            self.kit.event(rs, "SuccessfulDelete", message, component=COMPONENT)
        return None

    def _grow(self, rs: Object, count: int) -> tuple[str, str] | None:
        owner = owner_reference(rs, api_version="apps/v1", kind="ReplicaSet")
        meta = rs["metadata"]
        for _ in range(count):
            pod = pod_from_template(
                rs["spec"].get("template") or {},
                namespace=meta["namespace"],
                owner=owner,
                prefix=f"{meta['name']}-",
            )
            try:
                made = self.kit.create(pod)
            except TrimtabError as error:
                if error.reason == "NotFound":  # the namespace went away
                    return None
                self.kit.warn(
                    rs, "FailedCreate", f"Error creating: {error.message}", component=COMPONENT
                )
                return "FailedCreate", error.message
            message = f"Created pod: {made['metadata']['name']}"
            self.kit.event(rs, "SuccessfulCreate", message, component=COMPONENT)
        return None

    def _write_status(self, rs: Object, failure: tuple[str, str] | None) -> None:
        now = self.kit.clock.now()
        min_ready = rs["spec"].get("minReadySeconds", 0)
        labels = ((rs["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
        pods = [p for p in self.kit.cache.owned(rs["metadata"]["uid"], POD) if is_active(p)]
        waits = [available_in(p, min_ready_s=min_ready, now=now) for p in pods]
        old = rs.get("status") or {}
        conditions = without(old.get("conditions"), "ReplicaFailure")
        if failure is not None:
            conditions = set_condition(
                old.get("conditions"), "ReplicaFailure", "True", now=self.kit.now(),
                reason=failure[0], message=failure[1],
            )  # fmt: skip
        counts = {
            "fullyLabeledReplicas": sum(
                has_labels(labels, p["metadata"].get("labels") or {}) for p in pods
            ),
            "readyReplicas": sum(is_ready(p) for p in pods),
            "availableReplicas": sum(wait == 0 for wait in waits),
        }
        status: Object = {
            "replicas": len(pods),
            **{k: v for k, v in counts.items() if v},
            "observedGeneration": rs["metadata"].get("generation", 0),
        }
        if conditions:
            status["conditions"] = conditions
        self.kit.set_status(rs, status)
        pending = [wait for wait in waits if wait]
        if pending:
            self.queue.add_after(key_of(rs), min(pending))
