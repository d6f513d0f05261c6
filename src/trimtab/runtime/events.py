"""Kubernetes Events about what controllers did: aggregated, bounded, never in the way.

core/v1 Events, as `kubectl describe` and `kubectl events` show them. The same event about the
same object is one Event with a count; its name is a digest, so it is found again after a restart.
Source: spec/controller-runtime.md 7.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.kube import AlreadyExists, ApiError, Client, NotFound, TooManyRequests, Unreachable
from trimtab.objects import GroupKind
from trimtab.runtime.conditions import rfc3339
from trimtab.runtime.logs import scrub_urls

__all__ = ["EventRecorder"]

EVENT = GroupKind("", "Event")
MAX_PENDING = 1000
MAX_KNOWN = 4096
MAX_MESSAGE = 1024
BURST = 25.0
REFILL_PER_S = 1 / 300
FLUSH_S = 5.0
TRIES = 3

EventType = Literal["Normal", "Warning"]


class _Pending(msgspec.Struct):
    """An event not sent yet. `count` is how often it happened since the last sending."""

    namespace: str
    name: str
    regarding: dict[str, Any]
    type: str
    reason: str
    message: str
    first: str
    last: str
    count: int = 1
    tries: int = 0


class EventRecorder:
    """`event` returns at once; `run` sends. At most 1,000 wait, the oldest are dropped first;
    one object gets 25 different events at once and then one each 5 minutes."""

    def __init__(self, client: Client, component: str) -> None:
        self._client = client
        self._clock = client.clock
        self._component = component
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._wake = asyncio.Event()
        self.dropped = 0

    def event(
        self,
        obj: Mapping[str, Any],
        type: EventType,  # noqa: A002 - the field has this name
        reason: str,
        message: str,
    ) -> None:
        """Note an event about an object. Never blocks, never raises for a server's sake."""
        meta = obj.get("metadata") or {}
        message = scrub_urls(message)[:MAX_MESSAGE]
        regarding = {
            "apiVersion": str(obj.get("apiVersion") or ""),
            "kind": str(obj.get("kind") or ""),
            "name": str(meta.get("name") or ""),
            "uid": str(meta.get("uid") or ""),
        }
        if meta.get("namespace"):
            regarding["namespace"] = str(meta["namespace"])
        if meta.get("resourceVersion"):
            regarding["resourceVersion"] = str(meta["resourceVersion"])
        name = _name(regarding, type, reason, message, self._component)
        now = rfc3339(self._clock.now())
        waiting = self._pending.get(name)
        if waiting is not None:
            waiting.count += 1
            waiting.last = now
            return
        if not self._admit(regarding["uid"] or regarding["name"]):
            self.dropped += 1
            return
        if len(self._pending) >= MAX_PENDING:
            self._pending.popitem(last=False)
            self.dropped += 1
        self._pending[name] = _Pending(
            namespace=regarding.get("namespace", "default"),
            name=name,
            regarding=regarding,
            type=type,
            reason=reason,
            message=message,
            first=now,
            last=now,
        )
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled; then what waits is sent for at most 5 s more."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._drain()
        finally:
            try:
                async with asyncio.timeout(FLUSH_S):
                    await self._drain()
            except TimeoutError:
                self.dropped += len(self._pending)

    async def _drain(self) -> None:
        while self._pending:
            name, pending = self._pending.popitem(last=False)
            try:
                await self._send(pending)
            except asyncio.CancelledError:
                self._pending.setdefault(name, pending)  # for the last flush
                raise
            except (TooManyRequests, Unreachable) as error:
                await self._later(name, pending, error)
            except ApiError:
                # A namespace that ends, a right that is missing: the event is lost, not the work.
                self.dropped += 1

    async def _later(self, name: str, pending: _Pending, error: ApiError) -> None:
        pending.tries += 1
        if pending.tries >= TRIES or name in self._pending:
            self.dropped += 1
            return
        self._pending[name] = pending
        await self._clock.sleep(error.retry_after_s or 1.0)

    async def _send(self, pending: _Pending) -> None:
        seen = self._counts.get(pending.name)
        if seen is None:
            try:
                await self._client.create(self._body(pending), manager=self._component)
            except AlreadyExists:
                found = await self._client.get(EVENT, pending.namespace, pending.name)
                seen = int(found.get("count") or 1)
            else:
                self._know(pending.name, pending.count)
                return
        change = {
            "count": seen + pending.count,
            "lastTimestamp": pending.last,
            "involvedObject": pending.regarding,
        }
        try:
            await self._client.patch(
                EVENT,
                pending.namespace,
                pending.name,
                change,
                kind="merge",
                manager=self._component,
            )
        except NotFound:  # events live an hour: begin anew
            await self._client.create(self._body(pending), manager=self._component)
            seen = 0
        self._know(pending.name, seen + pending.count)

    def _body(self, pending: _Pending) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": pending.name, "namespace": pending.namespace},
            "involvedObject": pending.regarding,
            "type": pending.type,
            "reason": pending.reason,
            "message": pending.message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "firstTimestamp": pending.first,
            "lastTimestamp": pending.last,
            "count": pending.count,
        }

    def _know(self, name: str, count: int) -> None:
        self._counts[name] = count
        self._counts.move_to_end(name)
        if len(self._counts) > MAX_KNOWN:
            self._counts.popitem(last=False)

    def _admit(self, uid: str) -> bool:
        now = self._clock.monotonic()
        tokens, at = self._buckets.pop(uid, (BURST, now))
        tokens = min(BURST, tokens + (now - at) * REFILL_PER_S)
        admitted = tokens >= 1
        self._buckets[uid] = (tokens - 1 if admitted else tokens, now)
        if len(self._buckets) > MAX_KNOWN:
            self._buckets.popitem(last=False)
        return admitted


def _name(regarding: Mapping[str, str], *parts: str) -> str:
    text = "\0".join((regarding["kind"], regarding["uid"], *parts))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{regarding['name'][:200].rstrip('.-')}.{digest}"
