"""Nodes: made when there are none, ready, and alive by their Lease."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.clock import micro_time
from trimtab.cluster.simulation.conditions import condition
from trimtab.cluster.simulation.kinds import LEASE, NODE
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.podspec import is_terminating
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["HeartbeatController", "new_node"]

LEASES = "kube-node-lease"
_HEALTH = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "sufficient PID available"),
    ("Ready", "True", "KubeletReady", "simulated kubelet is posting ready status"),
)
_ROOM = {"cpu": "32", "memory": "128Gi", "ephemeral-storage": "500Gi", "pods": "1000"}


def new_node(name: str) -> Object:
    """A node of the simulation."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "beta.kubernetes.io/arch": "amd64",
            },
        },
        "spec": {},
    }


class HeartbeatController:
    """Fills the status of new nodes and renews Leases. A heartbeat is one small write."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("heartbeat", self.reconcile)
        self._beats: dict[str, float] = {}
        kit.on(NODE, self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))
        elif old is not None:
            self._beats.pop(old["metadata"]["name"], None)

    def reconcile(self, key: ObjectKey) -> None:
        node = self.kit.get(NODE, "", key.name)
        if node is None or is_terminating(node):
            return
        if condition((node.get("status") or {}).get("conditions"), "Ready") is None:
            self._report(node)
        now = self.kit.clock.monotonic()
        last = self._beats.get(key.name)
        if last is None or now >= last + self.kit.delays.heartbeat:
            self._beats[key.name] = now
            self._renew(node)
        left = self._beats[key.name] + self.kit.delays.heartbeat - now
        self.queue.add_after(key, max(left, 0.001))

    def _report(self, node: Object) -> None:
        names = sorted(n["metadata"]["name"] for n in self.kit.cache.of_kind(NODE))
        number = names.index(node["metadata"]["name"]) + 1
        now, name = self.kit.now(), node["metadata"]["name"]
        status: Object = {
            "capacity": _ROOM,
            "allocatable": _ROOM,
            "addresses": [
                {"type": "InternalIP", "address": f"10.0.{number >> 8}.{number & 255}"},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "simulated://1",
                "kernelVersion": "simulated",
                "kubeProxyVersion": "",
                "kubeletVersion": "embedded",
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated",
                "systemUUID": "",
            },
            **(node.get("status") or {}),
        }
        status["conditions"] = [
            {
                "type": kind,
                "status": value,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
                "reason": reason,
                "message": message,
            }
            for kind, value, reason, message in _HEALTH
        ]
        self.kit.set_status(node, status, manager="kubelet")

    def _renew(self, node: Object) -> None:
        name = node["metadata"]["name"]
        moment = micro_time(self.kit.clock.now())
        lease = self.kit.world.get(LEASE, LEASES, name)
        try:
            if lease is None:
                self.kit.create(_lease(node, moment), manager="kubelet")
            else:
                self.kit.edit(
                    lease, lambda f: f["spec"].update(renewTime=moment), manager="kubelet"
                )
        except TrimtabError as error:
            if error.reason not in {"NotFound", "Forbidden"}:  # without the namespace, no Leases
                raise


def _lease(node: Object, moment: str) -> Object:
    meta = node["metadata"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": meta["name"], "uid": meta["uid"]}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": meta["name"], "namespace": LEASES, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": meta["name"],
            "leaseDurationSeconds": 40,
            "renewTime": moment,
        },
    }
