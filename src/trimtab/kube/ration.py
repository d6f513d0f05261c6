"""Rationing requests to one API server: a token bucket with lanes.

Source: spec/controller-runtime.md 3 (50/s, burst 100; lanes).
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from trimtab.kube.calls import Lane
from trimtab.kube.ports import Clock

__all__ = ["Ration"]


class _Waiter:
    """One request that waits. `wake` is set when it was served, or is to lead."""

    __slots__ = ("gone", "served", "wake")

    def __init__(self) -> None:
        self.served = False
        self.gone = False
        self.wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def rouse(self) -> None:
        if not self.wake.done():
            self.wake.set_result(None)


class Ration:
    """`qps` requests a second on average, `burst` at once; the lowest lane waits longest.

    `qps` None means no limit. Of those who wait one leads: it sleeps and serves the others, so
    that a long line costs no more wake-ups than a short one.
    """

    def __init__(self, qps: float | None, burst: int, *, clock: Clock) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._line: list[tuple[int, int, _Waiter]] = []
        self._leader: _Waiter | None = None
        self._order = count()

    async def take(self, lane: Lane) -> None:
        """Return when one request may be sent."""
        if self._qps is None or lane is Lane.LEASE:
            return
        self._fill()
        if self._tokens >= 1 and not self._line:
            self._tokens -= 1
            return
        me = _Waiter()
        heapq.heappush(self._line, (int(lane), next(self._order), me))
        try:
            if self._leader is not None:
                await me.wake
            if not me.served:
                await self._lead(me, self._qps)
        except BaseException:
            me.gone = True
            if me.served:
                self._tokens += 1  # given to us, but not used
            raise
        finally:
            if self._leader is me:
                self._hand_over()

    async def _lead(self, me: _Waiter, qps: float) -> None:
        self._leader = me
        while not me.served:
            self._fill()
            while self._tokens >= 1 and not me.served:
                self._serve()
            if not me.served:
                await self._clock.sleep(max(0.001, (1 - self._tokens) / qps))

    def _serve(self) -> None:
        """Give one token to the first in line. The leader is in line, so there is somebody."""
        _, _, waiter = heapq.heappop(self._line)
        if not waiter.gone:
            self._tokens -= 1
            waiter.served = True
            waiter.rouse()

    def _hand_over(self) -> None:
        while self._line and self._line[0][2].gone:
            heapq.heappop(self._line)
        self._leader = self._line[0][2] if self._line else None
        if self._leader is not None:
            self._leader.rouse()

    def _fill(self) -> None:
        now = self._clock.monotonic()
        gained = (now - self._at) * (self._qps or 0)
        self._at = now
        self._tokens = min(self._burst, self._tokens + max(0.0, gained))
