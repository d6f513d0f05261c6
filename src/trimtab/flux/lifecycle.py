"""The life cycle every Flux reconciler follows (spec/flux.md 1.1, 1.2, 1.5), in one place.

A kind gives two functions: `reconcile`, which fills the draft and says when to come again, and
`finalize`, which undoes what the object did. Everything else is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec

from trimtab.errors import TrimtabError
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.kinds import FINALIZER, WRITER
from trimtab.kube import NotFound
from trimtab.lang.duration import DurationError, parse_duration
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime import Context, Key, Result, add_finalizer, remove_finalizer

__all__ = ["Kind", "Success", "duration_field", "run"]

_JITTER = 0.05


class Success(msgspec.Struct, frozen=True):
    """A reconcile that ended well. `changed` makes it worth an event."""

    reason: str
    message: str
    requeue_s: float
    changed: bool = False
    done: bool = True
    """False: the work goes on (health is awaited); conditions were set by the reconciler."""


class Kind(msgspec.Struct, frozen=True):
    """What makes one kind different from the others."""

    gk: GroupKind
    retry_s: Callable[[dict[str, Any]], float]
    reconcile: Callable[[Deps, Context, dict[str, Any], StatusDraft], Awaitable[Success]]
    finalize: Callable[[Deps, dict[str, Any]], Awaitable[None]]


async def run(deps: Deps, kind: Kind, rng: Random, ctx: Context, key: Key) -> Result:
    """One reconcile of the object `key`: finalizer, suspension, the work, the status."""
    live = deps.cache.get(ObjectKey(kind.gk.group, kind.gk.kind, key.namespace, key.name))
    if live is None:
        return Result()
    obj = live.obj
    if obj["metadata"].get("deletionTimestamp"):
        return await _finalize(deps, kind, obj)
    if FINALIZER not in (obj["metadata"].get("finalizers") or ()):
        await add_finalizer(deps.client, obj, FINALIZER, manager=WRITER)
    if (obj.get("spec") or {}).get("suspend"):
        return Result()
    draft = StatusDraft(obj, deps.clock.now())
    before = draft.status_of("Ready")
    result = await _work(deps, kind, ctx, obj, draft)
    try:
        await deps.status.write(obj, draft.fields)
    except NotFound:
        return Result()
    if result.failed and (before != "False" or _new_message(obj, result.message)):
        deps.events.event(obj, "Warning", result.reason, result.message)
    elif result.changed:
        deps.events.event(obj, "Normal", result.reason, result.message)
    if result.requeue_s is None:
        return Result()
    return Result(requeue_after_s=result.requeue_s * (1 + rng.uniform(-_JITTER, _JITTER)))


class _Worked(msgspec.Struct, frozen=True):
    reason: str
    message: str
    requeue_s: float | None
    changed: bool = False
    failed: bool = False


async def _work(
    deps: Deps, kind: Kind, ctx: Context, obj: dict[str, Any], draft: StatusDraft
) -> _Worked:
    try:
        success = await kind.reconcile(deps, ctx, obj, draft)
    except Stalled as error:
        message = _told(error)
        draft.stalled(error.reason, message)
        return _Worked(error.reason, message, None, failed=True)
    except NotYet as error:
        message = _told(error)
        draft.waits(error.reason, message)
        retry = error.retry_s if error.retry_s is not None else _retry(kind, obj)
        return _Worked(error.reason, message, retry, failed=True)
    except TrimtabError as error:
        message = _told(error)
        draft.waits("ReconciliationFailed", message)
        return _Worked("ReconciliationFailed", message, _retry(kind, obj), failed=True)
    if success.done:
        draft.succeeded(success.reason, success.message)
    return _Worked(success.reason, success.message, success.requeue_s, changed=success.changed)


def _retry(kind: Kind, obj: dict[str, Any]) -> float:
    try:
        return kind.retry_s(obj)
    except Stalled:
        return 60.0


async def _finalize(deps: Deps, kind: Kind, obj: dict[str, Any]) -> Result:
    if FINALIZER not in (obj["metadata"].get("finalizers") or ()):
        return Result()
    if not (obj.get("spec") or {}).get("suspend"):
        await kind.finalize(deps, obj)
    await remove_finalizer(deps.client, obj, FINALIZER, manager=WRITER)
    return Result()


def duration_field(obj: dict[str, Any], field: str, default: float | None = None) -> float:
    """Seconds in `spec.<field>`. A malformed value stalls this object alone (CVE-2022-39272)."""
    text = (obj.get("spec") or {}).get(field)
    if text is None and default is not None:
        return default
    try:
        seconds = parse_duration(str(text or ""))
    except DurationError as error:
        raise Stalled(f"spec.{field}: {error.message}", reason="InvalidSpec") from error
    if seconds <= 0:
        raise Stalled(f"spec.{field}: must be longer than zero", reason="InvalidSpec")
    return seconds


def _told(error: TrimtabError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _new_message(obj: dict[str, Any], message: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    ready: dict[str, Any] = next((c for c in conditions if c.get("type") == "Ready"), {})
    return bool(ready.get("message") != message)
