"""GitRepository: a repository at an interval becomes an artifact (spec/flux.md 2.1, 2.2)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from trimtab.errors import TrimtabError
from trimtab.flux.artifacts import Artifact
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.fields import GIT_FIELDS
from trimtab.flux.kinds import GIT_REPOSITORY, REQUESTED_AT
from trimtab.flux.lifecycle import Kind, Success, duration_field
from trimtab.flux.references import git_credentials
from trimtab.objects import key_of
from trimtab.runtime import Context
from trimtab.sources import GitRef, Snapshot, SourceSpec

__all__ = ["KIND", "revision_of", "source_spec"]


async def source_spec(deps: Deps, obj: dict[str, Any]) -> SourceSpec:
    """Where a GitRepository points, with its credentials.

    Raises `Stalled` for what cannot work, `NotYet` when the Secret is missing.
    """
    spec = obj["spec"]
    if spec.get("provider", "generic") != "generic":
        raise Stalled(
            f"spec.provider {spec['provider']} is not supported yet", reason="FeatureNotSupported"
        )
    ref = spec.get("ref") or {}
    fields = {
        name: str(ref.get(name) or "") for name in ("branch", "tag", "semver", "name", "commit")
    }
    if not any(fields.values()):
        fields["branch"] = "master"
    secret = (spec.get("secretRef") or {}).get("name")
    credentials = None
    if secret:
        namespace = obj["metadata"]["namespace"]
        credentials = await git_credentials(deps.client, namespace, secret, spec["url"])
    return SourceSpec(kind="git", url=spec["url"], ref=GitRef(**fields), credentials=credentials)


def revision_of(snapshot: Snapshot) -> str:
    """`main@sha1:<40 hex>`, or `sha1:<40 hex>` for a commit alone (spec/flux.md 2.1)."""
    algorithm = "sha256" if len(snapshot.revision) == 64 else "sha1"
    commit = f"{algorithm}:{snapshot.revision}"
    return f"{snapshot.label}@{commit}" if snapshot.label else commit


async def _reconcile(deps: Deps, _ctx: Context, obj: dict[str, Any], draft: StatusDraft) -> Success:
    interval = duration_field(obj, "interval")
    timeout = duration_field(obj, "timeout", 60.0)
    named = GIT_FIELDS.check(obj["spec"])
    spec = await source_spec(deps, obj)
    asked = _asked(obj, draft)
    snapshot = await _fetch(deps, spec, draft, limit_s=timeout, fresh=asked)
    if deps.sources.tree(snapshot).kind(".sourceignore") != "absent":
        named.append("the repository's .sourceignore")
    draft.not_honoured(named)
    deps.following.follow(key_of(obj), spec, snapshot)
    revision = revision_of(snapshot)
    known = draft.fields.get("artifact") or {}
    message = f"stored artifact for revision '{revision}'"
    if known.get("revision") == revision and deps.artifacts.holds(str(known.get("path") or "")):
        _stored(draft, message)
        return Success("Succeeded", message, interval)
    meta = obj["metadata"]
    artifact = deps.artifacts.store(
        "gitrepository",
        meta["namespace"],
        meta["name"],
        snapshot.revision,
        deps.sources.tree(snapshot),
    )
    draft.fields["artifact"] = _artifact_status(deps, artifact, revision)
    _stored(draft, message)
    return Success("NewArtifact", _news(snapshot, revision), interval, changed=True)


async def _fetch(
    deps: Deps, spec: SourceSpec, draft: StatusDraft, *, limit_s: float, fresh: bool
) -> Snapshot:
    try:
        async with asyncio.timeout(limit_s):
            return await deps.sources.snapshot(spec, fresh=fresh)
    except TimeoutError:
        error: TrimtabError = NotYet(f"timed out after {limit_s:g} s", reason="GitOperationFailed")
    except TrimtabError as caught:
        error = caught
    reason = (
        "AuthenticationFailed" if error.reason == "AuthenticationFailed" else "GitOperationFailed"
    )
    message = f"failed to checkout and determine revision: {error}"
    draft.set("FetchFailed", "True", reason, message)
    raise NotYet(message, reason=reason, hint=error.hint) from error


def _asked(obj: dict[str, Any], draft: StatusDraft) -> bool:
    """Did somebody ask for a look now? Else the shared poll's answer is recent enough."""
    token = (obj["metadata"].get("annotations") or {}).get(REQUESTED_AT)
    return bool(token) and token != draft.fields.get("lastHandledReconcileAt")


def _stored(draft: StatusDraft, message: str) -> None:
    draft.drop("FetchFailed", "ArtifactOutdated", "StorageOperationFailed")
    draft.set("ArtifactInStorage", "True", "Succeeded", message)


def _artifact_status(deps: Deps, artifact: Artifact, revision: str) -> dict[str, Any]:
    return {
        "revision": revision,
        "path": artifact.path,
        "url": deps.artifacts.url(artifact),
        "digest": artifact.digest,
        "size": artifact.size,
        "lastUpdateTime": deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _news(snapshot: Snapshot, revision: str) -> str:
    title = snapshot.message.strip().splitlines()[0] if snapshot.message.strip() else ""
    return f"stored artifact for commit '{title}'" if title else f"stored artifact for '{revision}'"


async def _finalize(deps: Deps, obj: dict[str, Any]) -> None:
    meta = obj["metadata"]
    deps.following.forget(key_of(obj))
    deps.artifacts.remove("gitrepository", meta["namespace"], meta["name"])


KIND: Final = Kind(
    gk=GIT_REPOSITORY,
    retry_s=lambda obj: duration_field(obj, "interval"),
    reconcile=_reconcile,
    finalize=_finalize,
)
