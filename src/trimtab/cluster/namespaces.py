"""What a namespace says while it ends: what is left in it, and who holds that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["namespace_conditions"]

Condition = dict[str, Any]
_DELETED: Final = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered",
     "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions",
     "All legacy kube types successfully parsed"),
    ("NamespaceDeletionContentFailure", "ContentDeleted",
     "All content successfully deleted, may be waiting on finalization"),
)  # fmt: skip


def namespace_conditions(
    old: Iterable[Mapping[str, Any]],
    resources: Iterable[str],
    finalizers: Iterable[str],
    now: str,
) -> list[Condition]:
    """The five conditions. `resources` and `finalizers`: one entry for each object that is left
    and for each finalizer of one. Times of what did not change stay."""
    wanted = [(kind, "False", reason, message) for kind, reason, message in _DELETED]
    counted = ", ".join(
        f"{name} has {count} resource instances" for name, count in _counted(resources)
    )
    if counted:
        message = f"Some resources are remaining: {counted}"
        wanted.append(("NamespaceContentRemaining", "True", "SomeResourcesRemain", message))
    else:
        message = "All content successfully removed"
        wanted.append(("NamespaceContentRemaining", "False", "ContentRemoved", message))
    held = ", ".join(
        f"{name} in {count} resource instances" for name, count in _counted(finalizers)
    )
    if held:
        message = f"Some content in the namespace has finalizers remaining: {held}"
        wanted.append(("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", message))
    else:
        message = "All content-preserving finalizers finished"
        wanted.append(("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", message))
    before = {each["type"]: each for each in old}
    return [_condition(before.get(each[0]), each, now) for each in wanted]


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items())


def _condition(
    old: Mapping[str, Any] | None, wanted: tuple[str, str, str, str], now: str
) -> Condition:
    kind, status, reason, message = wanted
    same = old is not None and old.get("status") == status
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else now,
        "reason": reason,
        "message": message,
    }
