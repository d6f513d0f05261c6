"""Addresses from outside: Services of type LoadBalancer, and Ingresses of any class."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.faults import fault_of
from trimtab.cluster.simulation.kinds import INGRESS, SERVICE
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.podspec import is_terminating
from trimtab.objects.identity import GroupKind, ObjectKey, key_of

__all__ = ["LoadBalancerController"]

COMPONENT = "service-controller"
INGRESS_IP = "198.18.0.1"  # a range set aside for benchmarks: nobody's address


class LoadBalancerController:
    """Gives out addresses after a delay, takes them back when they are no longer asked for."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("load-balancer", self.reconcile)
        self._first_seen: dict[str, float] = {}
        kit.on(SERVICE, self._changed)
        kit.on(INGRESS, self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))
        elif old is not None:
            self._first_seen.pop(old["metadata"]["uid"], None)

    def reconcile(self, key: ObjectKey) -> None:
        gk = GroupKind(key.group, key.kind)
        obj = self.kit.get(gk, key.namespace, key.name)
        if obj is None or is_terminating(obj):
            return
        status = obj.get("status") or {}
        given = (status.get("loadBalancer") or {}).get("ingress")
        if not self._wanted(obj):
            if given:
                self.kit.set_status(obj, {**status, "loadBalancer": {}})
            return
        fault = fault_of(obj)
        if given or (fault is not None and fault.name == "pending-lb"):
            return
        now = self.kit.clock.monotonic()
        seen = self._first_seen.setdefault(obj["metadata"]["uid"], now)
        left = seen + self.kit.delays.load_balancer - now
        if left > 0:
            self.queue.add_after(key, left)
            return
        self._give(obj, status)

    def _wanted(self, obj: Object) -> bool:
        if obj["kind"] == INGRESS.kind:
            return True
        spec = obj["spec"]
        return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")

    def _give(self, obj: Object, status: Object) -> None:
        if obj["kind"] == INGRESS.kind:
            ingress: Object = {"ip": INGRESS_IP}
            self.kit.event(obj, "Sync", "Scheduled for sync", component="embedded-ingress")
        else:
            ingress = {"ip": self._free_address(), "ipMode": "VIP"}
            message = "Ensured load balancer"
            self.kit.event(obj, "EnsuredLoadBalancer", message, component=COMPONENT)
        self.kit.set_status(obj, {**status, "loadBalancer": {"ingress": [ingress]}})

    def _free_address(self) -> str:
        """The lowest free address of 198.19.0.0/16, so that a run can be repeated."""
        taken = {
            entry.get("ip")
            for service in self.kit.cache.of_kind(SERVICE)
            for entry in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
            or ()
        }
        numbers = range(1, 65_534)
        return next(ip for n in numbers if (ip := f"198.19.{n >> 8}.{n & 255}") not in taken)
