"""Owns the life of controllers: caches first, then workers, and a stop that finishes work.

Source: spec/controller-runtime.md 6 (start gating), 11 (shutdown), 17.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from trimtab.kube import ApiError, Client, Clock, ClusterCache, LiveObject
from trimtab.objects import GroupKind
from trimtab.runtime.controller import Controller
from trimtab.runtime.logs import Logger, stderr_logger
from trimtab.runtime.metrics import Metrics

__all__ = ["Manager"]

GRACE_S = 20.0
FLUSH_S = 5.0
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
SYNC_S = 60.0


class Manager:
    """Runs controllers on one cluster's cache."""

    def __init__(
        self,
        client: Client,
        cache: ClusterCache,
        *,
        clock: Clock,
        log: Logger | None = None,
        metrics: Metrics | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self.client = client
        self.cache = cache
        self._clock = clock
        self._log = log or stderr_logger(clock=clock)
        self._metrics = metrics or Metrics(CollectorRegistry(), log=self._log)
        self._grace_s = grace_s
        self._controllers: list[Controller] = []
        self._services: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._by_kind: dict[GroupKind, list[Controller]] = {}
        self._started: set[str] = set()

    @property
    def controllers(self) -> tuple[Controller, ...]:
        return tuple(self._controllers)

    @property
    def ready(self) -> bool:
        """Has every controller begun to work?"""
        return len(self._started) == len(self._controllers)

    def add(self, controller: Controller) -> None:
        """Before `run`."""
        self._controllers.append(controller)

    def add_service(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Something that runs beside the controllers (an event recorder). It is cancelled after
        they have ended, and has 5 s to flush."""
        self._services.append((name, run))

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then let running reconciles finish, at most 20 s.

        Enters the cache when the caller has not. An exception of a service ends the run.
        """
        async with AsyncExitStack() as stack:
            if not self.cache.running:
                await stack.enter_async_context(self.cache)
            async with asyncio.TaskGroup() as services:
                tasks = [
                    services.create_task(_keep(run), name=name) for name, run in self._services
                ]
                try:
                    await self._run_controllers(stop)
                finally:
                    for task in tasks:
                        task.cancel()

    async def _run_controllers(self, stop: asyncio.Event) -> None:
        unsubscribe = self.cache.subscribe(self._dispatch)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._run_one(controller), name=controller.name)
                    for controller in self._controllers
                ]
                await stop.wait()
                for controller in self._controllers:
                    controller.close()
                await self._wind_down(tasks)
        finally:
            unsubscribe()

    async def _wind_down(self, tasks: list[asyncio.Task[None]]) -> None:
        """Let what runs finish; what has not even started is simply cancelled."""
        for task in tasks:
            if task.get_name() not in self._started:
                task.cancel()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._grace_s)
        for task in late:
            self._log.warning("stopped before its reconciles ended", controller=task.get_name())
            task.cancel()

    async def _run_one(self, controller: Controller) -> None:
        await self._wait_for_kinds(controller)
        controller.open(self._clock)
        # No await between these two: an object is in the list or in an event, never in neither.
        for gk in controller.kinds:
            self._by_kind.setdefault(gk, []).append(controller)
        controller.enqueue_all(self.cache)
        self._started.add(controller.name)
        async with asyncio.TaskGroup() as group:
            late = group.create_task(self._ensure_rest(controller))
            await controller.run(
                self.cache, clock=self._clock, log=self._log, metrics=self._metrics
            )
            late.cancel()

    async def _wait_for_kinds(self, controller: Controller) -> None:
        """Until the controller's own kind is served and every served kind it watches is synced."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                unknown = await self.cache.ensure(controller.kinds, timeout_s=SYNC_S)
            except ApiError as error:
                self._log.warning("waiting for the cache", controller=controller.name, detail=error)
            else:
                if controller.gk not in unknown:
                    return
                self._log.warning(
                    "waiting for the kind to be installed",
                    controller=controller.name,
                    kind=controller.gk,
                )
            await self._clock.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    async def _ensure_rest(self, controller: Controller) -> None:
        """Watch further kinds once they are installed, and the own kind again if it went away."""
        while True:
            await self._clock.sleep(LONGEST_WAIT_S)
            if all(self.cache.synced(gk) for gk in controller.kinds):
                continue
            try:
                await self.cache.ensure(controller.kinds, timeout_s=SYNC_S)
            except ApiError as error:
                self._log.warning("a watch is missing", controller=controller.name, detail=error)

    def _dispatch(self, old: LiveObject | None, new: LiveObject | None) -> None:
        record = new or old
        if record is not None:
            for controller in self._by_kind.get(record.gvk.group_kind, ()):
                controller.observe(old, new)


async def _keep(run: Callable[[], Awaitable[None]]) -> None:
    await run()
