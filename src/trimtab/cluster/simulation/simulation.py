"""The simulation of one cluster: every controller, one queue runner, one clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from trimtab.cluster.simulation.accounts import AccountController
from trimtab.cluster.simulation.api import World
from trimtab.cluster.simulation.autoscaler import AutoscalerController
from trimtab.cluster.simulation.clock import Clock
from trimtab.cluster.simulation.cronjob import CronJobController
from trimtab.cluster.simulation.daemonset import DaemonSetController
from trimtab.cluster.simulation.deployment import DeploymentController
from trimtab.cluster.simulation.disruption import DisruptionController
from trimtab.cluster.simulation.endpoints import EndpointController
from trimtab.cluster.simulation.heartbeat import HeartbeatController, new_node
from trimtab.cluster.simulation.job import JobController
from trimtab.cluster.simulation.kinds import NODE, WATCHED
from trimtab.cluster.simulation.kit import Delays, Kit
from trimtab.cluster.simulation.kubelet import Kubelet
from trimtab.cluster.simulation.loadbalancer import LoadBalancerController
from trimtab.cluster.simulation.replicaset import ReplicaSetController
from trimtab.cluster.simulation.runner import Runner
from trimtab.cluster.simulation.scheduler import Scheduler
from trimtab.cluster.simulation.stages import Stage, StageController
from trimtab.cluster.simulation.statefulset import StatefulSetController
from trimtab.cluster.simulation.volumes import VolumeController

__all__ = ["Simulation", "start"]


class Simulation:
    """The controllers of one cluster at work.

    `settle` and `advance` are synchronous and meant for a manual clock; `run` works on a real or
    scaled one until it is cancelled.
    """

    def __init__(self, kit: Kit, *, unsubscribe: Callable[[], None]) -> None:
        self._kit = kit
        self._unsubscribe = unsubscribe

    @property
    def clock(self) -> Clock:
        return self._kit.clock

    @property
    def reconciles(self) -> int:
        """How many reconciles ran since the start."""
        return self._kit.runner.reconciles

    @property
    def idle(self) -> bool:
        """Whether no controller has anything to do at this instant."""
        return self._kit.runner.idle

    async def run(self) -> None:
        """Works until cancelled. With a manual clock it only waits."""
        try:
            await self._kit.runner.run()
        finally:
            self.close()

    def settle(self) -> int:
        """Runs all that is due now; the number of reconciles. Raises LiveLock after 10,000."""
        return self._kit.runner.settle()

    def advance(self, seconds: float) -> int:
        """Moves a manual clock on, firing timers in order; the number of reconciles."""
        return self._kit.runner.advance(seconds)

    def close(self) -> None:
        """Stops listening to the world. Harmless when repeated."""
        self._unsubscribe()


def start(
    world: World,
    *,
    clock: Clock,
    rng: random.Random,
    stages: Sequence[Stage] = (),
    delays: Delays | None = None,
    nodes: int = 1,
    ca_pem: str = "",
) -> Simulation:
    """Starts the controllers on a world; what is there already is taken up.

    `stages`: lives of custom kinds. `delays`: how long things take; none with a manual clock
    unless given. `nodes`: how many nodes to make when the world has none. `ca_pem`: what
    `kube-root-ca.crt` holds; without it that ConfigMap is left to the world.
    """
    chosen = delays or (Delays.instant() if clock.manual else Delays())
    kit = Kit(world, clock=clock, rng=rng, delays=chosen, runner=Runner(clock=clock))
    AccountController(kit, ca_pem=ca_pem)
    for controller in _CONTROLLERS:
        controller(kit)
    StageController(kit, stages)
    unsubscribe = world.subscribe(kit.observe)
    custom = dict.fromkeys(stage.kind for stage in stages)
    for gk in (*WATCHED, *custom):
        for obj in world.list(gk):
            kit.observe("ADDED", None, obj)
    if not world.list(NODE):
        for number in range(1, nodes + 1):
            kit.create(new_node(f"sim-node-{number}"), manager="kubelet")
    return Simulation(kit, unsubscribe=unsubscribe)


_CONTROLLERS: tuple[Callable[[Kit], object], ...] = (
    HeartbeatController,
    VolumeController,
    CronJobController,
    JobController,
    DeploymentController,
    ReplicaSetController,
    StatefulSetController,
    DaemonSetController,
    Scheduler,
    Kubelet,
    EndpointController,
    LoadBalancerController,
    AutoscalerController,
    DisruptionController,
)
