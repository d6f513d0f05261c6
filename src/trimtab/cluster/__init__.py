"""The embedded Kubernetes API server and its simulated controllers; knows nothing of trimtab but
`objects` and `lang`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.cluster import process
    from trimtab.cluster.errors import ApiError
    from trimtab.cluster.server import EmbeddedCluster

__all__ = ["ApiError", "EmbeddedCluster", "process"]

_HOMES = {"ApiError": "errors", "EmbeddedCluster": "server"}


def __getattr__(name: str) -> Any:
    """Loaded when first used: a command that asks for the state of a background process does not
    pay for the server."""
    if name == "process":
        return import_module("trimtab.cluster.process")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
