"""Cluster IPs and node ports of Services (spec/embedded-cluster.md 9)."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from trimtab.cluster.errors import invalid
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Store
from trimtab.objects import FieldError
from trimtab.objects.identity import GroupKind

__all__ = ["Allocator"]

SERVICE: Final = GroupKind("", "Service")
NETWORK: Final = ipaddress.ip_network("10.96.0.0/16")
PORTS: Final = range(30000, 32768)
Object = dict[str, Any]


class Allocator:
    """Takes the first address and port that no Service has; remembers where it was."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next_ip = 10
        self._next_port = 0

    def on_create(self, resource: Resource, obj: Object) -> Object:
        if resource.storage != SERVICE:
            return obj
        spec = dict(obj.get("spec") or {})
        kind = spec.get("type", "ClusterIP")
        if kind != "ExternalName":
            self._address(obj, spec)
        if kind in ("NodePort", "LoadBalancer"):
            spec["ports"] = self._ports(spec.get("ports") or [])
        return {**obj, "spec": spec}

    def on_update(self, resource: Resource, old: Object, obj: Object) -> Object:
        """What was allocated stays, though the client did not send it; changing it is refused."""
        if resource.storage != SERVICE:
            return obj
        before, spec = old.get("spec") or {}, dict(obj.get("spec") or {})
        if spec.get("type", "ClusterIP") == "ExternalName":
            return obj
        if not before.get("clusterIP"):
            return self.on_create(resource, obj)
        given = spec.get("clusterIP")
        if given and given != before["clusterIP"]:
            error = FieldError("Invalid", "spec.clusterIP", given, "field is immutable")
            raise invalid("Service", "", obj["metadata"]["name"], [error])
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if field in before and not spec.get(field):
                spec[field] = before[field]
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            known = {_port_key(port): port.get("nodePort") for port in before.get("ports") or ()}
            ports = [
                port
                if port.get("nodePort") or not known.get(_port_key(port))
                else {**port, "nodePort": known[_port_key(port)]}
                for port in spec.get("ports") or ()
            ]
            spec["ports"] = self._ports(ports)
        return {**obj, "spec": spec}

    def _address(self, obj: Object, spec: Object) -> None:
        given = spec.get("clusterIP")
        if given == "None":
            spec["clusterIPs"] = ["None"]
            return
        used = {
            (record.obj.get("spec") or {}).get("clusterIP")
            for record in self._store.iterate(SERVICE)
        }
        if given:
            if given in used:
                error = FieldError(
                    "Invalid", "spec.clusterIPs", [given], "provided IP is already allocated"
                )
                raise invalid("Service", "", obj["metadata"]["name"], [error])
            spec["clusterIPs"] = [given]
            return
        while str(NETWORK[self._next_ip]) in used:
            self._next_ip += 1
        spec["clusterIP"] = str(NETWORK[self._next_ip])
        spec["clusterIPs"] = [spec["clusterIP"]]
        self._next_ip += 1

    def _ports(self, ports: list[Object]) -> list[Object]:
        used = {
            port.get("nodePort")
            for record in self._store.iterate(SERVICE)
            for port in (record.obj.get("spec") or {}).get("ports") or ()
        }
        out = []
        for port in ports:
            if not port.get("nodePort"):
                while PORTS[self._next_port % len(PORTS)] in used:
                    self._next_port += 1
                port = {**port, "nodePort": PORTS[self._next_port % len(PORTS)]}
                self._next_port += 1
            out.append(port)
        return out


def _port_key(port: Object) -> tuple[Any, Any]:
    return port.get("port"), port.get("protocol", "TCP")
