"""What a table shows of a Flux object (spec/flux.md 1.1, 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.objects.summary import Summary

__all__ = ["summary"]


def summary(obj: Mapping[str, Any]) -> Summary:
    status = obj.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    value = str(ready.get("status") or "Unknown")
    suspended = bool((obj.get("spec") or {}).get("suspend"))
    current = status.get("observedGeneration") == obj["metadata"].get("generation")
    stalled = (conditions.get("Stalled") or {}).get("status") == "True"
    return Summary(
        state="Suspended" if suspended else f"Ready={value}",
        health=_health(conditions),
        revision=_revision(status),
        message=str(ready.get("message") or ""),
        settled=suspended or (value == "True" and current),
        problem=stalled or value == "False",
    )


def _health(conditions: Mapping[str, Any]) -> str:
    healthy = conditions.get("Healthy") or conditions.get("Released") or {}
    return {"True": "Healthy", "False": "Unhealthy", "Unknown": "Progressing"}.get(
        str(healthy.get("status") or ""), "-"
    )


def _revision(status: Mapping[str, Any]) -> str:
    artifact = status.get("artifact") or {}
    return str(
        artifact.get("revision")
        or status.get("lastAppliedRevision")
        or status.get("lastAttemptedRevision")
        or ""
    )
