"""Renders in worker processes, each made once per distinct input (spec/rendering.md 9, 10)."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from importlib import metadata
from pathlib import Path

import msgspec

from trimtab import __version__
from trimtab.render.cache import DiskCache, MemoryCache, holds_secret
from trimtab.render.errors import LimitExceeded, Quarantined, RenderError, RenderTimeout, WorkerDied
from trimtab.render.limits import Limits
from trimtab.render.model import Manifests, RenderRequest
from trimtab.render.pool import WorkerPool
from trimtab.render.wire import Failure, RenderDone, RenderJob, as_error
from trimtab.sources import GitObjects, GitTree, Snapshot

__all__ = ["RenderService", "RenderStats"]

_FORMAT = "1"
_MAX_STRIKES = 1000


class RenderStats(msgspec.Struct):
    """Counters since start. `hits` found in memory, `disk_hits` on disk; `invalidations` are
    renders made again because something they read has changed; `killed` are workers lost."""

    renders: int = 0
    hits: int = 0
    disk_hits: int = 0
    invalidations: int = 0
    killed: int = 0
    quarantined: int = 0


class RenderService:
    """Manifests for (request, snapshot). A result is used again while its read-set holds.

    `workers` is the most processes at a time; they start when needed and use no processor time
    when idle. `cache_dir` may be deleted at any time. Close it when done.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        workers: int = 2,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        memory_bytes: int = 256 * 1024 * 1024,
        disk_bytes: int = 1024 * 1024 * 1024,
    ) -> None:
        self._limits = limits
        self._pool = WorkerPool(workers)
        self._memory = MemoryCache(memory_bytes)
        self._disk = DiskCache(cache_dir / "renders.sqlite", disk_bytes)
        self._objects: OrderedDict[str, GitObjects] = OrderedDict()
        self._running: dict[tuple[str, str], asyncio.Task[Manifests]] = {}
        self._strikes: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._engine_version = engine_version()
        self.stats = RenderStats()

    async def warm(self) -> None:
        """Start a worker in the background, before the first render asks for one."""
        await self._pool.warm()

    async def render(self, request: RenderRequest, snapshot: Snapshot) -> Manifests:
        """The manifests; callers must not change them.

        Raises what `render` raises, and RenderTimeout, WorkerDied, Quarantined, LimitExceeded.
        """
        key = self._key(request, snapshot)
        found = await self._cached(key, snapshot)
        if found is not None:
            return found
        place = (key, snapshot.tree)
        task = self._running.get(place)
        if task is None:
            task = asyncio.create_task(self._make(key, request, snapshot))
            self._running[place] = task
            task.add_done_callback(lambda done: self._made(place, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End all workers; renders under way fail."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._pool.close()
        await asyncio.to_thread(self._disk.close)

    @property
    def worker_pids(self) -> list[int]:
        return self._pool.pids

    def _key(self, request: RenderRequest, snapshot: Snapshot) -> str:
        """Two repositories do not push each other's results out: the source is in the key."""
        source = snapshot.source
        digest = hashlib.sha256(msgspec.msgpack.encode(request, order="sorted"))
        digest.update(f"\0{source.url}\0{source.chart}\0{self._engine_version}".encode())
        return digest.hexdigest()

    def _tree(self, snapshot: Snapshot) -> GitTree:
        objects = self._objects.get(snapshot.store)
        if objects is None:
            objects = self._objects[snapshot.store] = GitObjects(snapshot.store)
            if len(self._objects) > 1000:
                self._objects.popitem(last=False)
        return GitTree(objects, snapshot.tree)

    async def _cached(self, key: str, snapshot: Snapshot) -> Manifests | None:
        tree = self._tree(snapshot)
        found = self._memory.find(key, snapshot.tree, tree)
        if found is not None:
            self.stats.hits += 1
            return found
        if self._memory.knows(key):
            return None
        for row in await asyncio.to_thread(self._disk.find, key):
            if row.reads.holds_in(tree):
                self.stats.disk_hits += 1
                self._memory.put(key, snapshot.tree, row, _size(row))
                return row
        return None

    async def _make(self, key: str, request: RenderRequest, snapshot: Snapshot) -> Manifests:
        place = (key, snapshot.tree)
        if self._strikes.get(place, 0) >= 2:
            self.stats.quarantined += 1
            raise Quarantined(
                "this render ended two workers and is not tried again",
                where=request.path or ".",
                hint="it is tried again when its repository or its options change",
            )
        if self._memory.knows(key):
            self.stats.invalidations += 1
        self.stats.renders += 1
        job = RenderJob(request, snapshot.store, snapshot.tree, self._limits)
        try:
            answer = await self._pool.run(job, self._limits)
        except (RenderTimeout, WorkerDied, LimitExceeded) as error:
            self.stats.killed += 1
            self._strike(place)
            error.where = error.where or request.path or "."
            raise
        if isinstance(answer, Failure):
            raise as_error(answer)
        if not isinstance(answer, RenderDone):
            raise RenderError("the worker gave another answer than manifests", reason="Defect")
        await self._keep(key, snapshot.tree, answer.manifests)
        return answer.manifests

    async def _keep(self, key: str, tree_id: str, manifests: Manifests) -> None:
        if manifests.volatile:
            return
        self._memory.put(key, tree_id, manifests, _size(manifests))
        if not holds_secret(manifests):
            await asyncio.to_thread(self._disk.put, key, tree_id, manifests)

    def _made(self, place: tuple[str, str], task: asyncio.Task[Manifests]) -> None:
        self._running.pop(place, None)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone; the failure was theirs to see

    def _strike(self, place: tuple[str, str]) -> None:
        self._strikes[place] = self._strikes.get(place, 0) + 1
        while len(self._strikes) > _MAX_STRIKES:
            self._strikes.popitem(last=False)


def engine_version() -> str:
    """Changes when the same request could give another result."""
    try:
        helm = metadata.version("helm-python-sdk")
    except metadata.PackageNotFoundError:
        helm = "none"
    return f"{_FORMAT} trimtab {__version__} helm {helm}"


def _size(manifests: Manifests) -> int:
    # Decoded objects take about four times the bytes of their encoded form.
    return 4 * len(msgspec.msgpack.encode(manifests))
