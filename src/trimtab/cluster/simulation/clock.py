"""The cluster's time: real, scaled, or moved by hand (spec/embedded-cluster.md 11)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from trimtab.errors import TrimtabError

__all__ = [
    "Clock",
    "ManualClock",
    "RealClock",
    "ScaledClock",
    "clock_of",
    "micro_time",
    "parse_time",
    "stamp",
]


class Clock(Protocol):
    """Cluster time. `manual` says that it stands still unless someone moves it."""

    @property
    def manual(self) -> bool: ...

    def now(self) -> datetime:
        """The cluster's date, aware, UTC."""

    def monotonic(self) -> float:
        """Cluster seconds since some fixed point; never goes back."""

    def wall_seconds(self, cluster_seconds: float) -> float | None:
        """Real seconds until `cluster_seconds` have gone by, or None when only a hand moves it."""


class RealClock:
    """Cluster seconds are seconds."""

    manual = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_seconds(self, cluster_seconds: float) -> float | None:
        return max(0.0, cluster_seconds)


class ScaledClock:
    """Cluster time runs `factor` times as fast as real time."""

    manual = False

    def __init__(self, factor: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        if not factor > 0:
            raise TrimtabError(
                f"clock scale {factor} is not above zero", hint="use manual to stop the clock"
            )
        self.factor = factor
        self._monotonic = monotonic
        self._start = monotonic()
        self._epoch = datetime.now(UTC)

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (self._monotonic() - self._start) * self.factor

    def wall_seconds(self, cluster_seconds: float) -> float | None:
        return max(0.0, cluster_seconds / self.factor)


class ManualClock:
    """Stands still until `move_to`. `start` is the first date it shows."""

    manual = True

    def __init__(self, start: datetime | None = None) -> None:
        self._epoch = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._seconds = 0.0

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def wall_seconds(self, cluster_seconds: float) -> float | None:
        del cluster_seconds
        return None

    def move_to(self, seconds: float) -> None:
        """Shows `seconds` after the start; never moves back."""
        self._seconds = max(self._seconds, seconds)


def clock_of(text: str | float) -> RealClock | ScaledClock | ManualClock:
    """The clock that `real`, `manual` or a factor names."""
    if text == "real":
        return RealClock()
    if text == "manual":
        return ManualClock()
    try:
        return ScaledClock(float(text))
    except ValueError as error:
        raise TrimtabError(f"clock {text!r} is not real, manual or a number above zero") from error


def stamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as `metav1.Time` is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(moment: datetime) -> str:
    """RFC 3339 with six digits, as `metav1.MicroTime` is written (Lease.renewTime)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """The moment an RFC 3339 text names."""
    return datetime.fromisoformat(text)
