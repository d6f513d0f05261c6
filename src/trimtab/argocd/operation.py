"""One sync operation, from `operation` to a finished `status.operationState` (spec/argocd.md 4).

An operation moves on by one reconcile at a time and holds no worker while it waits. Everything
it did is in `syncResult.resources`, so another process goes on where this one stopped: an object
or hook that has its entry there is not run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import msgspec

from trimtab.argocd.application_spec import Retry
from trimtab.argocd.compare import Comparison, Resource, prunable, pruning
from trimtab.argocd.hooks import delete_policies, phases_of, wave_of
from trimtab.argocd.options import Options, object_options
from trimtab.engine import (
    WAVES,
    ClockPort,
    Executor,
    LivePort,
    Step,
    StepResult,
    assess,
    object_name,
    sendable,
    wait_gone,
)
from trimtab.objects import ObjectKey, gvk_of, key_of
from trimtab.runtime import rfc3339

__all__ = ["Progressed", "Task", "begin", "finish", "run", "tasks_of"]

_PHASE_ORDER: Final = {"PreSync": 0, "Sync": 1, "Prune": 2, "PostSync": 3}
_GONE_S: Final = 30.0
_LOOK_S: Final = 5.0


class Task(msgspec.Struct, frozen=True):
    """One object's part of a sync. `kind`: apply, prune or hook."""

    kind: str
    key: ObjectKey
    version: str
    phase: str
    wave: int
    obj: dict[str, Any] | None = None
    live_uid: str = ""
    equal: bool = False
    kept: str = ""
    replace: bool = False
    confirm: bool = False
    lenient: bool = False

    @property
    def place(self) -> tuple[int, int]:
        order = _PHASE_ORDER["Prune" if self.kind == "prune" else self.phase]
        return (order, -self.wave if self.kind == "prune" else self.wave)


class Progressed(msgspec.Struct, frozen=True):
    """The state after this turn; when to look again if nothing happens."""

    state: dict[str, Any]
    after_s: float | None = None

    @property
    def done(self) -> bool:
        return self.state.get("phase") not in ("Running", "Terminating")


def begin(
    operation: Mapping[str, Any], source: Mapping[str, Any], revision: str, now: datetime
) -> Any:
    """The operationState of a new operation."""
    return {
        "operation": dict(operation),
        "phase": "Running",
        "message": "waiting to start",
        "startedAt": rfc3339(now),
        "syncResult": {"revision": revision, "source": dict(source), "resources": []},
    }


def finish(state: Mapping[str, Any], phase: str, message: str, now: datetime) -> dict[str, Any]:
    return {**state, "phase": phase, "message": message, "finishedAt": rfc3339(now)}


def tasks_of(
    found: Comparison, options: Options, *, sync: Mapping[str, Any], prune: bool
) -> list[Task]:
    """Every task, in order."""
    picked = _picker(sync.get("resources") or ())
    selective = bool(sync.get("resources"))
    tasks = [_apply_task(resource, options) for resource in found.desired if picked(resource.key)]
    if options.on("ApplyOutOfSyncOnly"):
        tasks = [task for task in tasks if not task.equal]
    for resource in found.extra:
        if picked(resource.key) and not resource.ignored:
            why = prunable(resource, options) if prune else "ignored (requires pruning)"
            tasks.append(_prune_task(resource, why, options))
    # `syncStrategy.apply` is the strategy without hooks (spec/argocd.md 1.3).
    if not selective and "apply" not in (sync.get("syncStrategy") or {}):
        for hook in found.hooks:
            for phase in phases_of(hook) or ():
                if phase in _PHASE_ORDER:
                    tasks.append(_hook_task(hook, phase, found.denied_hooks.get(key_of(hook), "")))
    return sorted(tasks, key=_order)


def _order(task: Task) -> Any:
    rank, *names = WAVES.key(task.key)
    return (task.place, -rank if task.kind == "prune" else rank, names)


def _apply_task(resource: Resource, options: Options) -> Task:
    assert resource.desired is not None
    own = object_options(resource.desired)
    return Task(
        kind="apply",
        key=resource.key,
        version=resource.version,
        phase="Sync",
        wave=resource.wave,
        obj=resource.desired,
        live_uid=resource.live.uid if resource.live else "",
        equal=resource.synced,
        kept=resource.denied,
        replace=own.on("Replace", default=options.on("Replace")),
        lenient=own.on(
            "SkipDryRunOnMissingResource", default=options.on("SkipDryRunOnMissingResource")
        ),
    )


def _prune_task(resource: Resource, why: str, options: Options) -> Task:
    return Task(
        kind="prune",
        key=resource.key,
        version=resource.version,
        phase="Sync",
        wave=resource.wave,
        live_uid=resource.live.uid if resource.live else "",
        kept=why,
        confirm=resource.live is not None and pruning(resource.live.obj, options) == "confirm",
    )


def _hook_task(hook: dict[str, Any], phase: str, denied: str) -> Task:
    return Task(
        kind="hook",
        key=key_of(hook),
        version=gvk_of(hook).version,
        phase=phase,
        wave=wave_of(hook),
        obj=hook,
        kept=denied,
    )


def _picker(resources: Iterable[Mapping[str, Any]]) -> Any:
    entries = list(resources)

    def picked(key: ObjectKey) -> bool:
        if not entries:
            return True
        for entry in entries:
            same = (
                (entry.get("group") or "") in (key.group, "*")
                and entry.get("kind") in (key.kind, "*")
                and entry.get("name") in (key.name, "*")
                and (entry.get("namespace") or key.namespace) == key.namespace
            )
            if same:
                return not entry.get("exclude")
        return any(entry.get("exclude") for entry in entries)

    return picked


class Run:
    """What one turn of an operation needs. `live` is the cache, `executor` writes."""

    def __init__(
        self,
        *,
        executor: Executor,
        live: LivePort,
        clock: ClockPort,
        now: datetime,
        dry_run: bool,
        unknown_kinds: tuple[str, ...] = (),
        approved: bool = False,
        prune_last: bool = False,
    ) -> None:
        self.executor = executor
        self.live = live
        self.clock = clock
        self.now = now
        self.dry_run = dry_run
        self.unknown_kinds = unknown_kinds
        self.approved = approved
        self.prune_last = prune_last


async def run(turn: Run, state: Mapping[str, Any], tasks: list[Task]) -> Progressed:
    """Go on with an operation until it is done or has to wait."""
    records = _records(state)
    if not records:
        refused = await _rehearse(turn, state, tasks)
        if refused is not None:
            return Progressed(refused)
    if turn.dry_run:
        done = {task_id(t): _record(t, "Synced", f"{object_name(t.key)} (dry run)") for t in tasks}
        return Progressed(
            _success(_with(state, done), turn.now, "successfully synced (all tasks run)")
        )
    several = len({task.place for task in tasks if task.kind != "prune"}) > 1
    several = several or (turn.prune_last and any(task.kind == "prune" for task in tasks))
    for _, group in groupby(tasks, key=lambda task: task.place):
        batch = list(group)
        held = [task for task in batch if _unconfirmed(turn, task) and task_id(task) not in records]
        todo = [task for task in batch if task_id(task) not in records and task not in held]
        await _do(turn, todo, records)
        noted = [records[task_id(task)] for task in batch if task not in held]
        failed = [record for record in noted if record["status"] == "SyncFailed"]
        if failed:
            return Progressed(_failure(_with(state, records), failed, turn.now))
        waited = [t for t in batch if t.kind == "hook" or (several and t.kind == "apply")]
        waiting, bad = _judge(turn, waited, records)
        if bad:
            await _clean_hooks(turn, tasks, records, failed=True)
            text = f"one or more synchronization tasks completed unsuccessfully, reason: {bad}"
            return Progressed(finish(_with(state, records), "Failed", text, turn.now))
        if held:
            message = f"waiting for pruning confirmation of {_named(held, 'resources')}"
            return Progressed({**_with(state, records), "message": message})
        if waiting:
            message = _waiting_text(waiting)
            return Progressed({**_with(state, records), "message": message}, _LOOK_S)
    await _clean_hooks(turn, tasks, records, failed=False)
    word = "successfully synced (all tasks run)" if tasks else "successfully synced (no more tasks)"
    return Progressed(_success(_with(state, records), turn.now, word))


async def _rehearse(
    turn: Run, state: Mapping[str, Any], tasks: list[Task]
) -> dict[str, Any] | None:
    """The failed state when the operation may not begin."""
    if turn.unknown_kinds:
        defined = {
            f"{((t.obj or {}).get('spec') or {}).get('names', {}).get('kind')}"
            f".{((t.obj or {}).get('spec') or {}).get('group')}"
            for t in tasks
            if t.key.kind == "CustomResourceDefinition"
        }
        skipped = {f"{t.key.kind}.{t.key.group}" for t in tasks if t.lenient}
        missing = [k for k in turn.unknown_kinds if k not in defined and k not in skipped]
        if missing:
            text = (
                "one or more synchronization tasks are not valid: the server could not find the"
                f" requested resource: {', '.join(missing)}"
            )
            return finish(state, "Failed", text, turn.now)
    denied = [t for t in tasks if t.kind in ("apply", "hook") and t.kept]
    steps = [_step(t) for t in tasks if t.kind == "apply" and not t.equal and not t.kept]
    failures = await turn.executor.dry_run(steps)
    if not failures and not denied:
        return None
    by_key = {t.key: t for t in tasks if t.kind == "apply"}
    records = {
        task_id(by_key[f.step.key]): _record(by_key[f.step.key], "SyncFailed", f.message)
        for f in failures
    }
    records |= {task_id(t): _record(t, "SyncFailed", t.kept) for t in denied}
    first = failures[0].message if failures else denied[0].kept
    text = f"one or more objects failed to apply (dry run), reason: {first}"
    return finish(_with(state, records), "Failed", text, turn.now)


async def _do(turn: Run, tasks: list[Task], records: dict[str, dict[str, Any]]) -> None:
    """Write these tasks and note each result."""
    writes: list[Task] = []
    for task in tasks:
        if task.kind == "prune" and task.kept:
            records[task_id(task)] = _record(task, "PruneSkipped", task.kept)
        elif task.kind == "apply" and task.equal:
            text = f"{object_name(task.key)} unchanged"
            records[task_id(task)] = _record(task, "Synced", text)
        else:
            writes.append(task)
    for task in writes:
        if task.kind == "hook":
            await _remove_before(turn, task)
    results = await turn.executor.apply([_step(task) for task in writes])
    for task, result in zip(writes, _aligned(writes, results), strict=True):
        records[task_id(task)] = _noted(task, result)


def _aligned(tasks: list[Task], results: list[StepResult]) -> list[StepResult | None]:
    by_step = {(r.step.key, r.step.kind == "delete"): r for r in results}
    return [by_step.get((task.key, task.kind == "prune")) for task in tasks]


def _noted(task: Task, result: StepResult | None) -> dict[str, Any]:
    if result is None or result.code == "failed":
        return _record(task, "SyncFailed", result.message if result else "not attempted")
    status = "Pruned" if task.kind == "prune" else "Synced"
    message = "pruned" if task.kind == "prune" else result.message
    return _record(task, status, message)


async def _remove_before(turn: Run, task: Task) -> None:
    """BeforeHookCreation: the hook of the last sync goes first."""
    assert task.obj is not None
    await turn.live.ensure([task.key.group_kind])
    there = turn.live.get(task.key)
    if there is None or "BeforeHookCreation" not in delete_policies(task.obj):
        return
    await turn.executor.step(_delete_step(task.key, there.uid, "the hook runs anew"))
    await wait_gone(turn.live, task.key, uid=there.uid, clock=turn.clock, timeout_s=_GONE_S)


async def _clean_hooks(
    turn: Run, tasks: list[Task], records: Mapping[str, dict[str, Any]], *, failed: bool
) -> None:
    policy = "HookFailed" if failed else "HookSucceeded"
    for task in tasks:
        if task.kind != "hook" or task.obj is None or task_id(task) not in records:
            continue
        there = turn.live.get(task.key)
        if there is not None and policy in delete_policies(task.obj):
            await turn.executor.step(_delete_step(task.key, there.uid, policy))


def _delete_step(key: ObjectKey, uid: str, reason: str) -> Step:
    return Step(kind="delete", key=key, reason=reason, uid=uid)


def _judge(
    turn: Run, tasks: list[Task], records: dict[str, dict[str, Any]]
) -> tuple[list[Task], str]:
    """(tasks still on their way, why one failed). Notes each hook's phase."""
    waiting = []
    for task in tasks:
        live = turn.live.get(task.key)
        record = records[task_id(task)]
        if live is None:
            if task.kind == "hook" and record.get("hookPhase") == "Succeeded":
                continue
            waiting.append(task)
            continue
        health = assess(live.obj)
        if task.kind == "hook":
            phase = {"Healthy": "Succeeded", "Degraded": "Failed"}.get(health.status, "Running")
            record["hookPhase"] = phase
            if health.message:
                record["message"] = health.message
        if health.status == "Degraded":
            return [], health.message or f"{object_name(task.key)} is degraded"
        if health.status not in ("Healthy", "Suspended"):
            waiting.append(task)
    return waiting, ""


def _waiting_text(tasks: list[Task]) -> str:
    hooks = [task for task in tasks if task.kind == "hook"]
    verb = "completion of hook" if hooks else "healthy state of"
    return f"waiting for {verb} {_named(hooks or tasks, 'hooks' if hooks else 'resources')}"


def _named(tasks: list[Task], noun: str) -> str:
    first = tasks[0].key
    text = f"{first.group}/{first.kind}/{first.name}"
    more = len(tasks) - 1
    return f"{text} and {more} more {noun}" if more else text


def _unconfirmed(turn: Run, task: Task) -> bool:
    """`Prune=confirm`: nothing is deleted before somebody approved it on the Application."""
    return task.kind == "prune" and task.confirm and not task.kept and not turn.approved


def _success(state: Mapping[str, Any], now: datetime, message: str) -> dict[str, Any]:
    return finish(state, "Succeeded", message, now)


def _failure(
    state: Mapping[str, Any], failed: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    reasons = ", ".join(dict.fromkeys(str(record["message"]) for record in failed))
    text = f"one or more objects failed to apply, reason: {reasons}"
    return finish(state, "Failed", text, now)


def retry_state(
    state: Mapping[str, Any], retry: Retry | None, now: datetime
) -> tuple[dict[str, Any], float] | None:
    """The Running state of the next attempt and its pause; None when there is no more."""
    count = int(state.get("retryCount") or 0)
    if retry is None or (retry.limit >= 0 and count >= retry.limit):
        return None
    pause = retry.delay_s(count)
    when = rfc3339(now + timedelta(seconds=pause))
    out = {name: value for name, value in state.items() if name != "finishedAt"}
    out["phase"] = "Running"
    out["retryCount"] = count + 1
    out["message"] = f"{state.get('message')}. Retrying attempt #{count + 1} at {when}."
    out["retryAt"] = when
    result = dict(state.get("syncResult") or {})
    result["resources"] = []
    out["syncResult"] = result
    return out, pause


# -- records ---------------------------------------------------------------------------------


def task_id(task: Task) -> str:
    return f"{task.phase}/{task.kind == 'prune'}/{task.key}"


def _record(task: Task, status: str, message: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "group": task.key.group,
        "version": task.version,
        "kind": task.key.kind,
        "namespace": task.key.namespace,
        "name": task.key.name,
        "status": status,
        "message": message,
        "syncPhase": task.phase,
        "hookPhase": "Running" if status in ("Synced", "Pruned") else "Failed",
    }
    if task.kind == "hook":
        out["hookType"] = task.phase
    elif status != "SyncFailed":
        out["hookPhase"] = "Succeeded"
    return out


def _records(state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    entries = ((state.get("syncResult") or {}).get("resources")) or ()
    out = {}
    for entry in entries:
        key = ObjectKey(
            str(entry.get("group") or ""),
            str(entry["kind"]),
            str(entry.get("namespace") or ""),
            str(entry["name"]),
        )
        pruned = str(entry.get("status")).startswith("Prune")
        out[f"{entry.get('syncPhase')}/{pruned}/{key}"] = dict(entry)
    return out


def _with(state: Mapping[str, Any], records: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    result = {**(state.get("syncResult") or {}), "resources": list(records.values())}
    return {**state, "syncResult": result}


def _step(task: Task) -> Step:
    if task.kind == "prune":
        return _delete_step(task.key, task.live_uid, "it is no longer desired")
    assert task.obj is not None
    return Step(
        kind="replace" if task.replace else "apply",
        key=task.key,
        reason="the sync asks for it",
        obj=sendable(task.obj),
        wave=task.wave,
        uid=task.live_uid,
    )
