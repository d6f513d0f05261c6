"""The Flux dialect: its custom resources in, its statuses out, the common engine between.

The controllers are loaded when they are first used: a command that only reads statuses does not
pay for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trimtab.flux.summary import summary

if TYPE_CHECKING:
    from trimtab.flux.artifacts import ArtifactStore
    from trimtab.flux.crd_files import crds
    from trimtab.flux.deps import Deps
    from trimtab.flux.wiring import INDEX, controllers

__all__ = ["INDEX", "ArtifactStore", "Deps", "controllers", "crds", "summary"]

_HOMES = {
    "ArtifactStore": "artifacts",
    "Deps": "deps",
    "INDEX": "wiring",
    "controllers": "wiring",
    "crds": "crd_files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
