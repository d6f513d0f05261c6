"""Revisions of a Deployment: which ReplicaSet is whose template, and what they carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trimtab.cluster.simulation.api import Object

__all__ = [
    "DESIRED",
    "HASH_LABEL",
    "MAX",
    "REVISION",
    "carried_annotations",
    "find_new",
    "revision_of",
    "size_annotations",
    "template_hash",
    "templates_equal",
]

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
_NOT_CARRIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAX,
        "deprecated.deployment.rollback.to",
    }
)
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Object, *, collisions: int = 0) -> str:
    """A short name of a template in the letters of Kubernetes' own hashes (FNV-1a, 32 bits).

    Stable for equal templates; not the value Kubernetes computes, which hashes its Go structs.
    """
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    if collisions:
        text += str(collisions)
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_LETTERS[ord(digit) % len(_LETTERS)] for digit in str(value))


def _comparable(template: Object) -> Object:
    meta = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (meta.pop("labels", None) or {}).items() if k != HASH_LABEL}
    meta.pop("creationTimestamp", None)
    return {"metadata": {**meta, "labels": labels}, "spec": template.get("spec")}


def templates_equal(left: Object, right: Object) -> bool:
    """Equal apart from the hash label."""
    return _comparable(left) == _comparable(right)


def find_new(deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The oldest ReplicaSet with the Deployment's template."""
    template = deployment["spec"]["template"]
    by_age = sorted(sets, key=lambda rs: rs["metadata"].get("creationTimestamp") or "")
    for rs in by_age:
        if templates_equal(rs["spec"].get("template") or {}, template):
            return rs
    return None


def revision_of(obj: Object) -> int:
    """The revision annotation as a number; 0 when absent or no number."""
    text = (obj["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if str(text).isdigit() else 0


def size_annotations(replicas: int, maximum: int) -> dict[str, str]:
    return {DESIRED: str(replicas), MAX: str(maximum)}


def carried_annotations(deployment: Object, rs: Object | None, revision: int) -> dict[str, str]:
    """What the new ReplicaSet's annotations become: the Deployment's, and the revision."""
    current: dict[str, Any] = dict((rs or {"metadata": {}})["metadata"].get("annotations") or {})
    theirs = deployment["metadata"].get("annotations") or {}
    current |= {name: value for name, value in theirs.items() if name not in _NOT_CARRIED}
    old = current.get(REVISION)
    if old is None or not str(old).isdigit() or int(old) < revision:
        if old is not None:
            history = current.get(HISTORY)
            current[HISTORY] = f"{history},{old}" if history else str(old)
        current[REVISION] = str(revision)
    return current
