"""Which Pods a workload controls: claimed by owner, adopted and released by selector."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.kinds import POD
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.labels import matches, selects_all
from trimtab.cluster.simulation.podspec import is_active, is_terminating

__all__ = ["claim"]


def claim(kit: Kit, owner: Object, *, api_version: str, kind: str) -> list[Object]:
    """The Pods of `owner`: those it controls, orphans that its selector takes (adopted);
    controlled ones that the selector no longer takes are released."""
    selector = owner["spec"].get("selector")
    uid = owner["metadata"]["uid"]
    for pod in kit.cache.owned(uid, POD):
        if not matches(selector, pod["metadata"].get("labels") or {}) and not is_terminating(pod):
            kit.edit(pod, lambda fresh: _release(fresh, uid))
    if not is_terminating(owner) and not selects_all(selector):
        _adopt(kit, owner, owner_reference(owner, api_version=api_version, kind=kind))
    return kit.cache.owned(uid, POD)


def _adopt(kit: Kit, owner: Object, reference: Object) -> None:
    selector = owner["spec"].get("selector")
    for pod in kit.orphans(owner["metadata"]["namespace"]):
        if is_active(pod) and matches(selector, pod["metadata"].get("labels") or {}):
            kit.edit(pod, lambda fresh: _take(fresh, reference))


def _take(pod: Object, reference: Object) -> None:
    meta = pod["metadata"]
    meta["ownerReferences"] = [*(meta.get("ownerReferences") or ()), reference]


def _release(pod: Object, uid: str) -> None:
    meta = pod["metadata"]
    meta["ownerReferences"] = [r for r in meta["ownerReferences"] if r.get("uid") != uid]
