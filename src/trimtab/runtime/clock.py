"""Time as an argument: the machine's, or one that a test moves.

Source: spec/controller-runtime.md 17.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from trimtab.kube import Clock

__all__ = ["Clock", "ManualClock", "SystemClock", "within"]

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTLE_TURNS = 20


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """Time that moves only when `advance` is called."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Until the clock was advanced this far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers in their order; what they start gets its turn in between."""
        target = self._elapsed + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed = max(self._elapsed, due)
            woken.set_result(None)
            await _settle()
        self._elapsed = target
        await _settle()

    def next_due(self) -> float | None:
        """Seconds until somebody wants to wake; None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] - self._elapsed if self._sleepers else None


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; cancels it and raises TimeoutError after `seconds` of the clock.

    Work that ends as cancelled though nobody cancelled it is a RuntimeError: to the caller a
    CancelledError would mean that the caller itself must end.
    """
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.cancelled():
            raise RuntimeError("the work cancelled itself")
        if task.done():
            return task.result()
        raise TimeoutError(f"not done after {seconds:.0f} s")
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            # Its cleanup runs before we go on: nobody else owns the task.
            await asyncio.wait({task})
        if task.done() and not task.cancelled():
            task.exception()  # looked at, so that the loop does not report it again


async def _settle() -> None:
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)
