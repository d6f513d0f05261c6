"""In which order kinds are applied; deletes take the exact reverse. Tables as data.

`WAVES` is the order of spec/argocd.md 4.1, `STAGES` that of spec/flux.md 3.5. Custom kinds that
share a name with a built-in one are ordinary objects: only built-in groups have a rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trimtab.objects import GroupKind, ObjectKey, key_of
from trimtab.objects.kind_order import CREATION_ORDER

__all__ = ["STAGES", "WAVES", "KindOrder", "stage_of"]

SortKey = tuple[int, str, str, str, str]


class KindOrder(msgspec.Struct, frozen=True):
    """`first` kinds in this order, then all others, then `last`. With `group_others` the others
    are sorted by group and kind before namespace and name."""

    first: tuple[str, ...]
    last: tuple[str, ...] = ()

    def rank(self, gk: GroupKind) -> int:
        builtin = "." not in gk.group or gk.group.endswith(".k8s.io")
        if builtin and gk.kind in self.first:
            return self.first.index(gk.kind)
        if builtin and gk.kind in self.last:
            return len(self.first) + 1 + self.last.index(gk.kind)
        return len(self.first)

    def key(self, key: ObjectKey) -> SortKey:
        """Total: two different objects never compare equal."""
        return (self.rank(key.group_kind), key.group, key.kind, key.namespace, key.name)


WAVES: Final = KindOrder(first=CREATION_ORDER)

STAGES: Final = KindOrder(
    first=(
        "CustomResourceDefinition",
        "Namespace",
        "ClusterRole",
        "ClusterClass",
        "RuntimeClass",
        "PriorityClass",
        "StorageClass",
        "VolumeSnapshotClass",
        "IngressClass",
        "GatewayClass",
        "ClusterRoleBinding",
        "ResourceQuota",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ConfigMap",
        "Secret",
        "Service",
        "LimitRange",
        "Deployment",
        "StatefulSet",
        "CronJob",
        "PodDisruptionBudget",
    ),
    last=("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
)

_DEFINITIONS: Final = frozenset({"CustomResourceDefinition", "Namespace", "ClusterRole"})


def stage_of(obj: Mapping[str, Any]) -> int:
    """0 definitions, 1 classes, 2 all the rest (spec/flux.md 3.5)."""
    key = key_of(obj)
    builtin = "." not in key.group or key.group.endswith(".k8s.io")
    if builtin and key.kind in _DEFINITIONS:
        return 0
    return 1 if key.kind.endswith("Class") else 2
