"""Which live objects are an application's: the tracking id (spec/argocd.md 1.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trimtab.argocd.kinds import TRACKING
from trimtab.objects import ObjectKey, key_of

__all__ = ["INDEX", "TRACKING_INDEX", "instance_name", "owner_of", "track", "tracking_id"]

TRACKING_INDEX: Final = "argocd-tracking"


def instance_name(namespace: str, name: str, *, home: str) -> str:
    """`<app>`, or `<namespace>_<app>` outside the control plane's namespace `home`."""
    return name if namespace == home else f"{namespace}_{name}"


def tracking_id(instance: str, key: ObjectKey, namespace: str) -> str:
    """`namespace` is the destination's: it stands for objects without one."""
    return f"{instance}:{key.group}/{key.kind}:{key.namespace or namespace}/{key.name}"


def track(obj: Mapping[str, Any], instance: str, namespace: str) -> dict[str, Any]:
    """A copy of `obj` that carries our tracking id."""
    meta = dict(obj.get("metadata") or {})
    text = tracking_id(instance, key_of(obj), namespace)
    meta["annotations"] = {**(meta.get("annotations") or {}), TRACKING: text}
    return {**obj, "metadata": meta}


def owner_of(obj: Mapping[str, Any]) -> str:
    """The instance that owns a live object, "" for none. An id that names another object was
    copied by a controller: it is nobody's."""
    meta = obj.get("metadata") or {}
    text = (meta.get("annotations") or {}).get(TRACKING)
    if not isinstance(text, str):
        return ""
    instance, _, rest = text.partition(":")
    kind, _, place = rest.partition(":")
    namespace, _, name = place.partition("/")
    group, _, short = kind.rpartition("/")
    key = key_of(obj)
    named = (group, short, name) == (key.group, key.kind, key.name)
    return instance if named and (not key.namespace or namespace == key.namespace) else ""


def _indexed(obj: dict[str, Any]) -> Iterable[str]:
    owner = owner_of(obj)
    return (owner,) if owner else ()


INDEX: Final = {TRACKING_INDEX: _indexed}
