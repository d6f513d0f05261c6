"""Simulated controllers: what moves the objects of the embedded cluster."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Listener, Object, World
from trimtab.cluster.simulation.clock import Clock, ManualClock, RealClock, ScaledClock, clock_of
from trimtab.cluster.simulation.kinds import SIMULATED
from trimtab.cluster.simulation.kit import Delays
from trimtab.cluster.simulation.runner import LiveLock
from trimtab.cluster.simulation.simulation import Simulation, start
from trimtab.cluster.simulation.stages import Stage

__all__ = [
    "SIMULATED",
    "Clock",
    "Delays",
    "Listener",
    "LiveLock",
    "ManualClock",
    "Object",
    "RealClock",
    "ScaledClock",
    "Simulation",
    "Stage",
    "World",
    "clock_of",
    "start",
]
