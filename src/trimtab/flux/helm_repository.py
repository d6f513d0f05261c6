"""HelmRepository: an index at an interval becomes an artifact (spec/flux.md 2.1, 2.4).

HelmReleases choose their chart's version from the kept index, so that what is installed is of the
revision this object shows, and charts of one index need one request.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

from trimtab.errors import TrimtabError
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.fields import HELM_REPOSITORY_FIELDS
from trimtab.flux.kinds import HELM_REPOSITORY
from trimtab.flux.lifecycle import Kind, Success, duration_field
from trimtab.flux.references import helm_credentials
from trimtab.runtime import Context
from trimtab.sources import SourceSpec

__all__ = ["KIND", "repository_spec"]

_INTERVAL_S: Final = 60.0
_FOLDER: Final = "helmrepository"


async def repository_spec(deps: Deps, obj: dict[str, Any]) -> SourceSpec:
    """Where a HelmRepository points, with its credentials and no chart yet.

    Raises `Stalled` for OCI and what else cannot work, `NotYet` when a Secret is missing.
    """
    spec, namespace = obj["spec"], obj["metadata"]["namespace"]
    if spec.get("type", "default") == "oci" or spec["url"].startswith("oci://"):
        raise Stalled(
            "spec.type oci is not supported yet",
            reason="FeatureNotSupported",
            hint="use a repository with an index over https, or a chart in a GitRepository",
        )
    credentials = await helm_credentials(
        deps.client,
        namespace,
        secret=str((spec.get("secretRef") or {}).get("name") or ""),
        certificates=str((spec.get("certSecretRef") or {}).get("name") or ""),
    )
    return SourceSpec(kind="helm", url=spec["url"], credentials=credentials)


async def _reconcile(deps: Deps, _ctx: Context, obj: dict[str, Any], draft: StatusDraft) -> Success:
    interval = duration_field(obj, "interval", _INTERVAL_S)
    timeout = duration_field(obj, "timeout", 60.0)
    draft.not_honoured(HELM_REPOSITORY_FIELDS.check(obj["spec"]))
    index = await _fetch(deps, await repository_spec(deps, obj), draft, limit_s=timeout)
    hexadecimal = hashlib.sha256(index).hexdigest()
    revision = f"sha256:{hexadecimal}"
    message = f"stored artifact: revision '{revision}'"
    known = draft.fields.get("artifact") or {}
    if known.get("revision") == revision and deps.artifacts.holds(str(known.get("path") or "")):
        _stored(draft, message)
        return Success("Succeeded", message, interval)
    meta = obj["metadata"]
    artifact = deps.artifacts.keep(
        _FOLDER, meta["namespace"], meta["name"], f"index-{hexadecimal}.yaml", index
    )
    draft.fields["artifact"] = {
        "revision": revision,
        "path": artifact.path,
        "url": deps.artifacts.url(artifact),
        "digest": artifact.digest,
        "size": artifact.size,
        "lastUpdateTime": deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    draft.fields["url"] = deps.artifacts.url(artifact)
    _stored(draft, message)
    return Success("Succeeded", message, interval, changed=True)


async def _fetch(deps: Deps, spec: SourceSpec, draft: StatusDraft, *, limit_s: float) -> bytes:
    try:
        async with asyncio.timeout(limit_s):
            return await deps.sources.helm_index(spec)
    except TimeoutError:
        error: TrimtabError = NotYet(f"timed out after {limit_s:g} s", reason="IndexationFailed")
    except TrimtabError as caught:
        error = caught
    reason = error.reason if error.reason in ("AuthenticationFailed", "URLInvalid") else ""
    reason = reason or "IndexationFailed"
    message = f"failed to fetch Helm repository index: {error}"
    draft.set("FetchFailed", "True", reason, message)
    if reason == "URLInvalid":
        raise Stalled(message, reason=reason) from error
    raise NotYet(message, reason=reason, hint=error.hint) from error


def _stored(draft: StatusDraft, message: str) -> None:
    draft.drop("FetchFailed", "StorageOperationFailed")
    draft.set("ArtifactInStorage", "True", "Succeeded", message)


async def _finalize(deps: Deps, obj: dict[str, Any]) -> None:
    meta = obj["metadata"]
    deps.artifacts.remove(_FOLDER, meta["namespace"], meta["name"])


KIND: Final = Kind(
    gk=HELM_REPOSITORY,
    retry_s=lambda obj: duration_field(obj, "interval", _INTERVAL_S),
    reconcile=_reconcile,
    finalize=_finalize,
)
