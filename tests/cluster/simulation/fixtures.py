"""A settled little cluster on a manual clock, and the objects tests put into it."""

from __future__ import annotations

import random
from typing import Any

from trimtab.cluster.simulation import Delays, ManualClock, Simulation, start

from .world import MemoryWorld

Object = dict[str, Any]


def node(name: str = "sim-node-1", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
    }


def cluster(
    *objects: Object, nodes: int = 1, delays: Delays | None = None, **options: Any
) -> tuple[MemoryWorld, Simulation]:
    """A world with nodes and objects, and the simulation on it, settled."""
    clock = ManualClock()
    world = MemoryWorld(clock=clock)
    for number in range(1, nodes + 1):
        world.create(node(f"sim-node-{number}"), manager="test")
    simulation = start(world, clock=clock, rng=random.Random(1), delays=delays, **options)
    for obj in objects:
        world.create(obj, manager="test")
    simulation.settle()
    return world, simulation


def template(image: str = "web:1", **spec: Any) -> Object:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}], **spec},
    }


def deployment(
    name: str = "web", *, image: str = "web:1", replicas: int = 3, **spec: Any
) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            **spec,
        },
    }


def pod(
    name: str = "lone", *, image: str = "web:1", annotations: Any = None, **spec: Any
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "demo",
            "labels": {"app": name},
            "annotations": annotations or {},
        },
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }


def service(name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}], **spec},
    }


def set_image(image: str) -> Any:
    def edit(obj: Object) -> None:
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image

    return edit


def conditions(obj: Object) -> dict[str, tuple[str, str]]:
    """type -> (status, reason) of an object's conditions."""
    found = (obj.get("status") or {}).get("conditions") or []
    return {c["type"]: (c["status"], c.get("reason", "")) for c in found}
