"""Queues and timers of the simulated controllers: who runs next, and when.

Controllers run round robin in the order they were added, keys in insertion order, one at a
time, so two runs over one history make the same writes (spec/embedded-cluster.md 11). A turn is
every key that waited when it began: a ReplicaSet then looks at a hundred started Pods once, not
a hundred times.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter
from collections.abc import Callable

from trimtab.cluster.simulation.clock import Clock, ManualClock
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey

__all__ = ["LiveLock", "Queue", "Runner"]

_log = logging.getLogger(__name__)

_RETRY_BASE_S = 0.1
_RETRY_CAP_S = 60.0
_BATCH = 50  # reconciles between two turns of the event loop, so requests are served meanwhile


class LiveLock(TrimtabError):
    """The controllers did not come to rest."""

    reason = "LiveLock"


class Queue:
    """One controller's keys: due now, or due at a time. A key waits at most once in each."""

    def __init__(
        self, name: str, reconcile: Callable[[ObjectKey], None], *, runner: Runner
    ) -> None:
        self.name = name
        self.reconcile = reconcile
        self.ready: dict[ObjectKey, None] = {}  # insertion order is the order of work
        self.due: dict[ObjectKey, float] = {}
        self.failures: dict[ObjectKey, int] = {}
        self._runner = runner

    def add(self, key: ObjectKey) -> None:
        """Queues `key` for this instant."""
        if key not in self.ready:
            self.ready[key] = None
            self._runner.wake()

    def add_after(self, key: ObjectKey, delay_s: float) -> None:
        """Queues `key` for `delay_s` cluster seconds from now; an earlier timer stays."""
        if delay_s <= 0:
            self.add(key)
            return
        self._runner.arm(self, key, delay_s)


class Runner:
    """Runs queues round robin and fires timers in order of time, then of insertion."""

    def __init__(self, *, clock: Clock, settle_limit: int = 10_000) -> None:
        self.clock = clock
        self.queues: list[Queue] = []
        self.reconciles = 0
        self._settle_limit = settle_limit
        self._timers: list[tuple[float, int, Queue, ObjectKey]] = []
        self._sequence = 0
        self._turn = -1
        self._left = 0  # keys of the current turn still to do
        self._wake = asyncio.Event()

    def queue(self, name: str, reconcile: Callable[[ObjectKey], None]) -> Queue:
        """A new queue, last in the round."""
        queue = Queue(name, reconcile, runner=self)
        self.queues.append(queue)
        return queue

    @property
    def idle(self) -> bool:
        """Whether nothing is due now."""
        due = self.next_due()
        waits = any(queue.ready for queue in self.queues)
        return not waits and (due is None or due > self.clock.monotonic())

    def wake(self) -> None:
        self._wake.set()

    def arm(self, queue: Queue, key: ObjectKey, delay_s: float) -> None:
        """Sets a timer unless an earlier one stands."""
        due = self.clock.monotonic() + delay_s
        standing = queue.due.get(key)
        if standing is not None and standing <= due:
            return
        queue.due[key] = due
        self._sequence += 1
        heapq.heappush(self._timers, (due, self._sequence, queue, key))
        self.wake()

    def next_due(self) -> float | None:
        """When the next standing timer fires, in cluster seconds, or None."""
        while self._timers:
            due, _, queue, key = self._timers[0]
            if queue.due.get(key) == due:
                return due
            heapq.heappop(self._timers)  # superseded by an earlier timer
        return None

    def fire_due(self) -> None:
        """Moves every key whose time has come to its queue."""
        now = self.clock.monotonic()
        while (due := self.next_due()) is not None and due <= now:
            _, _, queue, key = heapq.heappop(self._timers)
            del queue.due[key]
            queue.add(key)

    def step(self) -> tuple[Queue, ObjectKey] | None:
        """One reconcile of the next queue in the round; None when all are empty."""
        queue = self._current()
        if queue is None:
            return None
        self._left -= 1
        key = next(iter(queue.ready))
        del queue.ready[key]
        self._reconcile(queue, key)
        return queue, key

    def _current(self) -> Queue | None:
        """The queue whose turn it is, or the next with work; None when all are empty."""
        if self._left > 0 and self.queues[self._turn].ready:
            return self.queues[self._turn]
        for offset in range(1, len(self.queues) + 1):
            turn = (self._turn + offset) % len(self.queues)
            if self.queues[turn].ready:
                self._turn, self._left = turn, len(self.queues[turn].ready)
                return self.queues[turn]
        return None

    def _reconcile(self, queue: Queue, key: ObjectKey) -> None:
        self.reconciles += 1
        try:
            queue.reconcile(key)
        except TrimtabError as error:
            level = logging.DEBUG if error.reason in {"Conflict", "NotFound"} else logging.WARNING
            _log.log(level, "reconcile failed: %s %s: %s", queue.name, key, error)
            self._retry(queue, key)
        except Exception:
            if self.clock.manual:  # a test wants to see our mistakes
                raise
            # One object that we cannot handle must not stop the whole cluster.
            _log.exception("reconcile failed: %s %s", queue.name, key)
            self._retry(queue, key)
        else:
            queue.failures.pop(key, None)

    def _retry(self, queue: Queue, key: ObjectKey) -> None:
        failures = queue.failures.get(key, 0)
        queue.failures[key] = failures + 1
        self.arm(queue, key, min(_RETRY_CAP_S, _RETRY_BASE_S * 2 ** min(failures, 16)))

    def settle(self) -> int:
        """Runs everything due at this instant. Returns the number of reconciles.

        Raises LiveLock, naming the busiest keys, when the queues do not become empty.
        """
        busy: Counter[tuple[str, ObjectKey]] = Counter()
        for count in range(self._settle_limit):
            self.fire_due()
            ran = self.step()
            if ran is None:
                return count
            busy[ran[0].name, ran[1]] += 1
        names = ", ".join(f"{name} {key} ({n})" for (name, key), n in busy.most_common(5))
        raise LiveLock(
            f"the cluster did not settle in {self._settle_limit} reconciles",
            why=f"busiest: {names}",
        )

    def advance(self, seconds: float) -> int:
        """Moves a manual clock on, settling at every timer on the way, in order of time."""
        clock = self.clock
        if not isinstance(clock, ManualClock):
            raise TrimtabError("only a manual clock can be advanced", hint="use clock=manual")
        target = clock.monotonic() + seconds
        count = self.settle()
        while (due := self.next_due()) is not None and due <= target:
            clock.move_to(due)
            count += self.settle()
        clock.move_to(target)
        return count + self.settle()

    async def run(self) -> None:
        """Works until cancelled. With a manual clock it waits: `settle` and `advance` work."""
        if self.clock.manual:
            await asyncio.Event().wait()
        while True:
            self.fire_due()
            ran = 0
            while ran < _BATCH and self.step() is not None:
                ran += 1
            if ran:
                await asyncio.sleep(0)
                continue
            await self._rest()

    async def _rest(self) -> None:
        """Waits for work or for the next timer, whichever comes first."""
        self._wake.clear()
        due = self.next_due()
        wait = None if due is None else self.clock.wall_seconds(due - self.clock.monotonic())
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            return
