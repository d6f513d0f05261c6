"""Shall an automated sync begin? The rules of spec/argocd.md 2.1, in their order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from trimtab.argocd.application_spec import Automated
from trimtab.argocd.compare import Comparison

__all__ = ["Decision", "decide", "heal_delay_s"]

_HEAL_FIRST_S: Final = 2.0
_HEAL_FACTOR: Final = 3
_HEAL_CAP_S: Final = 300.0
_HEAL_CALM_S: Final = 330.0  # after so long without one, counting begins anew
ACTIVE: Final = ("Running", "Terminating")


class Decision(msgspec.Struct, frozen=True):
    """`start` False: `skip` says why, `error` is the SyncError to show (if any), `after_s` when
    to look again. `resources` narrows a self-heal to what is out of sync."""

    start: bool
    skip: str = ""
    error: str = ""
    after_s: float | None = None
    heal_attempts: int = 0
    resources: tuple[dict[str, str], ...] = ()


def decide(
    app: Mapping[str, Any], automated: Automated, comparison: Comparison, *, now: datetime
) -> Decision:
    state = (app.get("status") or {}).get("operationState") or {}
    revision = comparison.revision
    if app.get("operation") or state.get("phase") in ACTIVE:
        return Decision(False, "another operation is in progress")
    if app["metadata"].get("deletionTimestamp"):
        return Decision(False, "the application is being deleted")
    if comparison.synced:
        return Decision(False, "it is synced")
    changed = [r for r in comparison.desired if not r.synced]
    if not changed and not automated.prune:
        return Decision(False, "only objects to prune, and pruning is off")
    attempts = 0
    narrow: tuple[dict[str, str], ...] = ()
    if _tried(app, state, revision):
        if state.get("phase") != "Succeeded":
            text = f"Failed last sync attempt to [{revision}]: {state.get('message') or ''}"
            return Decision(False, "it failed before", error=text)
        if not automated.self_heal:
            return Decision(False, "it succeeded before, and self-heal is off")
        calm = _since(state, now) > _HEAL_CALM_S
        attempts = 0 if calm else _attempts(state)
        wait = heal_delay_s(attempts) - _since(state, now)
        if wait > 0 and attempts:
            return Decision(False, "self-heal waits", after_s=wait)
        attempts += 1
        narrow = tuple(_reference(r.key) for r in comparison.resources if not r.synced)
    if automated.prune and not automated.allow_empty and not comparison.desired:
        text = f"Skipping sync attempt to [{revision}]: auto-sync will wipe out all resources"
        return Decision(False, "everything would be pruned", error=text)
    return Decision(True, heal_attempts=attempts, resources=narrow)


def heal_delay_s(attempts: int) -> float:
    """The pause after this many self-heals in a row: 2 s, times 3, at most 300 s."""
    return float(min(_HEAL_FIRST_S * _HEAL_FACTOR ** max(attempts - 1, 0), _HEAL_CAP_S))


def _tried(app: Mapping[str, Any], state: Mapping[str, Any], revision: str) -> bool:
    """Was this revision of this source synced already, well or not?"""
    result = state.get("syncResult") or {}
    spec = app.get("spec") or {}
    source = spec.get("source") or (spec.get("sources") or [None])[0]
    return result.get("revision") == revision and result.get("source") in (None, source)


def _attempts(state: Mapping[str, Any]) -> int:
    sync = (state.get("operation") or {}).get("sync") or {}
    return int(sync.get("autoHealAttemptsCount") or 0)


def _since(state: Mapping[str, Any], now: datetime) -> float:
    finished = state.get("finishedAt")
    return (now - datetime.fromisoformat(finished)).total_seconds() if finished else _HEAL_CAP_S


def _reference(key: Any) -> dict[str, str]:
    entry = {"kind": key.kind, "name": key.name}
    if key.group:
        entry["group"] = key.group
    if key.namespace:
        entry["namespace"] = key.namespace
    return entry
