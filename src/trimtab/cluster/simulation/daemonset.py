"""DaemonSet: one Pod on every node that takes it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.claim import claim
from trimtab.cluster.simulation.history import REVISION_LABEL, current_revision, trim_history
from trimtab.cluster.simulation.kinds import DAEMON_SET, NODE, POD
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.nodes import refusal
from trimtab.cluster.simulation.podspec import (
    available_in,
    is_finished,
    is_ready,
    is_terminating,
    pod_from_template,
)
from trimtab.cluster.simulation.rollout import pods_of
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["DaemonSetController"]

COMPONENT = "daemonset-controller"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


def daemon_spec(spec: Object, node: str) -> Object:
    """A pod spec that only `node` takes and that tolerates what daemons tolerate."""
    pinned = {
        "nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        ]
    }
    affinity = dict(spec.get("affinity") or {})
    affinity["nodeAffinity"] = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": pinned,
    }
    extra = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    tolerations = [*(spec.get("tolerations") or ()), *extra]
    return {**spec, "affinity": affinity, "tolerations": tolerations}


def node_of(pod: Object) -> str:
    """The node a daemon Pod is on or meant for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            return str(field["values"][0])
    return ""


class DaemonSetController:
    """Keeps DaemonSets."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("daemonset", self.reconcile)
        kit.on(DAEMON_SET, self._changed)
        kit.on(POD, self._pod_changed)
        kit.on(NODE, self._node_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            self.queue.add(key_of(subject))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        owner = controller_of(subject) if subject is not None else None
        if subject is not None and owner is not None and owner.get("kind") == "DaemonSet":
            namespace = subject["metadata"]["namespace"]
            self.queue.add(ObjectKey("apps", "DaemonSet", namespace, owner["name"]))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        same = (
            old is not None
            and new is not None
            and old["spec"] == new["spec"]
            and old["metadata"].get("labels") == new["metadata"].get("labels")
        )
        if not same:
            for owner in self.kit.cache.of_kind(DAEMON_SET):
                self.queue.add(key_of(owner))

    def reconcile(self, key: ObjectKey) -> None:
        owner = self.kit.get(DAEMON_SET, key.namespace, key.name)
        if owner is None or is_terminating(owner):
            return
        pods = claim(self.kit, owner, api_version="apps/v1", kind="DaemonSet")
        try:
            revision = current_revision(self.kit, owner, kind="DaemonSet")
        except TrimtabError as error:
            if error.reason in {"NotFound", "Forbidden"}:
                return
            raise
        digest = revision["metadata"]["name"].removeprefix(f"{owner['metadata']['name']}-")
        wanted = [n["metadata"]["name"] for n in self.kit.cache.of_kind(NODE) if _takes(owner, n)]
        self._place(owner, pods, wanted, digest)
        self._roll(owner, wanted, digest)
        self._write_status(owner, wanted, digest)
        live = {f"{owner['metadata']['name']}-{_digest(p)}" for p in self._pods(owner)}
        trim_history(self.kit, owner, live=live | {revision["metadata"]["name"]})

    def _pods(self, owner: Object) -> list[Object]:
        return self.kit.cache.owned(owner["metadata"]["uid"], POD)

    def _place(self, owner: Object, pods: list[Object], wanted: list[str], digest: str) -> None:
        """Creates missing Pods; deletes finished, doubled and misplaced ones."""
        by_node: dict[str, list[Object]] = defaultdict(list)
        for pod in pods:
            if is_finished(pod) and not is_terminating(pod):
                self._delete(owner, pod)
            else:
                by_node[node_of(pod)].append(pod)
        for node in wanted:
            if not by_node[node] and not self._create(owner, node, digest):
                return
        for node, present in by_node.items():
            keep = 1 if node in wanted else 0
            for pod in [p for p in present if not is_terminating(p)][keep:]:
                self._delete(owner, pod)

    def _create(self, owner: Object, node: str, digest: str) -> bool:
        meta, template = owner["metadata"], owner["spec"]["template"]
        pod = pod_from_template(
            template,
            namespace=meta["namespace"],
            owner=owner_reference(owner, api_version="apps/v1", kind="DaemonSet"),
            prefix=f"{meta['name']}-",
        )
        labels: dict[str, Any] = pod["metadata"].get("labels") or {}
        pod["metadata"]["labels"] = {**labels, REVISION_LABEL: digest}
        pod["spec"] = daemon_spec(pod["spec"], node)
        try:
            made = self.kit.create(pod)
        except TrimtabError as error:
            if error.reason != "NotFound":
                message = f"Error creating: {error.message}"
                self.kit.warn(owner, "FailedCreate", message, component=COMPONENT)
                self.queue.add_after(key_of(owner), 5.0)
            return False
        message = f"Created pod: {made['metadata']['name']}"
        self.kit.event(owner, "SuccessfulCreate", message, component=COMPONENT)
        return True

    def _delete(self, owner: Object, pod: Object) -> None:
        self.kit.delete(pod)
        message = f"Deleted pod: {pod['metadata']['name']}"
        self.kit.event(owner, "SuccessfulDelete", message, component=COMPONENT)

    def _available(self, owner: Object, pod: Object) -> bool:
        if is_terminating(pod):
            return False
        wait = available_in(
            pod, min_ready_s=owner["spec"].get("minReadySeconds", 0), now=self.kit.clock.now()
        )
        if wait:
            self.queue.add_after(key_of(owner), wait)
        return wait == 0

    def _roll(self, owner: Object, wanted: list[str], digest: str) -> None:
        """RollingUpdate: old Pods go while at most maxUnavailable nodes lack an available one.

        maxSurge is not simulated: a surge rolls as maxUnavailable of the same size would.
        """
        strategy = owner["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        rolling = strategy.get("rollingUpdate") or {}
        budget = pods_of(rolling.get("maxUnavailable", 1), len(wanted), up=True)
        if not budget:
            budget = max(1, pods_of(rolling.get("maxSurge", 0), len(wanted), up=True))
        pods = [p for p in self._pods(owner) if node_of(p) in wanted]
        up = [p for p in pods if self._available(owner, p)]
        old = [p for p in pods if _digest(p) != digest and not is_terminating(p)]
        if not old:
            return
        if rolling.get("maxSurge"):
            message = "maxSurge is not simulated; old Pods end before new ones start"
            self.kit.warn(owner, "SurgeNotSimulated", message, component=COMPONENT)
        up_names = {p["metadata"]["name"] for p in up}
        broken = [p for p in old if p["metadata"]["name"] not in up_names]
        healthy = [p for p in old if p["metadata"]["name"] in up_names]
        room = max(0, budget - (len(wanted) - len(up)))
        for pod in [*broken, *healthy[:room]]:
            self._delete(owner, pod)

    def _write_status(self, owner: Object, wanted: list[str], digest: str) -> None:
        by_node: dict[str, Object] = {}
        for pod in self._pods(owner):
            if not is_finished(pod):
                by_node.setdefault(node_of(pod), pod)
        placed = [by_node[node] for node in wanted if node in by_node]
        available = sum(self._available(owner, p) for p in placed)
        status: Object = {
            "currentNumberScheduled": len(placed),
            "numberMisscheduled": sum(node not in wanted for node in by_node),
            "desiredNumberScheduled": len(wanted),
            "numberReady": sum(is_ready(p) for p in placed),
            "observedGeneration": owner["metadata"].get("generation", 0),
        }
        counts = {
            "updatedNumberScheduled": sum(_digest(p) == digest for p in placed),
            "numberAvailable": available,
            "numberUnavailable": len(wanted) - available,
        }
        status.update({name: count for name, count in counts.items() if count})
        self.kit.set_status(owner, status)


def _digest(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def _takes(owner: Object, node: Object) -> bool:
    spec = owner["spec"]["template"].get("spec") or {}
    extra = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    return not refusal({**spec, "tolerations": [*(spec.get("tolerations") or ()), *extra]}, node)
