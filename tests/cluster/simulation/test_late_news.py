"""A world may tell of a write later than it answers: a durable one commits in groups."""

from __future__ import annotations

import random
from typing import Any

from trimtab.cluster.simulation import ManualClock, start

from .fixtures import conditions, deployment, node, service, set_image
from .test_workloads import job, workload
from .world import MemoryWorld


class LateWorld(MemoryWorld):
    """Tells its listeners only when asked to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waiting: list[tuple[str, Any, Any]] = []

    def _tell(self, change: str, old: Any, new: Any) -> None:
        self.waiting.append((change, old, new))

    def tell_all(self) -> None:
        news, self.waiting = self.waiting, []
        for each in news:
            super()._tell(*each)


def _late_cluster(*objects: Any) -> tuple[LateWorld, Any]:
    clock = ManualClock()
    world = LateWorld(clock=clock)
    world.create(node(), manager="test")
    simulation = start(world, clock=clock, rng=random.Random(1))
    for obj in objects:
        world.create(obj, manager="user")
    return world, simulation


def _come_to_rest(world: LateWorld, simulation: Any) -> None:
    while world.waiting:
        world.tell_all()
        simulation.settle()


def test_late_news_never_makes_a_pod_twice():
    world, simulation = _late_cluster(deployment(), service(), workload("DaemonSet", "agent"))
    _come_to_rest(world, simulation)
    made = [name for change, name in world.log if change == "ADDED" and "/Pod/" in f"/{name}"]
    assert len(made) == 4
    assert conditions(world.one("Deployment", "web"))["Progressing"][1] == "NewReplicaSetAvailable"


def test_late_news_of_the_gone_does_not_bring_them_back():
    world, simulation = _late_cluster(deployment(), job(completions=2, parallelism=2))
    _come_to_rest(world, simulation)
    world.change("Deployment", "web", set_image("web:2"))
    _come_to_rest(world, simulation)
    created = [name for change, name in world.log if change == "ADDED" and "Pod/" in name]
    assert len(created) == 3 + 2 + 3
    web = world.one("Deployment", "web")["status"]
    assert web["replicas"] == web["updatedReplicas"] == web["availableReplicas"] == 3
    assert world.one("Job", "once")["status"]["succeeded"] == 2
