"""The Argo CD dialect: its custom resources in, its statuses out, the common engine between.

`await install_crds(client)`, then `controllers(Deps(...))` for a Manager whose cache was made
with `INDEX`. The controllers are loaded when they are first used: a command that only reads
statuses does not pay for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trimtab.argocd.summary import summary

if TYPE_CHECKING:
    from trimtab.argocd.crd_files import crds, install_crds
    from trimtab.argocd.deps import Deps
    from trimtab.argocd.tracking import INDEX
    from trimtab.argocd.wiring import controllers

__all__ = ["INDEX", "Deps", "controllers", "crds", "install_crds", "summary"]

_HOMES = {
    "INDEX": "tracking",
    "Deps": "deps",
    "controllers": "wiring",
    "crds": "crd_files",
    "install_crds": "crd_files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
