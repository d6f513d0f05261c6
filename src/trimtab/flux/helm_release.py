"""HelmRelease: chart and values become a release, recorded as Helm records it (spec/flux.md 4).

One reconcile takes one step: begin an action (render, record it as pending), apply it, see whether
its objects are ready, record the outcome. What was rendered is kept in the record and never
rendered again to decide anything, since templates may use random values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

import msgspec

from trimtab.errors import TrimtabError
from trimtab.flux.applying import Applied, Owner, apply, ensure_namespace, progress_of
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.dependencies import check_dependencies
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.helm_hooks import HookFailed, begun, due, unrun
from trimtab.flux.helm_spec import Wanted, read_wanted
from trimtab.flux.helm_storage import Record
from trimtab.flux.hook_run import run_hooks, since
from trimtab.flux.inventory import inventory_of, keys_in
from trimtab.flux.kinds import HELM_MANAGER, HELM_RELEASE
from trimtab.flux.lifecycle import Kind, Success, duration_field
from trimtab.flux.releases import (
    HELM_NAME_LABEL,
    HELM_NAMESPACE_LABEL,
    forget,
    is_definition,
    objects_of,
    prune_records,
    records,
    render_record,
    save,
    snapshot_of,
)
from trimtab.lang.duration import format_duration
from trimtab.objects import key_of
from trimtab.runtime import Context

__all__ = ["HELM_NAMESPACE_LABEL", "HELM_NAME_LABEL", "KIND", "MANAGER"]

MANAGER: Final = HELM_MANAGER
_PENDING: Final = {"install": "pending-install", "upgrade": "pending-upgrade"}
_RELEASE_TIMEOUT_S: Final = 300.0


async def _reconcile(deps: Deps, _ctx: Context, obj: dict[str, Any], draft: StatusDraft) -> Success:
    interval = duration_field(obj, "interval")
    wanted = await read_wanted(deps, obj, draft)
    await check_dependencies(deps, HELM_RELEASE, obj, None)
    known = await records(deps, wanted)
    current = _current(draft, wanted, known)
    _name_unhonoured(draft, wanted, current or (known[0] if known else None))
    if current is None:
        current = await _begin(deps, obj, draft, wanted, known)
        _name_unhonoured(draft, wanted, current)
    if current.status == "deployed" and not _corrects_drift(obj):
        return _in_sync(draft, wanted, current, interval)
    if current.status == "deployed":
        applied = await _apply(deps, obj, draft, wanted, objects_of(current, obj))
        return _in_sync(draft, wanted, current, interval, changed=bool(applied.changed))
    try:
        current, waiting = await _carry_on(deps, obj, draft, wanted, current)
    except HookFailed as error:
        await _failed(deps, obj, draft, wanted, error.record, error.message)
    if waiting is not None:
        return waiting
    return await _deployed(deps, draft, wanted, current, known, interval)


def _name_unhonoured(draft: StatusDraft, wanted: Wanted, record: Record | None) -> None:
    """Fields of the spec and hooks of the chart that are accepted and have no effect."""
    draft.not_honoured([*wanted.not_honoured, *unrun(record.hooks if record else ())])


async def _carry_on(
    deps: Deps, obj: dict[str, Any], draft: StatusDraft, wanted: Wanted, record: Record
) -> tuple[Record, Success | None]:
    """The steps of a pending record: hooks, apply, readiness, hooks. None when all are done.

    Raises `HookFailed`, and `NotYet` when another step failed.
    """
    action = action_of(record)
    before, after = f"pre-{action}", f"post-{action}"
    hooked = wanted.runs_hooks(action)
    objects = objects_of(record, obj)
    if not begun(record.hooks, after):
        if hooked and due(record.hooks, before):
            await _prepare(deps, obj, draft, wanted, objects)
            record, held = await _hooks(deps, obj, draft, wanted, record, before)
            if held is not None:
                return record, held
        applied = await _apply(deps, obj, draft, wanted, objects)
        if applied.failed:
            await _failed(deps, obj, draft, wanted, record, "; ".join(applied.failed))
        unready = await _unready(deps, obj, draft, wanted, record, applied.objects)
        if unready is not None:
            return record, unready
    if not hooked:
        return record, None
    return await _hooks(deps, obj, draft, wanted, record, after)


async def _prepare(
    deps: Deps,
    obj: dict[str, Any],
    draft: StatusDraft,
    wanted: Wanted,
    objects: list[dict[str, Any]],
) -> None:
    """What a hook may need before the release is there: its namespace, and crds/ (spec 4.7)."""
    if wanted.create_namespace:
        await ensure_namespace(deps, Owner(manager=MANAGER, labels={}, namespace=wanted.namespace))
    definitions = [each for each in objects if is_definition(each)]
    if definitions:
        applied = await _apply(deps, obj, draft, wanted, definitions, whole=False)
        if applied.failed:
            raise NotYet("; ".join(applied.failed), reason="ReconciliationFailed", retry_s=1.0)


async def _hooks(
    deps: Deps, obj: dict[str, Any], draft: StatusDraft, wanted: Wanted, record: Record, event: str
) -> tuple[Record, Success | None]:
    limit = _timeout(obj, action_of(record))
    record, held = await run_hooks(deps, obj, wanted, record, event, limit_s=limit)
    if held is None:
        return record, None
    draft.progressing(f"Release {wanted.where}.v{record.version}: {held.message}")
    return record, Success("Progressing", held.message, held.requeue_s, done=False)


def _current(draft: StatusDraft, wanted: Wanted, known: list[Record]) -> Record | None:
    """The newest record, when it is of the chart and values that are wanted now."""
    history = draft.fields.get("history") or ()
    if not known or not history:
        return None
    newest, last = known[0], history[0]
    same = (
        last.get("version") == newest.version
        and last.get("chartVersion") == wanted.chart_version
        and last.get("chartName") == wanted.chart_name
        and last.get("configDigest") == wanted.config_digest
    )
    return newest if same and newest.status != "failed" else None


async def _begin(
    deps: Deps, obj: dict[str, Any], draft: StatusDraft, wanted: Wanted, known: list[Record]
) -> Record:
    """Render and record a new revision as pending. Raises `Stalled` when no retry is left."""
    # A release that never came to be is installed again, as after the uninstall of a remediation.
    lived = any(each.status in ("deployed", "superseded") for each in known)
    action = "upgrade" if lived else "install"
    if not _same_attempt(draft, wanted):
        for counter in ("failures", "installFailures", "upgradeFailures"):
            draft.fields.pop(counter, None)
    failures = int(draft.fields.get("failures") or 0)
    if failures > wanted.retries(action) >= 0:
        raise Stalled(f"Failed to {action} after {failures} attempt(s)", reason="RetriesExceeded")
    limit = format_duration(_timeout(obj, action))
    draft.progressing(f"Running '{action}' action with timeout of {limit}")
    if known and known[0].status.startswith("pending-"):
        why = f"Release unlocked from stale '{known[0].status}' state"
        stale = msgspec.structs.replace(known[0], status="failed", description=why)
        await save(deps, wanted, stale)
    draft.fields["lastAttemptedRevision"] = wanted.chart_version
    draft.fields["lastAttemptedConfigDigest"] = wanted.config_digest
    draft.fields["lastAttemptedGeneration"] = draft.generation
    draft.fields["lastAttemptedReleaseAction"] = action
    version = known[0].version + 1 if known else 1
    try:
        record = await render_record(deps, wanted, version, action, _PENDING[action])
    except Stalled:
        raise
    except TrimtabError as error:
        # Nothing was rendered: there is no revision to record, only a failure to count.
        message = f"Helm {action} failed for release {wanted.where}: {error}"
        _count(draft, action)
        draft.set("Released", "False", f"{action.capitalize()}Failed", message)
        raise NotYet(message, reason=f"{action.capitalize()}Failed", hint=error.hint) from error
    await save(deps, wanted, record)
    history = [snapshot_of(record, wanted, action), *(draft.fields.get("history") or ())]
    draft.fields["history"] = history[: wanted.max_history or None]
    draft.set("Released", "Unknown", "Progressing", f"Running '{action}' action")
    return record


def _same_attempt(draft: StatusDraft, wanted: Wanted) -> bool:
    """observedGeneration would not do: it stays behind while an attempt fails."""
    return (
        draft.fields.get("lastAttemptedGeneration") == draft.generation
        and draft.fields.get("lastAttemptedRevision") == wanted.chart_version
        and draft.fields.get("lastAttemptedConfigDigest") == wanted.config_digest
    )


async def _apply(
    deps: Deps,
    obj: dict[str, Any],
    draft: StatusDraft,
    wanted: Wanted,
    objects: list[dict[str, Any]],
    *,
    whole: bool = True,
) -> Applied:
    """`whole` False: a part of the release, which prunes nothing and is no inventory."""
    meta = obj["metadata"]
    applied = await apply(
        deps,
        objects,
        owner=Owner(
            manager=MANAGER,
            labels={HELM_NAME_LABEL: meta["name"], HELM_NAMESPACE_LABEL: meta["namespace"]},
            namespace=wanted.namespace,
            helm=True,
        ),
        owned=keys_in(draft.fields) if whole else (),
        prune=whole,
        force=False,
        timeout_s=duration_field(obj, "timeout", _RELEASE_TIMEOUT_S),
        create_namespace=wanted.create_namespace,
    )
    if whole and not applied.failed:
        draft.fields["inventory"] = inventory_of(applied.objects)
    return applied


async def _unready(
    deps: Deps,
    obj: dict[str, Any],
    draft: StatusDraft,
    wanted: Wanted,
    record: Record,
    objects: tuple[dict[str, Any], ...],
) -> Success | None:
    """None when everything is ready, or waiting is off. Raises `NotYet` when the time is over."""
    action = action_of(record)
    if not wanted.waits(action):
        return None
    pending, failed = progress_of(deps, [key_of(each) for each in objects])
    if failed:
        await _failed(deps, obj, draft, wanted, record, f"failed resources: [{', '.join(failed)}]")
    if not pending:
        return None
    waited = (deps.clock.now() - since(record)).total_seconds()
    limit = _timeout(obj, action)
    hint = _deadlock_hint(wanted, record, action)
    if waited >= limit:
        why = f"timeout waiting for: [{', '.join(pending)}]{hint}"
        await _failed(deps, obj, draft, wanted, record, why)
    draft.progressing(
        f"Waiting for {len(pending)} of {len(objects)} objects of release {wanted.where}{hint}"
    )
    return Success(
        "Progressing", f"waiting for {', '.join(pending)}", limit - waited + 0.05, done=False
    )


def _deadlock_hint(wanted: Wanted, record: Record, action: str) -> str:
    """Charts whose pods need a post hook wait for each other: say so before the timeout does."""
    later = due(record.hooks, f"post-{action}")
    if not later or not wanted.runs_hooks(action):
        return ""
    names = ", ".join(f"{record.hooks[p]['kind']}/{record.hooks[p]['name']}" for p in later)
    return (
        f" (post-{action} hooks run only after that: {names}; if the objects need them, set"
        f" spec.{action}.disableWait)"
    )


async def _failed(
    deps: Deps, obj: dict[str, Any], draft: StatusDraft, wanted: Wanted, record: Record, why: str
) -> NoReturn:
    """Record the failure and raise `NotYet`; the next reconcile tries again or stalls."""
    action = action_of(record)
    failed = msgspec.structs.replace(
        record, status="failed", description=f"{action} failed: {why}"[:1000]
    )
    await save(deps, wanted, failed)
    _count(draft, action)
    history = list(draft.fields.get("history") or ())
    if history:
        draft.fields["history"] = [{**history[0], "status": "failed"}, *history[1:]]
    reason = f"{action.capitalize()}Failed"
    message = (
        f"Helm {action} failed for release {wanted.where}.v{record.version}"
        f" with chart {wanted.chart}: {why}"
    )
    draft.set("Released", "False", reason, message)
    raise NotYet(message, reason=reason, retry_s=1.0 if _may_retry(draft, wanted, action) else None)


def _count(draft: StatusDraft, action: str) -> None:
    for counter in ("failures", f"{action}Failures"):
        draft.fields[counter] = int(draft.fields.get(counter) or 0) + 1


def _may_retry(draft: StatusDraft, wanted: Wanted, action: str) -> bool:
    return wanted.retries(action) < 0 or int(draft.fields["failures"]) <= wanted.retries(action)


async def _deployed(
    deps: Deps,
    draft: StatusDraft,
    wanted: Wanted,
    record: Record,
    known: list[Record],
    interval: float,
) -> Success:
    """Everything is ready: the record is deployed, those before it are superseded."""
    action = action_of(record)
    moment = deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    done = msgspec.structs.replace(
        record,
        status="deployed",
        description=f"{action.capitalize()} complete",
        last_deployed=moment,
    )
    await save(deps, wanted, done)
    for each in known:
        if each.version != record.version and each.status == "deployed":
            await save(deps, wanted, msgspec.structs.replace(each, status="superseded"))
    await prune_records(deps, wanted, [done, *(r for r in known if r.version != done.version)])
    history = list(draft.fields.get("history") or ())
    older = [
        {**each, "status": "superseded"} if each.get("status") == "deployed" else each
        for each in history[1:]
    ]
    draft.fields["history"] = [snapshot_of(done, wanted, action), *older]
    for counter in ("failures", "installFailures", "upgradeFailures"):
        draft.fields.pop(counter, None)
    return _in_sync(draft, wanted, done, interval, changed=True)


def _in_sync(
    draft: StatusDraft, wanted: Wanted, record: Record, interval: float, *, changed: bool = False
) -> Success:
    action = str(draft.fields["history"][0]["action"])
    reason = f"{action.capitalize()}Succeeded"
    message = (
        f"Helm {action} succeeded for release {wanted.where}.v{record.version}"
        f" with chart {wanted.chart}"
    )
    draft.set("Released", "True", reason, message)
    return Success(reason, message, interval, changed=changed)


def _corrects_drift(obj: Mapping[str, Any]) -> bool:
    return (obj["spec"].get("driftDetection") or {}).get("mode") == "enabled"


def action_of(record: Record) -> str:
    """What a pending record is about: install or upgrade."""
    return record.status.removeprefix("pending-")


def _timeout(obj: dict[str, Any], action: str) -> float:
    """Of one action, in seconds: its own, or the release's."""
    own = {"spec": obj["spec"].get(action) or {}}
    return duration_field(own, "timeout", duration_field(obj, "timeout", _RELEASE_TIMEOUT_S))


async def _finalize(deps: Deps, obj: dict[str, Any]) -> None:
    """Uninstall: delete the objects, then the records."""
    meta, status = obj["metadata"], obj.get("status") or {}
    applied = await apply(
        deps,
        [],
        owner=Owner(
            manager=MANAGER,
            labels={HELM_NAME_LABEL: meta["name"], HELM_NAMESPACE_LABEL: meta["namespace"]},
            helm=True,
        ),
        owned=keys_in(status),
        prune=True,
        force=False,
        timeout_s=60.0,
        allow_empty=True,
    )
    if applied.failed:
        raise NotYet("; ".join(applied.failed), reason="UninstallFailed", retry_s=10.0)
    keep = (obj.get("spec") or {}).get("uninstall", {}).get("keepHistory")
    if not keep:
        await forget(deps, status)


KIND: Final = Kind(
    gk=HELM_RELEASE,
    retry_s=lambda obj: duration_field(obj, "interval"),
    reconcile=_reconcile,
    finalize=_finalize,
)
