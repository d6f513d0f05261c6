"""Keeps one kind of one cluster in the store: list, watch, and what to do when either breaks.

Source: spec/controller-runtime.md 4.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Any

import orjson

from trimtab.kube import calls
from trimtab.kube.calls import Lane
from trimtab.kube.client import Client
from trimtab.kube.discovery import Resource
from trimtab.kube.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Gone,
    InternalError,
    Invalid,
    Malformed,
    NotFound,
    ResourceVersionTooLarge,
    Timeout,
    Unauthorized,
    error_from_status,
)
from trimtab.kube.ports import Clock
from trimtab.kube.record import LiveObject, Packer
from trimtab.kube.retries import full_jitter
from trimtab.kube.store import Store, newer, version_number
from trimtab.kube.transport import LineSplitter
from trimtab.objects import GroupKind, ObjectKey

__all__ = ["Reflector", "State", "Streaming"]

WATCH_S = (300, 600)
WATCH_GRACE_S = 15.0
INITIAL_SILENCE_S = 60.0
BOOKMARK_SILENCE_S = 180.0
BACKOFF_S = (0.8, 30.0)
DENIED_S = 60.0
HEALTHY_S = 120.0
SHORT_WATCH_S = 1.0
INTERNAL_ERROR_S = 60.0
YIELD_EVERY = 256
UNSUPPORTED_S = 3600.0
FIRST_STREAMING_MINOR = 27
END_OF_INITIAL = "k8s.io/initial-events-end"


class State(StrEnum):
    """What a reflector is at."""

    STARTING = "Starting"
    SYNCED = "Synced"
    RETRYING = "Retrying"
    FORBIDDEN = "Forbidden"
    ABSENT = "Absent"


class Streaming:
    """Whether a server streams its initial list; remembered for an hour when it does not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_until = float("-inf")

    def worth_trying(self, minor: int) -> bool:
        """`minor` 0 means the server's version is not known."""
        known_old = 0 < minor < FIRST_STREAMING_MINOR
        return not known_old and self._clock.monotonic() >= self._not_until

    def refused(self) -> None:
        self._not_until = self._clock.monotonic() + UNSUPPORTED_S


class _StreamingRefused(Exception):
    """The server does not stream initial lists."""


class Reflector:
    """One kind. `run` lasts until cancelled, or until the kind is no longer served."""

    def __init__(
        self,
        client: Client,
        gk: GroupKind,
        store: Store,
        *,
        packer: Packer,
        streaming: Streaming,
        lists: asyncio.Semaphore,
        rng: random.Random,
        on_change: Callable[[], None],
    ) -> None:
        self.gk = gk
        self.state = State.STARTING
        self.error: ApiError | None = None
        self.synced = False
        self.last_version = ""
        self._client = client
        self._clock = client.clock
        self._observer = client.observer
        self._store = store
        self._packer = packer
        self._streaming = streaming
        self._lists = lists
        self._rng = rng
        self._on_change = on_change
        self._failures = 0
        self._healthy_since: float | None = None
        self._must_list = "start"
        self._internal_since: float | None = None

    # -- the loop --------------------------------------------------------------------------

    async def run(self) -> None:
        while self.state is not State.ABSENT:
            pause = 0.0
            try:
                quiet_end = await self._session()
            except _StreamingRefused:
                self._streaming.refused()
                self._note_relist("streaming list not supported")
            except ApiError as error:
                pause = await self._after(error)
            except (TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
                # An answer of another shape than the API promises: as good as a broken connection.
                pause = self._backoff(Malformed("the watch cannot be read", why=repr(error)))
            else:
                pause = 0.0 if quiet_end else self._backoff(None)
            if pause:
                await self._clock.sleep(pause)

    async def _session(self) -> bool:
        """One list and watch, or one watch. False when the watch ended suspiciously soon."""
        resource = await self._client.resource(self.gk)
        if not self._must_list:
            return await self._watch(resource, initial=False)
        minor = (await self._client.discovery()).minor
        if self._streaming.worth_trying(minor):
            return await self._watch(resource, initial=True)
        await self._list(resource)
        return await self._watch(resource, initial=False)

    async def _list(self, resource: Resource) -> None:
        # "0" may be answered from a cache that lags; only the first list may be that old.
        version = "0" if self._must_list == "start" and not self.last_version else ""
        async with self._lists:
            try:
                found = await self._client.list_all(
                    resource, resource_version=version, lane=Lane.RELIST
                )
            except Gone:
                found = await self._client.list_all(resource, lane=Lane.RELIST)
            records = [self._packer.pack(item) for item in found.items]
        self._swap(records, found.resource_version)

    def _swap(self, records: list[LiveObject], version: str) -> None:
        self._store.replace(self.gk, records, version)
        self.last_version = version
        self._must_list = ""
        self.synced = True
        self._set(State.SYNCED, None)

    # -- watching --------------------------------------------------------------------------

    async def _watch(self, resource: Resource, *, initial: bool) -> bool:
        seconds = self._rng.randint(*WATCH_S)
        call = calls.watch(
            resource,
            resource_version="" if initial else self.last_version,
            timeout_s=seconds,
            initial_events=initial,
        )
        started = self._clock.monotonic()
        opened = asyncio.get_running_loop().time()
        stream = _Stream(self, resource, initial=initial)
        gate = self._lists if initial else None
        if gate is not None:
            await gate.acquire()
        try:
            async with self._client.stream(call, timeout_s=seconds + WATCH_GRACE_S) as answer:
                if not initial:
                    self._set(State.SYNCED, None)
                async for lines in _batches(answer.chunks, stream.silence):
                    for line in lines:
                        await stream.take(line)
                    if gate is not None and not stream.initial:
                        gate.release()
                        gate = None
        except (BadRequest, Invalid) as error:
            if initial:
                raise _StreamingRefused from error
            raise
        except Timeout:
            if stream.initial or asyncio.get_running_loop().time() < opened + seconds:
                raise
            return True  # the server did not end the watch when it should have: we did
        except TimeoutError as error:
            if stream.initial:
                raise _StreamingRefused from error
            return True  # a half-open connection: the bookmarks stopped coming
        finally:
            if gate is not None:
                gate.release()
        if stream.initial:
            raise Malformed("the initial events ended before they were complete")
        return stream.events > 0 or self._clock.monotonic() - started >= SHORT_WATCH_S

    def handle(self, kind: str, obj: dict[str, Any]) -> None:
        """One event of the live part of a watch."""
        version = str((obj.get("metadata") or {}).get("resourceVersion") or "")
        if kind == "BOOKMARK":
            self._advance(version)
            return
        if version_number(version) is not None and newer_strictly(self.last_version, version):
            return  # older than what this watch already told: a duplicate or out of order
        record = self._packer.pack(obj)
        if kind == "DELETED":
            self._store.remove(record.key, resource_version=version, uid=record.uid)
        elif kind in {"ADDED", "MODIFIED"}:
            self._store.upsert(record)
        else:
            raise Malformed(f"the watch sent an event of type {kind!r}")
        self._advance(version)

    def _advance(self, version: str) -> None:
        if version and newer(version, self.last_version or "0"):
            self.last_version = version
            self._store.caught_up(self.gk, version)
        self._internal_since = None
        if self._healthy_since is None:
            self._healthy_since = self._clock.monotonic()

    # -- failures --------------------------------------------------------------------------

    async def _after(self, error: ApiError) -> float:
        """What an error means for the next session; the seconds to wait before it."""
        if isinstance(error, Gone):
            self._note_relist("expired")
        elif isinstance(error, ResourceVersionTooLarge):
            self._set(State.RETRYING, error)
            return error.retry_after_s or 1.0
        elif isinstance(error, InternalError):
            now = self._clock.monotonic()
            self._internal_since = self._internal_since or now
            if now - self._internal_since > INTERNAL_ERROR_S:
                self._internal_since = None
                self._note_relist("internal error")
        elif isinstance(error, NotFound) and await self._kind_is_gone():
            self._store.replace(self.gk, [], "")
            self.synced = False
            self._set(State.ABSENT, error)
            return 0.0
        return self._backoff(error)

    async def _kind_is_gone(self) -> bool:
        """Only a server that answers and does not list the kind makes it gone."""
        try:
            served = await self._client.discovery(refresh=True)
        except ApiError:
            return False
        return served.resource(self.gk.group, self.gk.kind) is None

    def _backoff(self, error: ApiError | None) -> float:
        now = self._clock.monotonic()
        if self._healthy_since is not None and now - self._healthy_since >= HEALTHY_S:
            self._failures = 0
        self._healthy_since = None
        denied = isinstance(error, Forbidden | Unauthorized)
        if error is not None:
            self._set(State.FORBIDDEN if denied else State.RETRYING, error)
            self._observer.trouble("a watch failed", kind=str(self.gk), error=str(error))
        base, cap = BACKOFF_S
        seconds = full_jitter(
            self._failures, base_s=base, cap_s=DENIED_S if denied else cap, rng=self._rng
        )
        self._failures += 1
        return max(seconds, (error.retry_after_s or 0.0) if error else 0.0)

    def _note_relist(self, reason: str) -> None:
        if self._must_list != "start":
            self._must_list = reason
        self._observer.relist(str(self.gk), reason)

    def _set(self, state: State, error: ApiError | None) -> None:
        self.state, self.error = state, error
        self._on_change()


class _Stream:
    """The events of one watch: first the initial ones, kept aside until they are whole."""

    def __init__(self, reflector: Reflector, resource: Resource, *, initial: bool) -> None:
        self._reflector = reflector
        self._resource = resource
        self._collected: dict[ObjectKey, LiveObject] = {}
        self.initial = initial
        self.events = 0
        self._bookmarks = False

    def silence(self) -> float | None:
        """Seconds of silence after which the stream counts as dead; None for ever."""
        if self.initial:
            return INITIAL_SILENCE_S
        return BOOKMARK_SILENCE_S if self._bookmarks else None

    async def take(self, line: bytes) -> None:
        event = orjson.loads(line)
        kind, obj = event["type"], event["object"]
        reflector = self._reflector
        reflector._observer.watch_event(self._resource.qualified, kind)  # noqa: SLF001 - its part
        if kind == "ERROR":
            raise error_from_status(obj)
        self.events += 1
        if self.events % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        if kind == "BOOKMARK" and not self.initial:
            self._bookmarks = True
        if not self.initial:
            reflector.handle(kind, obj)
        elif kind == "BOOKMARK":
            meta = obj.get("metadata") or {}
            if (meta.get("annotations") or {}).get(END_OF_INITIAL) == "true":
                self.initial = False
                reflector._swap(  # noqa: SLF001 - its part
                    list(self._collected.values()), str(meta.get("resourceVersion") or "")
                )
                self._collected = {}
        else:
            record = reflector._packer.pack(obj)  # noqa: SLF001 - its part
            if kind == "DELETED":
                self._collected.pop(record.key, None)
            else:
                self._collected[record.key] = record


async def _batches(
    chunks: AsyncIterator[bytes], silence: Callable[[], float | None]
) -> AsyncIterator[list[bytes]]:
    """The lines of each chunk. Raises TimeoutError after `silence()` seconds without a byte."""
    splitter = LineSplitter()
    while True:
        try:
            async with asyncio.timeout(silence()):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        lines = splitter.feed(chunk)
        if lines:
            yield lines


def newer_strictly(left: str, right: str) -> bool:
    """Like `newer`, but versions that cannot be compared are not."""
    a, b = version_number(left), version_number(right)
    return a is not None and b is not None and a > b
