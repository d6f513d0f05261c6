"""Running the hooks of one event, one after the other, without holding a worker (spec/flux.md 4.7).

Each call goes as far as it can and says what it waits for. Every step is in the release record
before the next one is taken: a restart goes on where the last process stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from trimtab.flux.applying import place_objects
from trimtab.flux.deps import Deps
from trimtab.flux.helm_hooks import (
    BEFORE,
    FAILED,
    SUCCEEDED,
    HookFailed,
    Phase,
    due,
    object_of,
    outcome_of,
    phase_of,
    policies_of,
    title,
    with_run,
)
from trimtab.flux.helm_spec import Wanted
from trimtab.flux.helm_storage import Record
from trimtab.flux.kinds import HELM_MANAGER
from trimtab.flux.releases import owner_labelled, save
from trimtab.kube import AlreadyExists, ApiError, LiveObject, NotFound
from trimtab.objects import key_of

__all__ = ["Waiting", "run_hooks", "since"]

_POLL_S = 0.5
_REFUSALS = frozenset({400, 403, 404, 422})


class Waiting(msgspec.Struct, frozen=True):
    """What is waited for, and when to look again at the latest."""

    message: str
    requeue_s: float


async def run_hooks(
    deps: Deps,
    obj: Mapping[str, Any],
    wanted: Wanted,
    record: Record,
    event: str,
    *,
    limit_s: float,
) -> tuple[Record, Waiting | None]:
    """The record as it is now, and what is waited for; None when all hooks have succeeded.

    Raises `HookFailed`; the record is then saved with the failed phase. `limit_s` is of each hook.
    """
    places = due(record.hooks, event)
    for place in places:
        step = _Step(deps, obj, wanted, event, place, limit_s)
        record, waiting = await step.take(record)
        if waiting is not None:
            return record, waiting
    await _clear(deps, obj, wanted, record, places, SUCCEEDED)
    return record, None


def since(record: Record) -> datetime:
    """When the record's present wait began: its making, or the end of the last hook."""
    ends = [str((hook.get("last_run") or {}).get("completed_at") or "") for hook in record.hooks]
    return max(datetime.fromisoformat(text) for text in [record.last_deployed, *ends] if text)


class _Step:
    """One hook of one event."""

    def __init__(
        self,
        deps: Deps,
        obj: Mapping[str, Any],
        wanted: Wanted,
        event: str,
        place: int,
        limit_s: float,
    ) -> None:
        self.deps, self.obj, self.wanted = deps, obj, wanted
        self.event, self.place, self.limit_s = event, place, limit_s

    async def take(self, record: Record) -> tuple[Record, Waiting | None]:
        hook = record.hooks[self.place]
        name = title(hook, self.event)
        phase = phase_of(hook, self.event)
        if phase == "Succeeded":
            return record, None
        if phase == "Failed":
            raise HookFailed(f"{name} failed", record)
        desired = await _desired(self.deps, self.obj, self.wanted, hook)
        live = await _live(self.deps, desired)
        if phase == "":
            if live is not None:
                return record, await self._make_way(record, live)
            record = await self._saved(record, "Unknown")
        if phase in ("", "Unknown"):
            there = live.obj if live else await self._create(record, desired)
            return await self._judge(await self._saved(record, "Running"), there)
        if live is None:
            await self._fail(record, f"{name} is gone before it was seen to finish")
        return await self._judge(record, live.obj)

    async def _make_way(self, record: Record, live: LiveObject) -> Waiting:
        """What a former run left is deleted first, and its end awaited."""
        name = title(record.hooks[self.place], self.event)
        if BEFORE not in policies_of(record.hooks[self.place]):
            await self._fail(record, f"{name} exists already and its policy does not delete it")
        if not live.obj["metadata"].get("deletionTimestamp"):
            await _delete(self.deps, live)
        waited = (self.deps.clock.now() - since(record)).total_seconds()
        if waited >= self.limit_s:
            await self._fail(record, f"{name}: its former object was not deleted in time")
        return Waiting(f"waiting until the former object of {name} is deleted", _POLL_S)

    async def _create(self, record: Record, desired: dict[str, Any]) -> dict[str, Any]:
        name = title(record.hooks[self.place], self.event)
        key = key_of(desired)
        try:
            made = await self.deps.client.create(desired, manager=HELM_MANAGER)
        except AlreadyExists:
            # By us, before a restart: the way was free when that was recorded.
            made = await self.deps.client.get(key.group_kind, key.namespace, key.name)
        except ApiError as error:
            if error.code not in _REFUSALS:
                raise
            await self._fail(record, f"{name} cannot be created: {error}")
        await self.deps.cache.note_write(made)
        return made

    async def _judge(self, record: Record, live: dict[str, Any]) -> tuple[Record, Waiting | None]:
        hook = record.hooks[self.place]
        name = title(hook, self.event)
        good, why = outcome_of(live)
        if good:
            return await self._saved(record, "Succeeded", ended=True), None
        if good is False:
            await self._fail(record, f"{name} failed: {why}")
        began = datetime.fromisoformat(hook["last_run"]["started_at"])
        left = self.limit_s - (self.deps.clock.now() - began).total_seconds()
        if left <= 0:
            await self._fail(record, f"{name} did not finish within {self.limit_s:g} s")
        return record, Waiting(f"waiting for {name}", left + 0.05)

    async def _fail(self, record: Record, why: str) -> NoReturn:
        record = await self._saved(record, "Failed", ended=True)
        await _clear(self.deps, self.obj, self.wanted, record, [self.place], FAILED)
        others = [p for p in due(record.hooks, self.event) if p != self.place]
        done = [p for p in others if phase_of(record.hooks[p], self.event) == "Succeeded"]
        await _clear(self.deps, self.obj, self.wanted, record, done, SUCCEEDED)
        raise HookFailed(why, record)

    async def _saved(self, record: Record, phase: Phase, *, ended: bool = False) -> Record:
        now = self.deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        record = with_run(record, self.place, self.event, phase, now=now, ended=ended)
        await save(self.deps, self.wanted, record)
        return record


async def _clear(
    deps: Deps,
    obj: Mapping[str, Any],
    wanted: Wanted,
    record: Record,
    places: list[int],
    policy: str,
) -> None:
    """Delete the objects of these hooks whose policy says so."""
    for place in places:
        hook = record.hooks[place]
        if policy in policies_of(hook):
            live = await _live(deps, await _desired(deps, obj, wanted, hook))
            if live is not None and not live.obj["metadata"].get("deletionTimestamp"):
                await _delete(deps, live)


async def _desired(
    deps: Deps, obj: Mapping[str, Any], wanted: Wanted, hook: Mapping[str, Any]
) -> dict[str, Any]:
    """With the labels that lead back here, so that its end wakes the HelmRelease."""
    labelled = owner_labelled(object_of(hook), obj)
    return (await place_objects(deps, [labelled], wanted.namespace))[0]


async def _live(deps: Deps, desired: dict[str, Any]) -> LiveObject | None:
    key = key_of(desired)
    await deps.cache.ensure([key.group_kind])
    return deps.cache.get(key)


async def _delete(deps: Deps, live: LiveObject) -> None:
    key = live.key
    try:
        await deps.client.delete(key.group_kind, key.namespace, key.name, uid=live.uid)
    except NotFound:
        return
