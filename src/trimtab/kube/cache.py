"""Watch caches of one cluster. Kinds are watched from the first time somebody needs them.

Source: spec/controller-runtime.md 4, 5.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import msgspec

from trimtab.kube.client import Client
from trimtab.kube.errors import Forbidden, Timeout, UnknownKind
from trimtab.kube.ports import Clock
from trimtab.kube.record import LiveObject, Packer
from trimtab.kube.reflector import Reflector, State, Streaming
from trimtab.kube.store import Index, Listener, Records, Store, newer
from trimtab.objects import GroupKind, ObjectKey

__all__ = ["ClusterCache", "KindStatus"]

INITIAL_LISTS = 8
CRD = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")


class KindStatus(msgspec.Struct, frozen=True):
    """How the watch of one kind fares."""

    kind: GroupKind
    state: State
    objects: int
    resource_version: str
    error: str = ""


class ClusterCache:
    """Every watched object of one cluster, for reading without a request.

    Use as an async context manager: the watches live inside it. Reading is synchronous; what is
    returned is shared and must not be changed.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock | None = None,
        index: Mapping[str, Index] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.client = client
        self._clock = clock or client.clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._store = Store(clock=self._clock, index=index or {}, observer=client.observer)
        self._packer = Packer()
        self._streaming = Streaming(self._clock)
        self._lists = asyncio.Semaphore(INITIAL_LISTS)
        self._reflectors: dict[GroupKind, Reflector] = {}
        self._tasks: dict[GroupKind, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._changed: set[asyncio.Future[None]] = set()
        self._store.subscribe(self._watch_crds)

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        group, self._group = self._group, None
        for task in self._tasks.values():
            task.cancel()
        if group is not None:
            await group.__aexit__(None, None, None)

    @property
    def running(self) -> bool:
        return self._group is not None

    # -- which kinds -----------------------------------------------------------------------

    async def ensure(self, kinds: Iterable[GroupKind], *, timeout_s: float = 30) -> list[GroupKind]:
        """Watch these kinds and wait until each was listed once.

        Returns the kinds the server does not serve, or serves without list and watch; all others
        are synced. Raises Forbidden at once when one may not be read, Timeout (naming kinds and
        their last errors) when one did not sync in time, ApiError when the server cannot be asked.
        """
        wanted = list(dict.fromkeys(kinds))
        unknown = [gk for gk in wanted if not self._is_synced(gk) and not await self._start(gk)]
        waiting = [gk for gk in wanted if gk not in unknown and not self._is_synced(gk)]
        if waiting:
            try:
                async with asyncio.timeout(timeout_s):
                    unknown.extend(await self._wait(waiting))
            except TimeoutError as error:
                raise self._too_slow(waiting, timeout_s) from error
        return unknown

    def synced(self, gk: GroupKind) -> bool:
        """Was the kind listed, and is it still served?"""
        return self._is_synced(gk)

    def status(self) -> list[KindStatus]:
        """The state of each watch, for people."""
        return [
            KindStatus(
                kind=gk,
                state=each.state,
                objects=self._store.count(gk),
                resource_version=each.last_version,
                error=str(each.error) if each.error else "",
            )
            for gk, each in self._reflectors.items()
        ]

    async def _start(self, gk: GroupKind) -> bool:
        """Begin watching. False when the kind cannot be watched."""
        if gk in self._reflectors:
            return True
        if self._group is None:
            raise RuntimeError("the cache is not running: enter it with `async with`")
        try:
            resource = await self.client.resource(gk)
        except UnknownKind:
            return False
        if not resource.watchable:
            return False
        if gk not in self._reflectors:  # another task may have been faster
            reflector = Reflector(
                self.client,
                gk,
                self._store,
                packer=self._packer,
                streaming=self._streaming,
                lists=self._lists,
                rng=self._rng,
                on_change=self._notify,
            )
            self._reflectors[gk] = reflector
            self._tasks[gk] = self._group.create_task(self._run(reflector), name=f"watch {gk}")
        return True

    async def _run(self, reflector: Reflector) -> None:
        try:
            await reflector.run()
        finally:
            # Gone for now; when its CRD comes back, `ensure` starts a new one.
            if self._reflectors.get(reflector.gk) is reflector:
                del self._reflectors[reflector.gk]
                del self._tasks[reflector.gk]
            self._notify()

    async def _wait(self, kinds: list[GroupKind]) -> list[GroupKind]:
        """Until each kind is synced or gone; the gone ones."""
        while True:
            pending = [gk for gk in kinds if gk in self._reflectors and not self._is_synced(gk)]
            for gk in pending:
                error = self._reflectors[gk].error
                if isinstance(error, Forbidden):
                    raise error
            if not pending:
                return [gk for gk in kinds if gk not in self._reflectors]
            change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._changed.add(change)
            try:
                await change
            finally:
                self._changed.discard(change)

    def _notify(self) -> None:
        for change in self._changed:
            if not change.done():
                change.set_result(None)

    def _is_synced(self, gk: GroupKind) -> bool:
        reflector = self._reflectors.get(gk)
        return reflector is not None and reflector.synced

    def _too_slow(self, kinds: list[GroupKind], timeout_s: float) -> Timeout:
        parts = []
        for gk in kinds:
            reflector = self._reflectors.get(gk)
            if reflector is not None and not reflector.synced:
                parts.append(f"{gk} ({reflector.error or 'no answer yet'})")
        return Timeout(
            f"the watch of {', '.join(parts)} did not start in {timeout_s:.0f} s", code=0
        )

    def _watch_crds(self, old: LiveObject | None, new: LiveObject | None) -> None:
        record = new or old
        if record is not None and record.gvk.group_kind == CRD:
            self.client.discovery_changed()

    # -- reading ---------------------------------------------------------------------------

    def get(self, key: ObjectKey) -> LiveObject | None:
        return self._store.get(key)

    def list(self, gk: GroupKind, namespace: str | None = None) -> list[LiveObject]:
        """Every object of a kind, in one namespace or in all (None)."""
        return self._store.list(gk, namespace)

    def by_index(self, name: str, value: str) -> Records:
        """Objects for which index function `name` gave `value`. KeyError when not declared."""
        return self._store.by_index(name, value)

    def children(self, uid: str) -> Records:
        """Objects of watched kinds whose ownerReferences name this uid."""
        return self._store.children(uid)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(old, new)` on every change, in the loop: it must be fast."""
        return self._store.subscribe(listener)

    async def note_write(self, obj: Mapping[str, Any]) -> None:
        """Let readers see what a write of ours returned before the watch tells it.

        Ignored for kinds that are not watched and when the watch is already further.
        """
        record = self._packer.pack(dict(obj))
        reflector = self._reflectors.get(record.gvk.group_kind)
        if reflector is None or not reflector.synced:
            return
        if newer(record.resource_version, reflector.last_version or "0"):
            self._store.assume(record)
