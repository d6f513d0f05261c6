"""The simulation of one cluster: every controller, one queue runner, one clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from trimtab.cluster.simulation.api import Object, World
from trimtab.cluster.simulation.clock import Clock
from trimtab.cluster.simulation.deployment import DeploymentController
from trimtab.cluster.simulation.endpoints import EndpointController
from trimtab.cluster.simulation.kinds import WATCHED
from trimtab.cluster.simulation.kit import Delays, Kit
from trimtab.cluster.simulation.kubelet import Kubelet
from trimtab.cluster.simulation.replicaset import ReplicaSetController
from trimtab.cluster.simulation.runner import Runner
from trimtab.cluster.simulation.scheduler import Scheduler

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
    delays: Delays | None = None,
) -> Simulation:
    """Starts the controllers on a world; what is there already is taken up.

    `delays`: how long things take; none with a manual clock unless given.
    """
    chosen = delays or (Delays.instant() if clock.manual else Delays())
    kit = Kit(world, clock=clock, rng=rng, delays=chosen, runner=Runner(clock=clock))
    for controller in _CONTROLLERS:
        controller(kit)
    unsubscribe = world.subscribe(kit.observe)
    for obj in _existing(world):
        kit.observe("ADDED", None, obj)
    return Simulation(kit, unsubscribe=unsubscribe)


_CONTROLLERS: tuple[Callable[[Kit], object], ...] = (
    DeploymentController,
    ReplicaSetController,
    Scheduler,
    Kubelet,
    EndpointController,
)


def _existing(world: World) -> Iterable[Object]:
    for gk in WATCHED:
        yield from world.list(gk)
