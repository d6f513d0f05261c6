"""Sync an Argo CD Application, or reconcile a Flux object, now; then wait for the outcome.

examples:
  trimtab sync my-app-production -n argocd
  trimtab sync kustomization/infrastructure -n flux-system --timeout 2m
  trimtab sync my-app-production -n argocd --prune --async
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Final

from trimtab.cli.commands.get import fetch_rows, kinds_named
from trimtab.cli.target import add_target_arguments, open_client
from trimtab.errors import TrimtabError
from trimtab.kube import SimpleClient
from trimtab.lang.duration import parse_duration
from trimtab.objects import GroupKind
from trimtab.server import READERS, read_row

MANAGER: Final = "trimtab-cli"
APPLICATION: Final = GroupKind("argoproj.io", "Application")
REQUESTED_AT: Final = "reconcile.fluxcd.io/requestedAt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="NAME or KIND/NAME")
    parser.add_argument("-n", "--namespace", help="namespace (default: that of the context)")
    parser.add_argument("--revision", default="", help="revision to sync to (Application)")
    parser.add_argument("--prune", action="store_true", help="prune, too (Application)")
    parser.add_argument("--dry-run", action="store_true", help="change nothing (Application)")
    parser.add_argument("--async", action="store_true", dest="no_wait", help="do not wait")
    parser.add_argument("--timeout", default="5m", help="how long to wait (default: 5m)")
    add_target_arguments(parser)


def run(args: argparse.Namespace) -> int:
    timeout_s = parse_duration(args.timeout)
    with open_client(args) as client:
        namespace = args.namespace or client.connection.namespace or "default"
        gk, name = _find(client, args.name, namespace)
        if gk == APPLICATION:
            token = _start_sync(client, namespace, name, args)
        else:
            token = _request(client, gk, namespace, name)
        print(f"{gk.kind.lower()}/{name}: requested")
        if args.no_wait:
            return 0
        return _wait(client, gk, namespace, name, token, timeout_s)


def _find(client: SimpleClient, text: str, namespace: str) -> tuple[GroupKind, str]:
    kind, found, name = text.rpartition("/")
    kinds = kinds_named(kind) if found else list(READERS)
    rows = [row for row in fetch_rows(client, kinds, namespace) if row.name == name]
    if len(rows) == 1:
        return next(gk for gk in READERS if gk.kind == rows[0].kind), name
    if rows:
        names = ", ".join(f"{row.kind.lower()}/{name}" for row in rows)
        raise TrimtabError(
            f'"{name}" is not the name of one object', why=f"it may be {names}", hint="say which"
        )
    raise TrimtabError(
        f'"{text}" not found',
        where=f"namespace {namespace}",
        hint="trimtab get -A",
        reason="NotFound",
    )


def _start_sync(client: SimpleClient, namespace: str, name: str, args: argparse.Namespace) -> str:
    """Write the `operation`; refuses, as the API does, while another one runs."""
    app = client.get(APPLICATION, namespace, name)
    running = (app.get("status") or {}).get("operationState") or {}
    if app.get("operation") or running.get("phase") == "Running":
        raise TrimtabError(
            "another operation is already in progress",
            where=f"application/{name}",
            hint="wait for it",
            reason="OperationInProgress",
        )
    sync: dict[str, Any] = {"prune": args.prune, "dryRun": args.dry_run}
    if args.revision:
        sync["revision"] = args.revision
    options = ((app["spec"].get("syncPolicy") or {}).get("syncOptions")) or []
    if options:
        sync["syncOptions"] = options
    operation = {"sync": sync, "initiatedBy": {"username": MANAGER}}
    body = [
        {
            "op": "test",
            "path": "/metadata/resourceVersion",
            "value": app["metadata"]["resourceVersion"],
        },
        {"op": "add", "path": "/operation", "value": operation},
    ]
    client.patch(APPLICATION, namespace, name, body, kind="json", manager=MANAGER)
    return json.dumps(running, sort_keys=True)


def _request(client: SimpleClient, gk: GroupKind, namespace: str, name: str) -> str:
    token = f"{time.time():.6f}"
    body = {"metadata": {"annotations": {REQUESTED_AT: token}}}
    client.patch(gk, namespace, name, body, kind="merge", manager=MANAGER)
    return token


def _wait(
    client: SimpleClient, gk: GroupKind, namespace: str, name: str, token: str, timeout_s: float
) -> int:
    deadline = time.monotonic() + timeout_s
    said = ""
    while time.monotonic() < deadline:
        left = max(1, int(deadline - time.monotonic()))
        for event, obj in client.watch(gk, namespace, name=name, timeout_s=min(left, 30)):
            if event == "DELETED":
                raise TrimtabError("it was deleted meanwhile", where=f"{gk.kind.lower()}/{name}")
            row = read_row(gk, obj)
            line = f"{gk.kind.lower()}/{name}: {row.state} {row.health}"
            if line != said and sys.stderr.isatty():
                print(line, file=sys.stderr)
                said = line
            if not _handled(gk, obj, token):
                continue
            if row.problem:
                raise TrimtabError(
                    row.message or "it failed", where=f"{gk.kind.lower()}/{name}", reason="Failed"
                )
            if row.settled:
                print(f"{line}{f' ({row.message})' if row.message else ''}")
                return 0
    raise TrimtabError(
        f"not settled within {timeout_s:g} s",
        where=f"{gk.kind.lower()}/{name}",
        hint=f"trimtab get -n {namespace} {gk.kind.lower()} {name} -o wide",
        reason="Timeout",
    )


def _handled(gk: GroupKind, obj: dict[str, Any], token: str) -> bool:
    """Whether what is seen comes after the request."""
    status = obj.get("status") or {}
    if gk != APPLICATION:
        return bool(status.get("lastHandledReconcileAt") == token)
    state = status.get("operationState") or {}
    return (
        "operation" not in obj
        and json.dumps(state, sort_keys=True) != token
        and state.get("phase") not in (None, "Running")
    )
