"""HelmRelease: chart and values become a release, recorded as Helm records it (spec/flux.md 4).

One reconcile takes one step: begin an action (render, record it as pending), apply it, see whether
its objects are ready, record the outcome. What was rendered is kept in the record and never
rendered again to decide anything, since templates may use random values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from trimtab.errors import TrimtabError
from trimtab.flux.applying import Applied, Owner, apply, progress_of
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.dependencies import check_dependencies
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.helm_spec import Wanted, read_wanted
from trimtab.flux.helm_storage import Record
from trimtab.flux.inventory import inventory_of, keys_in
from trimtab.flux.kinds import HELM_RELEASE
from trimtab.flux.lifecycle import Kind, Success, duration_field
from trimtab.flux.releases import (
    HELM_NAME_LABEL,
    HELM_NAMESPACE_LABEL,
    forget,
    objects_of,
    records,
    render_record,
    save,
    snapshot_of,
)
from trimtab.lang.duration import format_duration
from trimtab.objects import key_of
from trimtab.runtime import Context

__all__ = ["HELM_NAMESPACE_LABEL", "HELM_NAME_LABEL", "KIND", "MANAGER"]

MANAGER: Final = "helm-controller"
_PENDING: Final = {"install": "pending-install", "upgrade": "pending-upgrade"}
_RELEASE_TIMEOUT_S: Final = 300.0


async def _reconcile(deps: Deps, _ctx: Context, obj: dict[str, Any], draft: StatusDraft) -> Success:
    interval = duration_field(obj, "interval")
    wanted = await read_wanted(deps, obj, draft)
    await check_dependencies(deps, HELM_RELEASE, obj, None)
    known = await records(deps, wanted)
    current = _current(draft, wanted, known)
    if current is None:
        current = await _begin(deps, obj, draft, wanted, known)
    action = _action(current)
    objects = objects_of(current, obj)
    if current.status == "deployed" and not _corrects_drift(obj):
        return _in_sync(draft, wanted, current, interval)
    applied = await _apply(deps, obj, draft, wanted, objects)
    if current.status == "deployed":
        return _in_sync(draft, wanted, current, interval, changed=bool(applied.changed))
    if applied.failed:
        await _failed(deps, obj, draft, wanted, current, "; ".join(applied.failed))
    waiting = await _unready(deps, obj, draft, wanted, current, applied.objects)
    if waiting is not None:
        return waiting
    return await _deployed(deps, draft, wanted, current, known, action, interval)


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
    action = (
        "upgrade"
        if any(each.status in ("deployed", "superseded", "failed") for each in known)
        else "install"
    )
    new = draft.fields.get("observedGeneration") != draft.generation or not _same_attempt(
        draft, wanted
    )
    if new:
        for counter in ("failures", "installFailures", "upgradeFailures"):
            draft.fields.pop(counter, None)
    failures = int(draft.fields.get("failures") or 0)
    if failures > wanted.retries(action) >= 0:
        raise Stalled(f"Failed to {action} after {failures} attempt(s)", reason="RetriesExceeded")
    draft.progressing(f"Running '{action}' action with timeout of {format_duration(_timeout(obj))}")
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
    return (
        draft.fields.get("lastAttemptedRevision") == wanted.chart_version
        and draft.fields.get("lastAttemptedConfigDigest") == wanted.config_digest
    )


async def _apply(
    deps: Deps,
    obj: dict[str, Any],
    draft: StatusDraft,
    wanted: Wanted,
    objects: list[dict[str, Any]],
) -> Applied:
    meta = obj["metadata"]
    applied = await apply(
        deps,
        objects,
        owner=Owner(
            manager=MANAGER,
            labels={HELM_NAME_LABEL: meta["name"], HELM_NAMESPACE_LABEL: meta["namespace"]},
            namespace=wanted.namespace,
        ),
        owned=keys_in(draft.fields),
        prune=True,
        force=False,
        timeout_s=_timeout(obj),
        create_namespace=wanted.create_namespace,
    )
    if not applied.failed:
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
    if not wanted.waits(_action(record)):
        return None
    pending, failed = progress_of(deps, [key_of(each) for each in objects])
    if failed:
        await _failed(deps, obj, draft, wanted, record, f"failed resources: [{', '.join(failed)}]")
    if not pending:
        return None
    since = next(c for c in draft.conditions if c["type"] == "Released")["lastTransitionTime"]
    waited = (deps.clock.now() - _moment(since)).total_seconds()
    limit = _timeout(obj)
    if waited >= limit:
        await _failed(
            deps, obj, draft, wanted, record, f"timeout waiting for: [{', '.join(pending)}]"
        )
    draft.progressing(
        f"Waiting for {len(pending)} of {len(objects)} objects of release {wanted.where}"
    )
    return Success(
        "Progressing", f"waiting for {', '.join(pending)}", limit - waited + 0.05, done=False
    )


async def _failed(
    deps: Deps, obj: dict[str, Any], draft: StatusDraft, wanted: Wanted, record: Record, why: str
) -> None:
    """Record the failure and raise `NotYet`; the next reconcile tries again or stalls."""
    action = _action(record)
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
    action: str,
    interval: float,
) -> Success:
    """Everything is ready: the record is deployed, those before it are superseded."""
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


def _action(record: Record) -> str:
    if record.status.startswith("pending-"):
        return record.status.removeprefix("pending-")
    return "install" if record.version == 1 else "upgrade"


def _timeout(obj: dict[str, Any]) -> float:
    return duration_field(obj, "timeout", _RELEASE_TIMEOUT_S)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def _finalize(deps: Deps, obj: dict[str, Any]) -> None:
    """Uninstall: delete the objects, then the records."""
    meta, status = obj["metadata"], obj.get("status") or {}
    applied = await apply(
        deps,
        [],
        owner=Owner(
            manager=MANAGER,
            labels={HELM_NAME_LABEL: meta["name"], HELM_NAMESPACE_LABEL: meta["namespace"]},
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
