"""From a reference to a source object to the snapshot it stands at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.kinds import GIT_REPOSITORY
from trimtab.objects import ObjectKey
from trimtab.sources import Snapshot

__all__ = ["Revision", "source_key", "source_object", "source_revision"]

DEPENDENCY_S = 30.0


class Revision(msgspec.Struct, frozen=True):
    """A source's present revision: as text, and as a tree."""

    text: str
    snapshot: Snapshot
    key: ObjectKey


def source_key(obj: Mapping[str, Any], ref: Mapping[str, Any]) -> ObjectKey:
    namespace = ref.get("namespace") or obj["metadata"]["namespace"]
    return ObjectKey(GIT_REPOSITORY.group, ref["kind"], namespace, ref["name"])


def source_object(deps: Deps, obj: Mapping[str, Any], ref: Mapping[str, Any]) -> dict[str, Any]:
    """The source object, with an artifact. Raises `NotYet` when it is missing or not ready."""
    key = source_key(obj, ref)
    live = deps.cache.get(key)
    if live is None:
        raise NotYet(
            f"{key.kind} '{key.namespace}/{key.name}' not found",
            reason="ArtifactFailed",
            hint="it is looked at again as soon as it is created",
        )
    if not ((live.obj.get("status") or {}).get("artifact") or {}).get("revision"):
        raise NotYet(
            f"Source artifact not found, retrying in {DEPENDENCY_S:g}s",
            reason="ArtifactFailed",
            retry_s=DEPENDENCY_S,
        )
    return live.obj


def source_revision(deps: Deps, obj: Mapping[str, Any], ref: Mapping[str, Any]) -> Revision:
    """The revision in the source's status, as a tree. Raises `NotYet`."""
    key = source_key(obj, ref)
    if key.kind != GIT_REPOSITORY.kind:
        raise Stalled(
            f"sources of kind {key.kind} are not supported yet", reason="FeatureNotSupported"
        )
    text = source_object(deps, obj, ref)["status"]["artifact"]["revision"]
    snapshot = deps.following.snapshot(key)
    if snapshot is None or not text.endswith(snapshot.revision):
        # The source is being read again (after a restart, or a newer commit came meanwhile).
        raise NotYet(
            f"{key.kind} '{key.namespace}/{key.name}' is being fetched",
            reason="ArtifactFailed",
            retry_s=1.0,
        )
    return Revision(text, snapshot, key)
