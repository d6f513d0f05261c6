"""Names of Argo CD's kinds, annotations and finalizers (spec/argocd.md 1)."""

from __future__ import annotations

from typing import Final

from trimtab.objects import GroupKind

__all__ = [
    "APPLICATION",
    "APPROVED",
    "APP_PROJECT",
    "BACKGROUND_FINALIZER",
    "COMPARE_OPTIONS",
    "CONFIG_MAP",
    "FINALIZERS",
    "HOOK",
    "HOOK_DELETE",
    "HOOK_FINALIZERS",
    "IGNORE_HEALTH",
    "IN_CLUSTER",
    "IN_CLUSTER_NAME",
    "MANAGER",
    "REFRESH",
    "SECRET",
    "SKIP_RECONCILE",
    "SYNC_OPTIONS",
    "TRACKING",
    "WAVE",
]

GROUP: Final = "argoproj.io"
APPLICATION: Final = GroupKind(GROUP, "Application")
APP_PROJECT: Final = GroupKind(GROUP, "AppProject")
CONFIG_MAP: Final = GroupKind("", "ConfigMap")
SECRET: Final = GroupKind("", "Secret")
MANAGER: Final = "argocd-controller"
IN_CLUSTER: Final = "https://kubernetes.default.svc"
IN_CLUSTER_NAME: Final = "in-cluster"
_PREFIX: Final = "argocd.argoproj.io/"
TRACKING: Final = _PREFIX + "tracking-id"
REFRESH: Final = _PREFIX + "refresh"
SKIP_RECONCILE: Final = _PREFIX + "skip-reconcile"
WAVE: Final = _PREFIX + "sync-wave"
HOOK: Final = _PREFIX + "hook"
HOOK_DELETE: Final = _PREFIX + "hook-delete-policy"
SYNC_OPTIONS: Final = _PREFIX + "sync-options"
COMPARE_OPTIONS: Final = _PREFIX + "compare-options"
APPROVED: Final = _PREFIX + "deletion-approved"
IGNORE_HEALTH: Final = _PREFIX + "ignore-healthcheck"
_FINALIZER: Final = "resources-finalizer.argocd.argoproj.io"
BACKGROUND_FINALIZER: Final = _FINALIZER + "/background"
HOOK_FINALIZERS: Final = (
    "pre-delete-finalizer.argocd.argoproj.io",
    "post-delete-finalizer.argocd.argoproj.io",
)
FINALIZERS: Final = (_FINALIZER, _FINALIZER + "/foreground", BACKGROUND_FINALIZER)
