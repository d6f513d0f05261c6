"""Settings of the control plane: ConfigMap `argocd-cm`, read when they are needed (spec 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from trimtab.errors import TrimtabError
from trimtab.lang.duration import parse_duration

__all__ = ["Settings", "read_settings"]

_HONOURED: Final = (
    "timeout.reconciliation",
    "timeout.reconciliation.jitter",
    "application.resourceTrackingMethod",
)
_MATTERS: Final = (
    "resource.",
    "globalProjects",
    "timeout.hard.reconciliation",
    "cluster.inClusterEnabled",
    "kustomize.enable",
    "helm.",
    "jsonnet.enable",
    "kustomize.buildOptions",
    "installationID",
    "application.instance",
    "application.sync.imp",
)


class Settings(msgspec.Struct, frozen=True):
    """`resync_s` 0 switches the timer off. `unsupported` names keys that are set, not honoured."""

    resync_s: float = 120.0
    jitter_s: float = 60.0
    tracking: str = "annotation"
    impersonation: bool = False
    unsupported: tuple[str, ...] = ()


def read_settings(data: Mapping[str, str]) -> Settings:
    """The settings in `argocd-cm`'s data; a value that cannot be read counts as unsupported."""
    bad = [key for key in data if key.startswith(_MATTERS) and key not in _HONOURED]
    times = {}
    for key, default in (
        ("timeout.reconciliation", 120.0),
        ("timeout.reconciliation.jitter", 60.0),
    ):
        try:
            times[key] = parse_duration(data[key]) if data.get(key) else default
        except TrimtabError:
            bad.append(key)
            times[key] = default
    tracking = data.get("application.resourceTrackingMethod") or "annotation"
    if tracking != "annotation":
        bad.append("application.resourceTrackingMethod")
    return Settings(
        resync_s=times["timeout.reconciliation"],
        jitter_s=times["timeout.reconciliation.jitter"],
        impersonation=data.get("application.sync.impersonation.enabled") == "true",
        unsupported=tuple(sorted(bad)),
    )
