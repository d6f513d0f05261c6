"""The kinds of Flux that are reconciled here, and the words they share."""

from __future__ import annotations

from typing import Final

from trimtab.objects import GroupKind

__all__ = [
    "CONFIG_MAP",
    "FINALIZER",
    "GIT_REPOSITORY",
    "HELM_MANAGER",
    "HELM_RELEASE",
    "HELM_REPOSITORY",
    "KUSTOMIZATION",
    "REQUESTED_AT",
    "SECRET",
    "WRITER",
]

GIT_REPOSITORY: Final = GroupKind("source.toolkit.fluxcd.io", "GitRepository")
HELM_REPOSITORY: Final = GroupKind("source.toolkit.fluxcd.io", "HelmRepository")
KUSTOMIZATION: Final = GroupKind("kustomize.toolkit.fluxcd.io", "Kustomization")
HELM_RELEASE: Final = GroupKind("helm.toolkit.fluxcd.io", "HelmRelease")
SECRET: Final = GroupKind("", "Secret")
CONFIG_MAP: Final = GroupKind("", "ConfigMap")

FINALIZER: Final = "finalizers.fluxcd.io"
HELM_MANAGER: Final = "helm-controller"
WRITER: Final = "gotk-trimtab"
REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"
