"""What a request asks for: its body decoded, its options read from query and headers.

Source: spec/embedded-cluster.md 5, 7.4, 7.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trimtab.cluster import protobuf
from trimtab.cluster.app import Request
from trimtab.cluster.errors import ApiError, bad_request
from trimtab.cluster.negotiate import decode
from trimtab.cluster.writer import Deletion, Options

__all__ = ["body_of", "check_apply", "deletion_asked", "deletion_of", "options_of"]

Object = dict[str, Any]


def body_of(request: Request) -> tuple[Any, tuple[str, ...]]:
    """(value, paths of repeated keys) of a body in JSON, YAML or protobuf. Raises 400, 415."""
    media = request.header("content-type")
    if media.startswith(protobuf.CONTENT_TYPE):
        try:
            return protobuf.decode(request.body), ()
        except protobuf.BadProtobuf as error:
            raise bad_request(str(error)) from error
    if media.startswith("application/apply-patch+cbor"):
        raise ApiError(415, "UnsupportedMediaType", "CBOR is not supported")
    return decode(request.body, media)


def options_of(
    request: Request, duplicates: tuple[str, ...], *, guard: Callable[..., Any]
) -> Options:
    """How to write. `guard` is asked before rights are handed out. Raises 422."""
    dry_run = request.query.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise ApiError(
            422, "Invalid", f'dryRun: Unsupported value: {dry_run!r}: supported values: "All"'
        )
    agent = request.header("user-agent").partition("/")[0] or "unknown"
    return Options(
        manager=request.query.get("fieldManager") or agent,
        dry_run=dry_run == "All",
        validation=request.query.get("fieldValidation") or "Warn",
        force=request.flag("force"),
        duplicates=duplicates,
        guard=guard,
    )


def deletion_asked(request: Request) -> Deletion:
    """From the DeleteOptions in the body, or from the query."""
    body: Object = {}
    if request.body:
        decoded, _ = body_of(request)
        body = decoded if isinstance(decoded, dict) else {}
    return deletion_of(body, request.query)


def deletion_of(body: Object, query: Mapping[str, str]) -> Deletion:
    grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
    propagation = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    orphan = body.get("orphanDependents")
    if orphan is not None and propagation:
        raise ApiError(422, "Invalid", "orphanDependents and propagationPolicy cannot be both set")
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    if propagation not in ("", "Background", "Foreground", "Orphan"):
        raise ApiError(422, "Invalid", f"propagationPolicy: Unsupported value: {propagation!r}")
    if grace is not None and not str(grace).removeprefix("-").isdigit():
        raise bad_request(f"gracePeriodSeconds is no number: {grace!r}")
    preconditions = body.get("preconditions") or {}
    dry = body.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
    return Deletion(
        propagation=propagation,
        grace=None if grace is None else int(grace),
        uid=preconditions.get("uid", ""),
        resource_version=preconditions.get("resourceVersion", ""),
        dry_run="All" in dry,
    )


def check_apply(request: Request) -> None:
    if not request.query.get("fieldManager"):
        raise ApiError(
            422,
            "Invalid",
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value:'
            " is required for apply patch",
        )
