"""The scheduler: binds Pods to nodes round robin, or says why it cannot."""

from __future__ import annotations

from collections import Counter

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.conditions import set_condition
from trimtab.cluster.simulation.faults import fault_of, fault_of_image
from trimtab.cluster.simulation.kinds import NODE, POD, PVC, STORAGE_CLASS
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.nodes import refusal
from trimtab.cluster.simulation.podspec import is_finished, is_terminating
from trimtab.cluster.simulation.podstatus import qos_class
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["SELECTED_NODE", "Scheduler", "claims_of"]

COMPONENT = "default-scheduler"
MANAGER = "kube-scheduler"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def claims_of(pod: Object) -> list[str]:
    """Names of the PersistentVolumeClaims a Pod mounts, generic ephemeral ones too."""
    names = []
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            names.append(f"{pod['metadata']['name']}-{volume['name']}")
    return names


class Scheduler:
    """Binds every Pod of `default-scheduler` that no node has."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("scheduler", self.reconcile)
        self._turn = 0
        self._first_seen: dict[str, float] = {}
        self._stuck: dict[ObjectKey, None] = {}
        kit.on(POD, self._pod_changed)
        kit.on(NODE, self._retry)
        kit.on(PVC, self._retry)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and not new["spec"].get("nodeName"):
            self.queue.add(key_of(new))
        elif old is not None:
            self._first_seen.pop(old["metadata"]["uid"], None)
            self._stuck.pop(key_of(old), None)

    def _retry(self, old: Object | None, new: Object | None) -> None:
        """A node or a claim changed: Pods without a place look again."""
        if self._stuck and (old is None or new is None or _matters(old, new)):
            for key in self._stuck:
                self.queue.add(key)

    def reconcile(self, key: ObjectKey) -> None:
        pod = self.kit.get(POD, key.namespace, key.name)
        if pod is None or pod["spec"].get("nodeName") or is_finished(pod) or is_terminating(pod):
            return
        spec = pod["spec"]
        if spec.get("schedulerName", "default-scheduler") != "default-scheduler":
            return
        if spec.get("schedulingGates"):
            self._say(pod, "SchedulingGated", "Scheduling is blocked due to non-empty gates")
            return
        now = self.kit.clock.monotonic()
        seen = self._first_seen.setdefault(pod["metadata"]["uid"], now)
        if now < seen + self.kit.delays.schedule:
            self.queue.add_after(key, seen + self.kit.delays.schedule - now)
            return
        node, reason = self._place(pod)
        if not reason and node is not None:
            reason = self._volumes(pod, node)
        if reason or node is None:
            self._stuck[key] = None
            self._say(pod, "Unschedulable", reason)
            return
        self._bind(pod, node)

    def _place(self, pod: Object) -> tuple[Object | None, str]:
        """A node, or why there is none."""
        nodes = sorted(self.kit.cache.of_kind(NODE), key=lambda n: n["metadata"]["name"])
        if not nodes:
            return None, "no nodes available to schedule pods"
        fault = fault_of(pod) or fault_of_image(pod["spec"]["containers"][0].get("image") or "")
        reasons: Counter[str] = Counter()
        for offset in range(len(nodes)):
            node = nodes[(self._turn + offset) % len(nodes)]
            why = refusal(pod["spec"], node)
            if fault is not None and fault.name == "unschedulable":
                why = "Insufficient cpu"
            if not why:
                self._turn = (self._turn + offset + 1) % len(nodes)
                return node, ""
            reasons[why] += 1
        detail = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
        none = f"0/{len(nodes)} nodes are available"
        tail = f"preemption: {none}: {len(nodes)} Preemption is not helpful for scheduling."
        return None, f"{none}: {detail}. {tail}"

    def _volumes(self, pod: Object, node: Object) -> str:
        """Why its claims hold it back; claims that wait for a consumer are told the node."""
        namespace = pod["metadata"]["namespace"]
        waiting = ""
        for name in claims_of(pod):
            claim = self.kit.get(PVC, namespace, name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if (claim.get("status") or {}).get("phase") == "Bound":
                continue
            storage = self.kit.get(STORAGE_CLASS, "", claim["spec"].get("storageClassName") or "")
            if storage is None or storage.get("volumeBindingMode") != "WaitForFirstConsumer":
                return "pod has unbound immediate PersistentVolumeClaims"
            if SELECTED_NODE not in (claim["metadata"].get("annotations") or {}):
                self.kit.edit(
                    claim, lambda fresh: _select(fresh, node["metadata"]["name"]), manager=MANAGER
                )
            waiting = f'waiting for persistentvolumeclaim "{name}" to be bound'
        return waiting

    def _bind(self, pod: Object, node: Object) -> None:
        name = node["metadata"]["name"]

        def change(fresh: Object) -> None:
            fresh["spec"]["nodeName"] = name

        self.kit.edit(pod, change, manager=MANAGER, subresource="binding")
        meta = pod["metadata"]
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {name}"
        self.kit.event(pod, "Scheduled", message, component=COMPONENT)

    def _say(self, pod: Object, reason: str, message: str) -> None:
        status = pod.get("status") or {}
        conditions = set_condition(
            status.get("conditions"), "PodScheduled", "False", now=self.kit.now(),
            reason=reason, message=message, observedGeneration=pod["metadata"].get("generation"),
        )  # fmt: skip
        if conditions == status.get("conditions"):
            return
        new = {**status, "phase": "Pending", "conditions": conditions}
        new.setdefault("qosClass", qos_class(pod["spec"]))
        self.kit.set_status(pod, new, manager=MANAGER)
        if reason == "Unschedulable":
            self.kit.warn(pod, "FailedScheduling", message, component=COMPONENT)


def _matters(old: Object, new: Object) -> bool:
    """Heartbeats change a node too often to look at them."""
    return (
        old.get("spec") != new.get("spec")
        or old["metadata"].get("labels") != new["metadata"].get("labels")
        or (old.get("status") or {}).get("phase") != (new.get("status") or {}).get("phase")
    )


def _select(claim: Object, node: str) -> None:
    annotations = claim["metadata"].get("annotations") or {}
    claim["metadata"]["annotations"] = {**annotations, SELECTED_NODE: node}
