"""A controller: keys in, one reconcile at a time for each, results and errors into the queue.

The contract of a reconcile: it is called with a key and nothing else, reads the present state
from the cache, and must be idempotent. It does not learn which event woke it (the reasons are
for people). It returns a `Result`, or raises: `Retryable`, `Terminal`, `NotOwned`, a kube
`Conflict`, or anything else, which is logged as a fault and backed off. It is cancelled after
5 minutes. Source: spec/controller-runtime.md 6, 17.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from trimtab.errors import TrimtabError
from trimtab.kube import Clock, ClusterCache, Conflict, LiveObject
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime.clock import within
from trimtab.runtime.errors import NotOwned, Retryable, Terminal
from trimtab.runtime.logs import Logger
from trimtab.runtime.metrics import Metrics
from trimtab.runtime.queue import Item, Priority, QueueStats, WorkQueue

__all__ = [
    "Context",
    "Controller",
    "Key",
    "Predicate",
    "Reconcile",
    "Result",
    "Watch",
    "any_change",
    "generation_or_annotations_changed",
]

RECONCILE_S = 300.0
RESYNC_S = 600.0
DEBOUNCE_S = 0.1
SPREAD = 0.2


class Key(msgspec.Struct, frozen=True, order=True):
    """The custom resource to reconcile; its kind is the controller's."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Result(msgspec.Struct, frozen=True):
    """Success. `requeue_after_s` None: at the next event, or the periodic resync."""

    requeue_after_s: float | None = None


class Context(msgspec.Struct, frozen=True):
    """What a reconcile may know besides its key. `reasons` say why it runs; at most 8."""

    clock: Clock
    log: Logger
    reasons: tuple[str, ...] = ()


Reconcile = Callable[[Context, Key], Awaitable[Result]]
Predicate = Callable[[LiveObject | None, LiveObject | None], bool]


def generation_or_annotations_changed(old: LiveObject | None, new: LiveObject | None) -> bool:
    """Did something change that a person asked for? Status updates alone do not.

    The generation alone does not tell: without a status subresource (Argo CD's Application) every
    status update raises it, and some kinds have none. Then what is outside metadata and status is
    compared.
    """
    if old is None or new is None or old.uid != new.uid:
        return True
    before, after = old.obj, new.obj
    if _asked(before) != _asked(after):
        return True
    if old.generation and old.generation == new.generation:
        return False
    return _content(before) != _content(after)


def any_change(old: LiveObject | None, new: LiveObject | None) -> bool:
    """Wake on everything."""
    return True


class Watch(msgspec.Struct, frozen=True):
    """Another kind whose changes wake keys. `mapper` gets the object as a dict and must be pure
    and fast; it is asked for the old and the new state of an object."""

    gk: GroupKind
    mapper: Callable[[dict[str, Any]], Iterable[Key]]
    predicate: Predicate = any_change


class Controller:
    """Reconciles every object of `gk`. The `Manager` runs it."""

    def __init__(
        self,
        name: str,
        gk: GroupKind,
        reconcile: Reconcile,
        *,
        workers: int = 4,
        watches: Iterable[Watch] = (),
        predicate: Predicate = generation_or_annotations_changed,
        reconcile_timeout_s: float = RECONCILE_S,
        resync_s: float = RESYNC_S,
        debounce_s: float = DEBOUNCE_S,
    ) -> None:
        self.name = name
        self.gk = gk
        self.watches = tuple(watches)
        self._reconcile = reconcile
        self._workers = workers
        self._predicate = predicate
        self._timeout_s = reconcile_timeout_s
        self._resync_s = resync_s
        self._debounce_s = debounce_s
        self._queue: WorkQueue[Key] | None = None
        self._early: list[tuple[Key, str, float, int]] = []
        self._running = 0

    @property
    def kinds(self) -> tuple[GroupKind, ...]:
        """Every kind it must see."""
        return tuple(dict.fromkeys((self.gk, *(watch.gk for watch in self.watches))))

    def enqueue(
        self, key: Key, reason: str, delay_s: float = 0.0, priority: int = Priority.USER
    ) -> None:
        """Reconcile the key, now or in `delay_s` seconds. What comes before the start is kept."""
        if self._queue is None:
            self._early.append((key, reason, delay_s, priority))
        else:
            self._queue.add(key, reason, priority=priority, delay_s=delay_s)

    def stats(self) -> QueueStats:
        return self._queue.stats() if self._queue else QueueStats(len(self._early), 0, 0)

    @property
    def running(self) -> int:
        """How many reconciles are running."""
        return self._running

    # -- events ----------------------------------------------------------------------------

    def observe(self, old: LiveObject | None, new: LiveObject | None) -> None:
        """One change of the cache. Cheap for kinds that are not ours."""
        record = new or old
        if record is None:
            return
        gk = record.gvk.group_kind
        if gk == self.gk and self._predicate(old, new):
            reason = f"{gk.kind} {record.key.name} {_change(old, new)}"
            self.enqueue(_key(record), reason, priority=Priority.EVENT)
        for watch in self.watches:
            if watch.gk == gk and watch.predicate(old, new):
                self._observe_other(watch, old, new)

    def _observe_other(self, watch: Watch, old: LiveObject | None, new: LiveObject | None) -> None:
        record = new or old
        assert record is not None
        reason = f"{watch.gk.kind} {record.key.name} {_change(old, new)}"
        keys = dict.fromkeys(
            key for each in (old, new) if each is not None for key in watch.mapper(each.obj)
        )
        for key in keys:
            self.enqueue(key, reason, self._debounce_s, Priority.DEPENDENCY)

    def enqueue_all(self, cache: ClusterCache) -> None:
        """Every object there is, behind live changes (REL-12)."""
        for record in cache.list(self.gk):
            self.enqueue(_key(record), "initial list", priority=Priority.INITIAL)

    # -- work ------------------------------------------------------------------------------

    def open(self, clock: Clock) -> None:
        """Make the queue; keys that came early enter it."""
        self._queue = WorkQueue(clock=clock)
        early, self._early = self._early, []
        for key, reason, delay_s, priority in early:
            self.enqueue(key, reason, delay_s, priority)

    async def run(
        self, cache: ClusterCache, *, clock: Clock, log: Logger, metrics: Metrics
    ) -> None:
        """Work until `close`; then return once every running reconcile has ended."""
        assert self._queue is not None, "open() comes first"
        log = log.bind(controller=self.name)
        metrics.watch_queue(self.name, self._queue.depths)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(), name=f"{self.name} timers")
            for number in range(self._workers):
                group.create_task(
                    self._work(cache, clock, log, metrics), name=f"{self.name} worker {number}"
                )

    def close(self) -> None:
        """Start nothing more."""
        if self._queue is not None:
            self._queue.close()

    async def _work(self, cache: ClusterCache, clock: Clock, log: Logger, metrics: Metrics) -> None:
        assert self._queue is not None
        while (item := await self._queue.get()) is not None:
            started = clock.monotonic()
            self._running += 1
            outcome = "cancelled"
            try:
                outcome = await self._attempt(item, cache, clock, log)
            finally:
                self._running -= 1
                self._queue.done(item.key)
                metrics.reconciled(
                    self.name,
                    outcome,
                    seconds=clock.monotonic() - started,
                    waited_s=item.waited_s,
                )

    async def _attempt(
        self, item: Item[Key], cache: ClusterCache, clock: Clock, log: Logger
    ) -> str:
        """Run one reconcile and tell the queue what follows; the outcome's name for metrics."""
        key = item.key
        log = log.bind(key=key)
        context = Context(clock, log, item.reasons)
        try:
            result = await within(clock, self._timeout_s, _call(self._reconcile, context, key))
        except Terminal as error:
            log.warning("reconcile stalled", reason=error.reason, detail=error)
            self._settle(cache, key, Result())
            return "terminal"
        except NotOwned:
            self._settled(key)
            return "not_owned"
        except Retryable as error:
            self._retry(key, error, log, least_s=error.after_s or 0.0)
            return "retry"
        except Conflict as error:
            return self._conflict(key, error, log)
        except TimeoutError as error:
            self._retry(key, error, log)
            return "timeout"
        except TrimtabError as error:
            self._retry(key, error, log)
            return "error"
        except Exception as error:  # noqa: BLE001 - one bad object must not stop the others
            log.error("reconcile raised an unexpected error", error=error)
            self._retry(key, error, None)
            return "panic"
        self._settle(cache, key, result)
        return "success"

    def _settle(self, cache: ClusterCache, key: Key, result: Result) -> None:
        """Done with the key until its next time: what it asked for, or the periodic resync."""
        queue = self._settled(key)
        if result.requeue_after_s is not None:
            queue.requeue(key, "interval", delay_s=result.requeue_after_s, priority=Priority.RESYNC)
        elif self._resync_s > 0 and cache.get(self._object_key(key)) is not None:
            delay = self._resync_s * _spread(key)
            queue.requeue(key, "resync", delay_s=delay, priority=Priority.RESYNC)

    def _object_key(self, key: Key) -> ObjectKey:
        return ObjectKey(self.gk.group, self.gk.kind, key.namespace, key.name)

    def _settled(self, key: Key) -> WorkQueue[Key]:
        assert self._queue is not None
        self._queue.succeed(key)
        return self._queue

    def _conflict(self, key: Key, error: Conflict, log: Logger) -> str:
        assert self._queue is not None
        if self._queue.failures(key) == 0:
            self._queue.fail(key, "conflict")
            log.debug("reconcile met a conflict", detail=error)
        else:
            self._retry(key, error, log)
        return "conflict"

    def _retry(
        self, key: Key, error: BaseException, log: Logger | None, *, least_s: float = 0.0
    ) -> None:
        assert self._queue is not None
        delay = self._queue.fail(key, "retry", least_s=least_s)
        if log is not None:
            reason = getattr(error, "reason", type(error).__name__)
            log.warning("reconcile failed", reason=reason, detail=error, retry_s=round(delay, 3))


async def _call(reconcile: Reconcile, context: Context, key: Key) -> Result:
    try:
        return await reconcile(context, key)
    except ExceptionGroup as group:
        # A task group with one failed task says nothing that the failure itself does not.
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from group
        raise


def _key(record: LiveObject) -> Key:
    return Key(record.key.namespace, record.key.name)


def _change(old: LiveObject | None, new: LiveObject | None) -> str:
    if old is None:
        return "added"
    return "changed" if new is not None else "deleted"


def _spread(key: Key) -> float:
    """0.8 to 1.2 by the key, so that resyncs are never in lock-step."""
    share = (zlib.crc32(str(key).encode()) % 1000) / 1000
    return 1 - SPREAD + 2 * SPREAD * share


def _asked(obj: dict[str, Any]) -> tuple[Any, ...]:
    meta = obj.get("metadata") or {}
    return (
        meta.get("annotations"),
        meta.get("labels"),
        meta.get("deletionTimestamp"),
        # A finalizer matters to others only while the object waits for the last one to go.
        meta.get("finalizers") if meta.get("deletionTimestamp") else None,
    )


def _content(obj: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
