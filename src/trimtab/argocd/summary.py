"""What a table shows of an Argo CD Application (spec/argocd.md 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.objects.summary import Summary

__all__ = ["summary"]


def summary(obj: Mapping[str, Any]) -> Summary:
    status = obj.get("status") or {}
    sync = status.get("sync") or {}
    state = str(sync.get("status") or "Unknown")
    health = str((status.get("health") or {}).get("status") or "Unknown")
    operation = status.get("operationState") or {}
    running = bool(obj.get("operation")) or operation.get("phase") == "Running"
    errors = [
        str(condition.get("message") or "")
        for condition in status.get("conditions") or ()
        if str(condition.get("type") or "").endswith("Error")
    ]
    failed = operation.get("phase") in ("Failed", "Error")
    return Summary(
        state=state,
        health=health,
        revision=str(sync.get("revision") or ""),
        message=errors[0] if errors else str(operation.get("message") or ""),
        settled=state == "Synced" and health in ("Healthy", "Suspended") and not running,
        problem=bool(errors) or failed or health == "Degraded",
    )
