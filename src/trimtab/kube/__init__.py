"""One Kubernetes API server, or many: transport, credentials, discovery, typed errors, caches.

Names are loaded when they are first used: a command that makes three requests with `SimpleClient`
does not pay for the asynchronous half.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trimtab.kube import errors
from trimtab.kube.errors import (
    AlreadyExists,
    ApiError,
    ApplyConflict,
    BadRequest,
    ConfigError,
    Conflict,
    FieldConflict,
    Forbidden,
    Gone,
    InternalError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    ResourceVersionTooLarge,
    ServiceUnavailable,
    Timeout,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    UnknownKind,
    Unreachable,
)

if TYPE_CHECKING:
    from trimtab.kube.cache import ClusterCache, KindStatus
    from trimtab.kube.calls import ObjectList, PatchKind, Propagation
    from trimtab.kube.client import Client
    from trimtab.kube.connection import Connection, ExecPlugin
    from trimtab.kube.discovery import Discovery, Resource
    from trimtab.kube.kubeconfig import in_cluster, load_kubeconfig, parse_kubeconfig
    from trimtab.kube.ports import Clock, Observer
    from trimtab.kube.record import LiveObject
    from trimtab.kube.simple import SimpleClient

__all__ = [
    "AlreadyExists",
    "ApiError",
    "ApplyConflict",
    "BadRequest",
    "Client",
    "Clock",
    "ClusterCache",
    "ConfigError",
    "Conflict",
    "Connection",
    "Discovery",
    "ExecPlugin",
    "FieldConflict",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "KindStatus",
    "LiveObject",
    "Malformed",
    "MethodNotAllowed",
    "NotFound",
    "ObjectList",
    "Observer",
    "PatchKind",
    "Propagation",
    "Resource",
    "ResourceVersionTooLarge",
    "ServiceUnavailable",
    "SimpleClient",
    "Timeout",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "UnknownKind",
    "Unreachable",
    "errors",
    "in_cluster",
    "load_kubeconfig",
    "parse_kubeconfig",
]

_HOMES = {
    "Client": "client",
    "Clock": "ports",
    "ClusterCache": "cache",
    "Connection": "connection",
    "Discovery": "discovery",
    "ExecPlugin": "connection",
    "KindStatus": "cache",
    "LiveObject": "record",
    "ObjectList": "calls",
    "Observer": "ports",
    "PatchKind": "calls",
    "Propagation": "calls",
    "Resource": "discovery",
    "SimpleClient": "simple",
    "in_cluster": "kubeconfig",
    "load_kubeconfig": "kubeconfig",
    "parse_kubeconfig": "kubeconfig",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
