"""Helm's hooks as a release record keeps them: which run when, and how far each has come.

Pure. A record's hook is `{name, kind, path, manifest, events, weight, delete_policies,
output_log_policies, last_run}` (spec/flux.md 4.6, 4.7). `last_run` is Helm's own, and one key more:
the event that it was for. That is all the state there is of a hook, so a restart loses none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from trimtab.flux.errors import FluxError, Stalled
from trimtab.flux.helm_storage import HOOK, Record
from trimtab.lang import yaml

__all__ = [
    "BEFORE",
    "FAILED",
    "SUCCEEDED",
    "HookFailed",
    "Phase",
    "begun",
    "due",
    "hook_of",
    "object_of",
    "outcome_of",
    "phase_of",
    "policies_of",
    "title",
    "unrun",
    "with_run",
]

Phase = Literal["", "Unknown", "Running", "Succeeded", "Failed"]
"""Of one event: "" not begun; Unknown: the way is free, it is being created; then as Helm's."""

BEFORE: Final = "before-hook-creation"
SUCCEEDED: Final = "hook-succeeded"
FAILED: Final = "hook-failed"
_RUN: Final = ("pre-install", "post-install", "pre-upgrade", "post-upgrade")
_TESTS: Final = ("test", "test-success", "test-failure")


class HookFailed(FluxError):
    """A hook did not succeed, so the action it belongs to fails. `record` says how far it came."""

    def __init__(self, message: str, record: Record) -> None:
        super().__init__(message)
        self.record = record


def hook_of(obj: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The hook of a rendered object. Raises `Stalled` for one without a name."""
    meta = obj["metadata"]
    notes = meta.get("annotations") or {}
    if not meta.get("name"):
        raise Stalled(
            f"a {obj['kind']} hook in {path} has no metadata.name", reason="FeatureNotSupported"
        )
    try:
        weight = int(str(notes.get(f"{HOOK}-weight") or 0))
    except ValueError:
        weight = 0  # as Helm reads it
    return {
        "name": str(meta["name"]),
        "kind": str(obj["kind"]),
        "path": path,
        "manifest": yaml.dump(dict(obj)),
        "events": _words(notes.get(HOOK)),
        "weight": weight,
        "delete_policies": _words(notes.get(f"{HOOK}-delete-policy")),
        "output_log_policies": _words(notes.get(f"{HOOK}-output-log-policy")),
        "last_run": {"started_at": "", "completed_at": "", "phase": ""},
    }


def object_of(hook: Mapping[str, Any]) -> dict[str, Any]:
    value = yaml.load(str(hook["manifest"]).encode(), source=str(hook.get("path") or "hook"))
    return dict(value)


def due(hooks: Iterable[Mapping[str, Any]], event: str) -> list[int]:
    """Places of the hooks of `event`, in the order in which they run.

    The record holds them by kind and name as they were rendered; sorting by weight keeps that.
    """
    found = [place for place, hook in enumerate(hooks) if event in hook["events"]]
    held = list(hooks)
    return sorted(found, key=lambda place: int(held[place].get("weight") or 0))


def phase_of(hook: Mapping[str, Any], event: str) -> Phase:
    run = hook.get("last_run") or {}
    phase: Phase = run.get("phase") or ""
    return phase if run.get("event") == event else ""


def begun(hooks: Iterable[Mapping[str, Any]], event: str) -> bool:
    """Has a hook of `event` been run, or begun to?"""
    return any(phase_of(hook, event) for hook in hooks)


def with_run(
    record: Record, place: int, event: str, phase: Phase, *, now: str, ended: bool = False
) -> Record:
    """The record with that hook's progress."""
    hooks = list(copy.deepcopy(record.hooks))
    former = hooks[place].get("last_run") or {}
    known = former.get("started_at") if former.get("event") == event else ""
    hooks[place]["last_run"] = {
        "started_at": known or now,
        "completed_at": now if ended else "",
        "phase": phase,
        "event": event,
    }
    return msgspec.structs.replace(record, hooks=tuple(hooks))


def policies_of(hook: Mapping[str, Any]) -> tuple[str, ...]:
    """Helm's default is to delete what a former run left, before the next."""
    return tuple(hook.get("delete_policies") or ()) or (BEFORE,)


def outcome_of(obj: Mapping[str, Any]) -> tuple[bool | None, str]:
    """(True succeeded, False failed, None not yet; why). Only Jobs and Pods take their time."""
    status = obj.get("status") or {}
    if obj["kind"] == "Job" and str(obj["apiVersion"]).startswith("batch/"):
        for condition in status.get("conditions") or ():
            if condition.get("status") == "True" and condition.get("type") == "Complete":
                return True, ""
            if condition.get("status") == "True" and condition.get("type") == "Failed":
                return False, f"{condition.get('reason')}: {condition.get('message')}"
        return None, ""
    if obj["kind"] == "Pod" and obj["apiVersion"] == "v1":
        phase = status.get("phase")
        if phase == "Failed":
            return False, str(status.get("reason") or status.get("message") or "the pod failed")
        return (True if phase == "Succeeded" else None), ""
    return True, ""


def title(hook: Mapping[str, Any], event: str) -> str:
    return f"{event} hook {hook['kind']}/{hook['name']}"


def unrun(hooks: Iterable[Mapping[str, Any]]) -> list[str]:
    """What of these hooks has no effect here, for the condition FieldsNotHonoured."""
    found = []
    for hook in hooks:
        name = f"hook {hook['kind']}/{hook['name']}"
        others = [event for event in hook["events"] if event not in (*_RUN, *_TESTS)]
        if others:
            found.append(f"{name} ({', '.join(others)})")
        if hook.get("output_log_policies"):
            found.append(f"{name} ({HOOK}-output-log-policy)")
    return found


def _words(text: Any) -> list[str]:
    return [word.strip() for word in str(text or "").split(",") if word.strip()]
