"""Snapshots on demand, and one shared poll per repository (spec/rendering.md 8, REL-08)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from trimtab.errors import TrimtabError
from trimtab.sources.directory_store import import_directory
from trimtab.sources.errors import PathNotFound, UrlInvalid
from trimtab.sources.git import GitProgram, RemoteRefs
from trimtab.sources.git_tree import GitObjects, GitTree
from trimtab.sources.helm_repo import HelmRepositories
from trimtab.sources.model import Credentials, Snapshot, SourceSpec
from trimtab.sources.poll import Poll
from trimtab.sources.refs import resolve
from trimtab.sources.store import GitStore
from trimtab.sources.url import GitUrl, redact

__all__ = ["Clock", "Listener", "SourceService", "SourceStats"]

Listener = Callable[[Snapshot | TrimtabError], None]


class Clock(Protocol):
    """What the service needs of time (runtime's Clock has it)."""

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SourceStats(msgspec.Struct):
    """Counters since start: questions to remotes, and snapshots that needed none."""

    listings: int = 0
    fetches: int = 0
    hits: int = 0


class _Known(msgspec.Struct, frozen=True):
    refs: RemoteRefs
    at: float


class SourceService:
    """Everything that turns a SourceSpec into a Snapshot, on one directory of caches.

    `poll_s` is how old a remote's answer may be before it is asked again, and the interval of
    `subscribe`. `timeout_s` bounds each command of a fetch.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock,
        git: GitProgram | None = None,
        poll_s: float = 120.0,
        timeout_s: float = 60.0,
    ) -> None:
        self._root = root
        self._clock = clock
        self._git = git or GitProgram(timeout_s=timeout_s)
        self._poll_s = poll_s
        self._timeout_s = timeout_s
        self._stores: dict[str, GitStore] = {}
        self._objects: dict[str, GitObjects] = {}
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[RemoteRefs]] = {}
        self._polls: dict[str, Poll] = {}
        self._helm = HelmRepositories(root / "helm", clock=clock, timeout_s=timeout_s)
        self.stats = SourceStats()

    async def snapshot(self, spec: SourceSpec, *, fresh: bool = False) -> Snapshot:
        """The tree that `spec` names now; `fresh` asks the remote whatever was known.

        Raises a SourceError: Unreachable, AuthFailed, RevisionNotFound, UrlInvalid, Unsupported.
        """
        if spec.kind == "git":
            return await self._git_snapshot(spec, fresh=fresh)
        if spec.kind == "local":
            return await asyncio.to_thread(self._local_snapshot, spec)
        return await self._helm.snapshot(spec, max_age_s=0.0 if fresh else self._poll_s)

    async def helm_index(self, spec: SourceSpec) -> bytes:
        """index.yaml of a Helm repository, asked for now. Raises a SourceError."""
        return await self._helm.index(spec)

    async def helm_chart(self, spec: SourceSpec, index: bytes) -> Snapshot:
        """The chart that `spec` names, its version chosen from this index. Raises a SourceError."""
        return await self._helm.chart(spec, index)

    def tree(self, snapshot: Snapshot) -> GitTree:
        """The tree of a snapshot. Trees of one store share their parsed directories."""
        objects = self._objects.get(snapshot.store)
        if objects is None:
            objects = self._objects[snapshot.store] = GitObjects(snapshot.store)
        return GitTree(objects, snapshot.tree)

    def subscribe(self, spec: SourceSpec, listener: Listener) -> Callable[[], None]:
        """Tell `listener` the snapshot now and whenever its revision changes; errors too.

        One question per repository, credentials and interval serves all subscribers. Must be
        called in the event loop; the answer is the way to unsubscribe.
        """
        key = _remote_key(spec.url, spec.credentials)
        poll = self._polls.get(key)
        if poll is None or poll.closed:
            poll = self._polls[key] = Poll(
                spec.url, self.snapshot, clock=self._clock, interval_s=self._poll_s
            )
        return poll.add(spec, listener)

    def poke(self, url: str) -> None:
        """A webhook said that `url` changed: ask now instead of at the next poll."""
        wanted = _same_repository(url)
        for poll in self._polls.values():
            if _same_repository(poll.url) == wanted:
                poll.poke()

    async def close(self) -> None:
        """Stop polling and end what is under way."""
        polls, self._polls = self._polls, {}
        for poll in polls.values():
            await poll.close()
        asking, self._asking = self._asking, {}
        for task in asking.values():
            task.cancel()
        await asyncio.gather(*asking.values(), return_exceptions=True)
        await self._helm.close()

    async def _git_snapshot(self, spec: SourceSpec, *, fresh: bool) -> Snapshot:
        GitUrl.parse(spec.url).check(allow_local=self._git.allow_local)
        remote = await self._remote(spec, fresh=fresh)
        wanted = resolve(spec.ref, remote, url=redact(spec.url))
        store = self._store(spec.url)
        before = store.fetches
        commit = await store.commit(wanted, credentials=spec.credentials, timeout_s=self._timeout_s)
        if store.fetches == before:
            self.stats.hits += 1
        self.stats.fetches += store.fetches - before
        return Snapshot(
            source=_without_credentials(spec),
            revision=commit.id,
            tree=commit.tree,
            store=str(store.path),
            label=wanted.label,
            author=commit.author,
            date=commit.date,
            message=commit.message,
        )

    async def _remote(self, spec: SourceSpec, *, fresh: bool) -> RemoteRefs:
        """The remote's refs. Asked with these credentials: who may not list may not read either.

        Askers at the same moment share one question; a fresh one joins none that began before.
        """
        key = _remote_key(spec.url, spec.credentials)
        known = self._known.get(key)
        if known and not fresh and self._clock.monotonic() - known.at < self._poll_s:
            return known.refs
        under_way = self._asking.get(key)
        if fresh and under_way is not None:
            # It may have been asked before the change that we were told of.
            await asyncio.wait({under_way})
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, spec))
            task.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(task)

    def _answered(self, key: str, task: asyncio.Task[RemoteRefs]) -> None:
        if self._asking.get(key) is task:
            del self._asking[key]

    async def _ask(self, key: str, spec: SourceSpec) -> RemoteRefs:
        self.stats.listings += 1
        refs = await self._git.ls_remote(
            spec.url, credentials=spec.credentials, timeout_s=self._timeout_s
        )
        self._known[key] = _Known(refs, self._clock.monotonic())
        return refs

    def _store(self, url: str) -> GitStore:
        address = GitUrl.parse(url).address
        store = self._stores.get(address)
        if store is None:
            store = self._stores[address] = GitStore(self._root, url, self._git)
        return store

    def _local_snapshot(self, spec: SourceSpec) -> Snapshot:
        if not self._git.allow_local:
            raise UrlInvalid(f"{spec.url}: local directories are not allowed here")
        place = Path(os.path.realpath(spec.url))
        if not place.is_dir():
            raise PathNotFound(f"directory {spec.url} does not exist")
        name = hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
        store = self._root / "local" / f"{name}.git"
        tree = import_directory(place, store)
        return Snapshot(source=spec, revision=tree, tree=tree, store=str(store))


def _remote_key(url: str, credentials: Credentials | None) -> str:
    """One per repository and credentials, without keeping the credentials as text."""
    secret = msgspec.msgpack.encode(credentials)
    return hashlib.sha256(url.encode() + b"\0" + secret).hexdigest()


def _without_credentials(spec: SourceSpec) -> SourceSpec:
    return msgspec.structs.replace(spec, credentials=None, url=redact(spec.url))


def _same_repository(url: str) -> str:
    """Equal for the ways people write one repository: scheme, user, `.git`, case of the host."""
    text = url.split("://", 1)[-1].rsplit("@", 1)[-1].replace(":", "/", 1)
    return text.rstrip("/").removesuffix(".git").lower()
