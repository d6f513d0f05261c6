"""ControllerRevisions: the templates a StatefulSet or DaemonSet had."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.kinds import CONTROLLER_REVISION
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.revisions import template_hash

__all__ = ["REVISION_LABEL", "current_revision", "template_of", "trim_history"]

REVISION_LABEL = "controller-revision-hash"


def _revisions(kit: Kit, owner: Object) -> list[Object]:
    found = kit.cache.owned(owner["metadata"]["uid"], CONTROLLER_REVISION)
    return sorted(found, key=lambda revision: int(revision["revision"]))


def current_revision(kit: Kit, owner: Object, *, kind: str) -> Object:
    """The revision of the owner's template: known, renumbered when older, or made."""
    template = owner["spec"]["template"]
    data = {"spec": {"template": {**template, "$patch": "replace"}}}
    known = _revisions(kit, owner)
    number = int(known[-1]["revision"]) + 1 if known else 1
    for revision in reversed(known):
        if revision.get("data") == data:
            if revision is known[-1]:
                return revision
            return kit.edit(revision, lambda fresh: fresh.update(revision=number)) or revision
    return kit.create(_revision(owner, data, number=number, kind=kind))


def _revision(owner: Object, data: Object, *, number: int, kind: str) -> Object:
    meta = owner["metadata"]
    digest = template_hash(owner["spec"]["template"])
    labels: dict[str, Any] = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": {**labels, REVISION_LABEL: digest},
            "ownerReferences": [owner_reference(owner, api_version="apps/v1", kind=kind)],
        },
        "data": data,
        "revision": number,
    }


def template_of(kit: Kit, owner: Object, name: str) -> Object | None:
    """The pod template of a revision by name."""
    revision = kit.get(CONTROLLER_REVISION, owner["metadata"]["namespace"], name)
    if revision is None:
        return None
    template = revision["data"]["spec"]["template"]
    return {k: v for k, v in template.items() if k != "$patch"}


def trim_history(kit: Kit, owner: Object, *, live: Iterable[str]) -> None:
    """Deletes the oldest revisions beyond revisionHistoryLimit that no Pod is of."""
    kept = set(live)
    spare = [r for r in _revisions(kit, owner) if r["metadata"]["name"] not in kept]
    limit = owner["spec"].get("revisionHistoryLimit", 10)
    for revision in spare[: max(0, len(spare) - limit)]:
        kit.delete(revision)
