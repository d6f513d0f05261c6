"""Service -> EndpointSlices and Endpoints: the addresses of the Pods a Service selects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.labels import has_labels
from trimtab.cluster.simulation.podspec import is_finished, is_ready, is_terminating
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["EndpointController"]

NAME_LABEL = "kubernetes.io/service-name"
MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
_SLICE_SIZE = 100

Ports = tuple[tuple[str, int, str, str], ...]  # (name, number, protocol, appProtocol)


def _number(port: Object, pod: Object) -> int | None:
    """The Pod's port number of a Service port; None when a named one is not there."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or int(port["port"])
    for container in pod["spec"].get("containers") or ():
        for candidate in container.get("ports") or ():
            same = candidate.get("protocol", "TCP") == port.get("protocol", "TCP")
            if candidate.get("name") == target and same:
                return int(candidate["containerPort"])
    return None


def ports_for(service: Object, pod: Object) -> Ports:
    """The ports a Pod offers to a Service."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = _number(port, pod)
        if number is not None:
            protocol = port.get("protocol", "TCP")
            found.append((port.get("name", ""), number, protocol, port.get("appProtocol", "")))
    return tuple(found)


def selected(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The Pods with an address that a Service selects, ordered by name."""
    selector = service["spec"].get("selector") or {}
    chosen = [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("podIP")
        and not is_finished(pod)
        and has_labels(selector, pod["metadata"].get("labels") or {})
    ]
    return sorted(chosen, key=lambda pod: pod["metadata"]["name"])


def _endpoint(service: Object, pod: Object) -> Object:
    ready, leaving = is_ready(pod), is_terminating(pod)
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    meta = pod["metadata"]
    endpoint: Object = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": always or (ready and not leaving),
            "serving": ready,
            "terminating": leaving,
        },
        "targetRef": {
            "kind": "Pod",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
        "nodeName": pod["spec"]["nodeName"],
    }
    spec = pod["spec"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def _slice_ports(ports: Ports) -> list[Object]:
    return [
        {"name": n, "port": p, "protocol": proto, **({"appProtocol": app} if app else {})}
        for n, p, proto, app in ports
    ]


def desired_slices(service: Object, pods: list[Object]) -> list[tuple[list[Object], list[Object]]]:
    """(ports, endpoints) of each slice: one for each set of ports, at most 100 endpoints."""
    groups: dict[Ports, list[Object]] = defaultdict(list)
    for pod in pods:
        groups[ports_for(service, pod)].append(_endpoint(service, pod))
    if not groups:
        return [([], [])]
    slices: list[tuple[list[Object], list[Object]]] = []
    for ports, endpoints in groups.items():
        starts = range(0, len(endpoints), _SLICE_SIZE)
        slices.extend((_slice_ports(ports), endpoints[at : at + _SLICE_SIZE]) for at in starts)
    return slices


def desired_subsets(service: Object, pods: list[Object]) -> list[Object]:
    """The older shape: ready and not ready addresses per set of ports."""
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[Ports, tuple[list[Object], list[Object]]] = defaultdict(lambda: ([], []))
    for pod in pods:
        if is_terminating(pod) and not always:
            continue
        endpoint = _endpoint(service, pod)
        address: Object = {
            "ip": endpoint["addresses"][0],
            "nodeName": endpoint["nodeName"],
            "targetRef": endpoint["targetRef"],
        }
        if "hostname" in endpoint:
            address["hostname"] = endpoint["hostname"]
        groups[ports_for(service, pod)][0 if always or is_ready(pod) else 1].append(address)
    subsets = []
    for ports, (ready, unready) in groups.items():
        subset: Object = {}
        if ready:
            subset["addresses"] = ready
        if unready:
            subset["notReadyAddresses"] = unready
        numbers = [
            {k: v for k, v in port.items() if k != "name" or v} for port in _slice_ports(ports)
        ]
        if numbers:
            subset["ports"] = numbers
        subsets.append(subset)
    return subsets


class EndpointController:
    """Keeps the endpoints of Services that have a selector."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("endpointslice", self.reconcile)
        kit.on(SERVICE, self._service_changed)
        kit.on(POD, self._pod_changed)
        kit.on(ENDPOINT_SLICE, self._slice_changed)
        kit.on(ENDPOINTS, self._service_changed)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            meta = subject["metadata"]
            self.queue.add(ObjectKey("", "Service", meta["namespace"], meta["name"]))

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            name = (subject["metadata"].get("labels") or {}).get(NAME_LABEL)
            if name:
                namespace = subject["metadata"]["namespace"]
                self.queue.add(ObjectKey("", "Service", namespace, name))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is None or _same_to_services(old, new):
            return
        labels = [p["metadata"].get("labels") or {} for p in (old, new) if p is not None]
        for service in self.kit.cache.of_kind(SERVICE, subject["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and any(has_labels(selector, each) for each in labels):
                self.queue.add(key_of(service))

    def reconcile(self, key: ObjectKey) -> None:
        service = self.kit.get(SERVICE, key.namespace, key.name)
        if service is None:
            self._remove(key)
            return
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return
        if is_terminating(service):
            return
        pods = selected(service, self.kit.cache.of_kind(POD, key.namespace))
        self._write_slices(service, desired_slices(service, pods))
        self._write_endpoints(service, desired_subsets(service, pods))

    def _remove(self, key: ObjectKey) -> None:
        """Slices go with their owner; Endpoints have none and are removed here."""
        endpoints = self.kit.get(ENDPOINTS, key.namespace, key.name)
        marker = "endpoints.kubernetes.io/managed-by"
        if endpoints is not None and marker in (endpoints["metadata"].get("labels") or {}):
            self.kit.delete(endpoints)

    def _write_slices(
        self, service: Object, wanted: list[tuple[list[Object], list[Object]]]
    ) -> None:
        slices = sorted(
            self.kit.cache.owned(service["metadata"]["uid"], ENDPOINT_SLICE),
            key=lambda s: s["metadata"]["name"],
        )
        for have, (ports, endpoints) in zip(slices, wanted, strict=False):
            same = (have.get("endpoints") or []) == endpoints
            if not same or (have.get("ports") or []) != ports:
                self.kit.edit(have, _filler(ports, endpoints))
        for have in slices[len(wanted) :]:
            self.kit.delete(have)
        for ports, endpoints in wanted[len(slices) :]:
            self._create(self._new_slice(service, ports, endpoints))

    def _new_slice(self, service: Object, ports: list[Object], endpoints: list[Object]) -> Object:
        meta = service["metadata"]
        labels = {
            **(meta.get("labels") or {}),
            NAME_LABEL: meta["name"],
            MANAGED_LABEL: MANAGED_BY,
            **({HEADLESS: ""} if service["spec"].get("clusterIP") == "None" else {}),
        }
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{meta['name']}-",
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference(service, api_version="v1", kind="Service")],
            },
            "addressType": "IPv4",
            "ports": ports,
            "endpoints": endpoints,
        }

    def _write_endpoints(self, service: Object, subsets: list[Object]) -> None:
        meta = service["metadata"]
        have = self.kit.get(ENDPOINTS, meta["namespace"], meta["name"])
        if have is None:
            labels: dict[str, Any] = {
                **(meta.get("labels") or {}),
                "endpoints.kubernetes.io/managed-by": "endpoint-controller",
            }
            made: Object = {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "metadata": {
                    "name": meta["name"],
                    "namespace": meta["namespace"],
                    "labels": labels,
                },
            }
            self._create({**made, "subsets": subsets} if subsets else made)
        elif (have.get("subsets") or []) != subsets:
            self.kit.edit(have, lambda fresh: fresh.update(subsets=subsets))

    def _create(self, obj: Object) -> None:
        try:
            self.kit.create(obj)
        except TrimtabError as error:
            if error.reason not in {"NotFound", "Forbidden"}:  # the namespace is going away
                raise


def _filler(ports: list[Object], endpoints: list[Object]) -> Callable[[Object], None]:
    def fill(fresh: Object) -> None:
        fresh.update(ports=ports, endpoints=endpoints)

    return fill


def _same_to_services(old: Object | None, new: Object | None) -> bool:
    """Whether nothing of a Pod changed that endpoints show."""
    if old is None or new is None:
        return False

    def view(pod: Object) -> tuple[Any, ...]:
        return (
            pod["metadata"].get("labels"),
            (pod.get("status") or {}).get("podIP"),
            is_ready(pod),
            is_terminating(pod),
            is_finished(pod),
        )

    return view(old) == view(new)
