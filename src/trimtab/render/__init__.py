"""Snapshot -> Manifests: kustomize, Helm, plain directories (spec/rendering.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.render.errors import (
    EmptyRender,
    EngineUnsupported,
    HelmError,
    KustomizeError,
    LimitExceeded,
    ManifestError,
    Quarantined,
    RenderError,
    RenderTimeout,
    WorkerDied,
)
from trimtab.render.model import (
    Destination,
    DirectoryOptions,
    Engine,
    HelmOptions,
    HelmParameter,
    KustomizeOptions,
    Manifest,
    Manifests,
    Origin,
    RenderRequest,
)

if TYPE_CHECKING:
    from trimtab.render.dispatch import detect, render
    from trimtab.render.limits import Limits
    from trimtab.render.service import RenderService, RenderStats

__all__ = [
    "Destination",
    "DirectoryOptions",
    "EmptyRender",
    "Engine",
    "EngineUnsupported",
    "HelmError",
    "HelmOptions",
    "HelmParameter",
    "KustomizeError",
    "KustomizeOptions",
    "LimitExceeded",
    "Limits",
    "Manifest",
    "ManifestError",
    "Manifests",
    "Origin",
    "Quarantined",
    "RenderError",
    "RenderRequest",
    "RenderService",
    "RenderStats",
    "RenderTimeout",
    "WorkerDied",
    "detect",
    "render",
]

_LATE = {
    "Limits": "limits",
    "RenderService": "service",
    "RenderStats": "service",
    "detect": "dispatch",
    "render": "dispatch",
}


def __getattr__(name: str) -> Any:
    """The engines are imported when first named: most of the program only needs the values."""
    if name not in _LATE:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"trimtab.render.{_LATE[name]}"), name)
