"""Kustomization: fetch, render, finish, apply and prune, wait for health (spec/flux.md 3).

Waiting holds no worker: a reconcile that finds objects still in progress says so and returns;
their next change wakes it, and the deadline is measured from when the wait began.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trimtab.errors import TrimtabError
from trimtab.flux.applying import Applied, Owner, apply, progress_of
from trimtab.flux.build import finish, owner_labels, render_request, variables
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.dependencies import check_dependencies
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.fields import KUSTOMIZATION_FIELDS
from trimtab.flux.inventory import inventory_of, keys_in
from trimtab.flux.kinds import KUSTOMIZATION
from trimtab.flux.lifecycle import Kind, Success, duration_field
from trimtab.flux.references import object_text
from trimtab.flux.sources import Revision, source_revision
from trimtab.lang.duration import format_duration
from trimtab.objects import ObjectKey, key_of
from trimtab.render import Manifests
from trimtab.runtime import Context

__all__ = ["KIND", "MANAGER"]

MANAGER: Final = "kustomize-controller"
_HISTORY: Final = 5
_HEALTH_POLL_S: Final = 5.0


async def _reconcile(deps: Deps, _ctx: Context, obj: dict[str, Any], draft: StatusDraft) -> Success:
    spec = obj["spec"]
    interval = duration_field(obj, "interval")
    _check_supported(spec, draft)
    source = source_revision(deps, obj, spec["sourceRef"])
    await check_dependencies(deps, KUSTOMIZATION, obj, source)
    _begin(draft, source.text)
    desired = await _build(deps, obj, source)
    applied = await _apply(deps, obj, desired, draft)
    waiting = await _unhealthy(deps, obj, applied.objects, draft)
    if waiting is not None:
        return waiting
    news = _finish(deps, draft, source.text, applied)
    return Success(
        "ReconciliationSucceeded",
        f"Applied revision: {source.text}",
        interval,
        changed=news,
    )


def _check_supported(spec: Mapping[str, Any], draft: StatusDraft) -> None:
    """What would change the result when left out is refused; what would not is named."""
    named = KUSTOMIZATION_FIELDS.check(spec)
    if spec["sourceRef"]["kind"] != "GitRepository":
        raise Stalled(
            f"spec.sourceRef.kind {spec['sourceRef']['kind']} is not supported yet",
            reason="FeatureNotSupported",
        )
    if spec.get("deletionPolicy") == "WaitForTermination":
        named.append("spec.deletionPolicy: WaitForTermination")
    draft.not_honoured(named)


def _begin(draft: StatusDraft, revision: str) -> None:
    """Say that work goes on, when there is new work: a new generation or a new revision."""
    new = draft.fields.get("observedGeneration") != draft.generation
    if new or draft.fields.get("lastAttemptedRevision") != revision:
        draft.progressing(f"Reconciling revision {revision}")
    draft.fields["lastAttemptedRevision"] = revision


async def _build(deps: Deps, obj: dict[str, Any], source: Revision) -> list[dict[str, Any]]:
    """Objects ready to apply. Raises `NotYet` (BuildFailed, ArtifactFailed)."""
    spec, meta = obj["spec"], obj["metadata"]
    request = render_request(spec)
    try:
        manifests: Manifests = await deps.renders.render(request, source.snapshot)
    except TrimtabError as error:
        missing = error.reason == "PathNotFound"
        message = (
            f"kustomization path not found: {error}"
            if missing
            else f"kustomize build failed: {error}"
        )
        reason = "ArtifactFailed" if missing else "BuildFailed"
        raise NotYet(message, reason=reason, hint=error.hint) from error
    data = []
    for reference in (spec.get("postBuild") or {}).get("substituteFrom") or ():
        text = await object_text(
            deps.client,
            reference["kind"],
            meta["namespace"],
            reference["name"],
            optional=bool(reference.get("optional")),
        )
        data.append(text or {})
    values, substitutes = variables(spec, data)
    try:
        return finish(
            manifests.items,
            spec=spec,
            values=values,
            substitutes=substitutes,
            labels=owner_labels(meta["name"], meta["namespace"]),
        )
    except NotYet:
        raise
    except TrimtabError as error:
        raise NotYet(
            f"post build failed: {error}", reason="BuildFailed", hint=error.hint
        ) from error


async def _apply(
    deps: Deps, obj: dict[str, Any], desired: list[dict[str, Any]], draft: StatusDraft
) -> Applied:
    """Apply and prune; the inventory is written whatever happens, so that nothing is lost."""
    spec, meta = obj["spec"], obj["metadata"]
    applied = await apply(
        deps,
        desired,
        owner=Owner(
            manager=MANAGER,
            labels=owner_labels(meta["name"], meta["namespace"]),
            namespace=spec.get("targetNamespace") or "",
        ),
        owned=keys_in(draft.fields),
        prune=bool(spec.get("prune")),
        force=bool(spec.get("force")),
        timeout_s=_timeout(obj),
    )
    inventory = inventory_of(applied.objects)
    survivors = {entry["id"]: entry for entry in applied.survivors}
    entries = {entry["id"]: entry for entry in inventory["entries"]} | survivors
    if applied.failed:
        # What was owned before stays owned: a half-applied set must not forget anything.
        former = (draft.fields.get("inventory") or {}).get("entries") or ()
        entries = {entry["id"]: entry for entry in former} | entries
    draft.fields["inventory"] = {"entries": [entries[id_] for id_ in sorted(entries)]}
    if applied.failed:
        reason = "PruneFailed" if applied.prune_failed else "ReconciliationFailed"
        raise NotYet("; ".join(applied.failed), reason=reason)
    return applied


async def _unhealthy(
    deps: Deps, obj: dict[str, Any], desired: tuple[dict[str, Any], ...], draft: StatusDraft
) -> Success | None:
    """None when health is not asked for, or everything is current. Raises `NotYet` when objects
    failed or the time is over."""
    keys = await _checked(deps, obj, desired)
    if not keys:
        draft.drop("Healthy")
        return None
    await deps.cache.ensure({key.group_kind for key in keys})
    pending, failed = progress_of(deps, keys)
    if failed:
        message = f"failed early due to stalled resources: [{', '.join(failed)}]"
        draft.set("Healthy", "False", "HealthCheckFailed", message)
        raise NotYet(f"health check failed: {message}", reason="HealthCheckFailed")
    if not pending:
        draft.set("Healthy", "True", "Succeeded", f"{len(keys)} objects are current")
        return None
    began = _wait_began(draft)
    waited = (deps.clock.now() - began).total_seconds()
    limit = _timeout(obj)
    names = ", ".join(pending)
    if waited >= limit:
        message = f"timeout waiting for: [{names}]"
        draft.set("Healthy", "False", "HealthCheckFailed", message)
        raise NotYet(
            f"health check failed after {format_duration(round(limit, 1))}: {message}",
            reason="HealthCheckFailed",
        )
    draft.set(
        "Healthy",
        "Unknown",
        "Progressing",
        f"Running health checks with a timeout of {format_duration(limit)}",
    )
    draft.progressing(
        f"Running health checks for {len(keys)} objects with a timeout of {format_duration(limit)}"
    )
    left = limit - waited + 0.05
    if not obj["spec"].get("wait"):
        # Objects of others carry no label that leads here, so their change wakes nobody.
        left = min(left, _HEALTH_POLL_S)
    return Success("Progressing", f"waiting for {names}", left, done=False)


async def _checked(
    deps: Deps, obj: dict[str, Any], desired: tuple[dict[str, Any], ...]
) -> list[ObjectKey]:
    """Which objects must be healthy: all that was applied with `wait`, else the listed ones."""
    spec = obj["spec"]
    if spec.get("wait"):
        return [key_of(each) for each in desired]
    keys = []
    discovery = await deps.client.discovery()
    for check in spec.get("healthChecks") or ():
        group = check.get("apiVersion", "apps/v1").rpartition("/")[0]
        kind = discovery.resource(group, check["kind"])
        namespace = check.get("namespace") or obj["metadata"]["namespace"]
        if kind is not None and not kind.namespaced:
            namespace = ""
        keys.append(ObjectKey(group, check["kind"], namespace, check["name"]))
    return keys


def _wait_began(draft: StatusDraft) -> datetime:
    """When this wait began: the Healthy condition keeps it, across restarts."""
    if draft.status_of("Healthy") != "Unknown":
        draft.set("Healthy", "Unknown", "Progressing", "Running health checks")
    condition = next(c for c in draft.conditions if c["type"] == "Healthy")
    return datetime.fromisoformat(condition["lastTransitionTime"])


def _finish(deps: Deps, draft: StatusDraft, revision: str, applied: Applied) -> bool:
    """Record the success; whether it is news: a revision applied for the first time, or changes."""
    first = draft.fields.get("lastAppliedRevision") != revision
    draft.fields["lastAppliedRevision"] = revision
    if first:
        _remember(deps, draft, revision)
    return first or bool(applied.changed)


def _remember(deps: Deps, draft: StatusDraft, revision: str) -> None:
    moment = deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {
        "firstReconciled": moment,
        "lastReconciled": moment,
        "lastReconciledStatus": "ReconciliationSucceeded",
        "totalReconciliations": 1,
        "metadata": {"revision": revision},
    }
    history = [entry, *(draft.fields.get("history") or ())]
    draft.fields["history"] = history[:_HISTORY]


def _timeout(obj: dict[str, Any]) -> float:
    interval = duration_field(obj, "interval")
    return duration_field(obj, "timeout", max(30.0, interval - 30.0))


def _retry(obj: dict[str, Any]) -> float:
    return duration_field(obj, "retryInterval", duration_field(obj, "interval"))


async def _finalize(deps: Deps, obj: dict[str, Any]) -> None:
    """Delete what was applied, unless the policy keeps it (spec/flux.md 3.7)."""
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    if policy == "Orphan" or (policy == "MirrorPrune" and not spec.get("prune")):
        return
    applied = await apply(
        deps,
        [],
        owner=Owner(manager=MANAGER, labels=owner_labels(meta["name"], meta["namespace"])),
        owned=keys_in(obj.get("status") or {}),
        prune=True,
        force=False,
        timeout_s=60.0,
        allow_empty=True,
    )
    if applied.failed:
        raise NotYet("; ".join(applied.failed), reason="PruneFailed", retry_s=10.0)


KIND: Final = Kind(gk=KUSTOMIZATION, retry_s=_retry, reconcile=_reconcile, finalize=_finalize)
