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


class Ration:
    """`qps` requests a second on average, `burst` at once; the lowest lane waits longest.

    `qps` None means no limit.
    """

    def __init__(self, qps: float | None, burst: int, *, clock: Clock) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    async def take(self, lane: Lane) -> None:
        """Return when one request may be sent."""
        if self._qps is None or lane is Lane.LEASE:
            return
        self._fill()
        if self._tokens >= 1 and not self._waiting:
            self._tokens -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (int(lane), next(self._order), turn)
        heapq.heappush(self._waiting, entry)
        try:
            while not turn.done():
                # Whoever waits serves the head of the heap, which may be somebody else.
                if not self._serve():
                    nap = asyncio.ensure_future(
                        self._clock.sleep(max(0.001, (1 - self._tokens) / self._qps))
                    )
                    try:
                        await asyncio.wait({nap, turn}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        nap.cancel()
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._tokens += 1  # the turn was given to us but is not used
            turn.cancel()
            raise

    def _serve(self) -> bool:
        """Give a token to the first in line. False when there is none to give."""
        self._fill()
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        if self._tokens < 1 or not self._waiting:
            return False
        self._tokens -= 1
        heapq.heappop(self._waiting)[2].set_result(None)
        return True

    def _fill(self) -> None:
        now = self._clock.monotonic()
        gained = (now - self._at) * (self._qps or 0)
        self._at = now
        self._tokens = min(self._burst, self._tokens + max(0.0, gained))
