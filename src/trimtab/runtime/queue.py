"""The work queue: which key is worked on next. One worker a key, no wake-up lost.

`Schedule` is the pure half: a state machine in which time is an argument. `WorkQueue` is the thin
half that waits. Source: spec/controller-runtime.md 6.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable, Iterable
from enum import IntEnum
from itertools import count
from typing import Generic, TypeVar

import msgspec

from trimtab.kube import Clock

__all__ = ["Item", "Priority", "QueueStats", "Schedule", "WorkQueue"]

K = TypeVar("K", bound=Hashable)

MAX_REASONS = 8
AGEING_S = 30.0
BACKOFF_BASE_S = 0.005
BACKOFF_CAP_S = 300.0
FAILURES_PER_S = 10.0
FAILURES_BURST = 100.0


class Priority(IntEnum):
    """Lower goes first. A waiting key rises one level every 30 s."""

    USER = 0
    EVENT = 1
    DEPENDENCY = 2
    INITIAL = 3
    RESYNC = 4


class Item(msgspec.Struct, Generic[K], frozen=True):
    """A key to work on, why, and how long it was ready (seconds)."""

    key: K
    reasons: tuple[str, ...]
    priority: int
    waited_s: float


class QueueStats(msgspec.Struct, frozen=True):
    ready: int
    delayed: int
    processing: int


class _Entry:
    __slots__ = ("priority", "reasons", "since")

    def __init__(self, since: float, priority: int) -> None:
        self.since = since
        self.priority = priority
        self.reasons: dict[str, None] = {}


class Schedule(Generic[K]):
    """Ready keys in lanes of priority, keys being worked on, keys that are due later.

    A key has two timers: the earliest time somebody asked for, and its own (back-off, requeue),
    which each finished run sets anew.
    """

    def __init__(self) -> None:
        self._ready: dict[K, _Entry] = {}
        self._lanes: tuple[deque[tuple[K, _Entry]], ...] = tuple(deque() for _ in Priority)
        self._processing: dict[K, float] = {}
        self._again: dict[K, _Entry] = {}
        self._heap: list[tuple[float, int, K, bool]] = []
        self._due: dict[tuple[K, bool], tuple[float, int, str]] = {}
        self._order = count()
        self._failures: dict[K, int] = {}
        self._tokens = FAILURES_BURST
        self._tokens_at = 0.0

    # -- in --------------------------------------------------------------------------------

    def add(self, key: K, reason: str, *, now: float, priority: int, delay_s: float = 0.0) -> None:
        """Work on the key, now or later; of several delays the earliest due time holds."""
        if delay_s > 0:
            self._plan(key, now + delay_s, priority, reason, own=False)
            return
        if key in self._processing:
            entry = self._again.setdefault(key, _Entry(now, priority))
        elif key in self._ready:
            entry = self._ready[key]
        else:
            entry = self._ready[key] = _Entry(now, priority)
            self._lanes[priority].append((key, entry))
        if priority < entry.priority:
            entry.priority = priority
            if entry is self._ready.get(key):
                self._lanes[priority].append((key, entry))
        _remember(entry, (reason,))

    def requeue(
        self, key: K, reason: str, *, now: float, delay_s: float, priority: int = Priority.RESYNC
    ) -> None:
        """Set the key's own timer, replacing the one it had."""
        self._due.pop((key, True), None)
        self._plan(key, now + max(0.0, delay_s), priority, reason, own=True)

    def fail(self, key: K, reason: str, *, now: float, least_s: float = 0.0) -> float:
        """Try the key again after its back-off; the seconds until then. Rationed over all keys."""
        attempt = self._failures.get(key, 0)
        self._failures[key] = attempt + 1
        delay = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0 ** min(attempt, 32))
        delay = max(delay, least_s, self._ration(now))
        self.requeue(key, reason, now=now, delay_s=delay, priority=Priority.EVENT)
        return delay

    def succeed(self, key: K) -> None:
        """The key's back-off and own timer start afresh."""
        self._failures.pop(key, None)
        self._due.pop((key, True), None)

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    # -- out -------------------------------------------------------------------------------

    def take(self, now: float) -> Item[K] | None:
        """The most urgent ready key, which is from now on being worked on; None when none is."""
        self._wake(now)
        best: tuple[float, float, int] | None = None
        for lane, waiting in enumerate(self._lanes):
            while waiting and not self._current(lane, *waiting[0]):
                waiting.popleft()
            if waiting:
                since = waiting[0][1].since
                level = max(0.0, lane - (now - since) // AGEING_S)
                best = min(best, (level, since, lane)) if best else (level, since, lane)
        if best is None:
            return None
        key, entry = self._lanes[best[2]].popleft()
        del self._ready[key]
        self._processing[key] = now
        return Item(key, tuple(entry.reasons), entry.priority, max(0.0, now - entry.since))

    def done(self, key: K) -> None:
        """The worker let go of the key; what was added meanwhile makes it ready again, once."""
        self._processing.pop(key, None)
        entry = self._again.pop(key, None)
        if entry is not None:
            self._ready[key] = entry
            self._lanes[entry.priority].append((key, entry))

    def next_due(self) -> float | None:
        """When the earliest delayed key becomes ready; None without one."""
        while self._heap and not self._valid(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def stats(self) -> QueueStats:
        return QueueStats(len(self._ready), len(self._due), len(self._processing))

    def depths(self) -> dict[int, int]:
        """Ready keys for each priority."""
        depths = dict.fromkeys((int(each) for each in Priority), 0)
        for entry in self._ready.values():
            depths[entry.priority] += 1
        return depths

    # -- inside ----------------------------------------------------------------------------

    def _plan(self, key: K, due: float, priority: int, reason: str, *, own: bool) -> None:
        held = self._due.get((key, own))
        if held is not None:
            due, priority = min(due, held[0]), min(priority, held[1])
            if due == held[0]:
                self._due[key, own] = (due, priority, held[2])
                return
        self._due[key, own] = (due, priority, reason)
        heapq.heappush(self._heap, (due, next(self._order), key, own))

    def _wake(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            first = heapq.heappop(self._heap)
            if self._valid(first):
                due, _, key, own = first
                _, priority, reason = self._due.pop((key, own))
                self.add(key, reason, now=due, priority=priority)

    def _valid(self, entry: tuple[float, int, K, bool]) -> bool:
        due, _, key, own = entry
        held = self._due.get((key, own))
        return held is not None and held[0] == due

    def _current(self, lane: int, key: K, entry: _Entry) -> bool:
        return self._ready.get(key) is entry and entry.priority == lane

    def _ration(self, now: float) -> float:
        self._tokens = min(
            FAILURES_BURST, self._tokens + max(0.0, now - self._tokens_at) * FAILURES_PER_S
        )
        self._tokens_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / FAILURES_PER_S)


class WorkQueue(Generic[K]):
    """A `Schedule` that can be waited on. `run` moves delayed keys when they are due."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._schedule: Schedule[K] = Schedule()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._timer_due: float | None = None
        self._retime = asyncio.Event()

    def add(
        self, key: K, reason: str, *, priority: int = Priority.EVENT, delay_s: float = 0.0
    ) -> None:
        now = self._clock.monotonic()
        self._schedule.add(key, reason, now=now, priority=priority, delay_s=delay_s)
        self._changed()

    def requeue(self, key: K, reason: str, *, delay_s: float, priority: int) -> None:
        """Set the key's own timer, replacing the one it had."""
        self._schedule.requeue(
            key, reason, now=self._clock.monotonic(), delay_s=delay_s, priority=priority
        )
        self._changed()

    def fail(self, key: K, reason: str, *, least_s: float = 0.0) -> float:
        """Back the key off; the seconds until it is ready again."""
        delay = self._schedule.fail(key, reason, now=self._clock.monotonic(), least_s=least_s)
        self._changed()
        return delay

    def succeed(self, key: K) -> None:
        self._schedule.succeed(key)

    def failures(self, key: K) -> int:
        return self._schedule.failures(key)

    def done(self, key: K) -> None:
        self._schedule.done(key)
        self._changed()

    async def get(self) -> Item[K] | None:
        """The next key; None once the queue is closed."""
        while not self._closed:
            item = self._schedule.take(self._clock.monotonic())
            if item is not None:
                self._changed()
                return item
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._takers.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake_taker()  # the call was for us, but we leave
                raise
        return None

    def close(self) -> None:
        """Give out nothing more. What is being worked on is not touched."""
        self._closed = True
        while self._takers:
            self._wake_taker()
        self._retime.set()

    async def run(self) -> None:
        """Wake workers when delayed keys become due; until closed. Sleeps otherwise."""
        while not self._closed:
            self._retime.clear()
            due = self._timer_due = self._schedule.next_due()
            if due is None:
                await self._retime.wait()
            else:
                await self._sleep_until(due)

    async def _sleep_until(self, due: float) -> None:
        left = due - self._clock.monotonic()
        if left > 0:
            nap = asyncio.ensure_future(self._clock.sleep(left))
            change = asyncio.ensure_future(self._retime.wait())
            try:
                await asyncio.wait({nap, change}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                nap.cancel()
                change.cancel()
            return
        # Due: a worker takes it from here; its taking retimes us.
        if self._takers:
            self._wake_taker()
        await self._retime.wait()

    def stats(self) -> QueueStats:
        return self._schedule.stats()

    def depths(self) -> dict[int, int]:
        return self._schedule.depths()

    def _changed(self) -> None:
        if self._schedule.stats().ready and self._takers:
            self._wake_taker()
        due = self._schedule.next_due()
        if due != self._timer_due:
            self._retime.set()

    def _wake_taker(self) -> None:
        while self._takers:
            turn = self._takers.popleft()
            if not turn.done():
                turn.set_result(None)
                return


def _remember(entry: _Entry, reasons: Iterable[str]) -> None:
    for reason in reasons:
        if len(entry.reasons) < MAX_REASONS:
            entry.reasons[reason] = None
