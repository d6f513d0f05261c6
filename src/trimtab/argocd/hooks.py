"""Hooks: which objects run in which phase, and when they are deleted (spec/argocd.md 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab.argocd.kinds import HOOK, HOOK_DELETE, WAVE

__all__ = ["PHASES", "delete_policies", "is_hook", "not_run", "phases_of", "wave_of"]

PHASES: Final = ("PreSync", "Sync", "PostSync", "SyncFail")
RUN: Final = ("PreSync", "Sync", "PostSync")
HOOK_FINALIZER: Final = "argocd.argoproj.io/hook-finalizer"
_KNOWN: Final = (*PHASES, "PreDelete", "PostDelete", "Skip")
_HELM: Final = {
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "pre-delete": "PreDelete",
    "post-delete": "PostDelete",
}
_HELM_POLICY: Final = {
    "before-hook-creation": "BeforeHookCreation",
    "hook-succeeded": "HookSucceeded",
    "hook-failed": "HookFailed",
}


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return (obj.get("metadata") or {}).get("annotations") or {}


def _words(value: object) -> list[str]:
    return [word.strip() for word in str(value or "").split(",") if word.strip()]


def phases_of(obj: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The phases an object is a hook of; None for an ordinary object. An empty tuple: a hook
    that is never run here (test, rollback, Skip)."""
    own = _words(_annotations(obj).get(HOOK))
    if own:
        return tuple(dict.fromkeys(p for p in own if p in _KNOWN and p != "Skip"))
    helm = _words(_annotations(obj).get("helm.sh/hook"))
    if not helm or "crd-install" in helm:
        return None
    return tuple(dict.fromkeys(_HELM[word] for word in helm if word in _HELM))


def not_run(obj: Mapping[str, Any]) -> str:
    """What of a hook is not honoured, as a sentence; "" when all of it is."""
    meta = obj.get("metadata") or {}
    name = f"hook {obj.get('kind')}/{meta.get('name') or meta.get('generateName')}"
    if not meta.get("name"):
        return f"{name}: metadata.generateName is not supported yet, and the hook is not run"
    phases = [p for p in phases_of(obj) or () if p not in RUN]
    if phases:
        return f"{name}: {', '.join(phases)} is not supported yet, and the hook is not run then"
    if HOOK_FINALIZER in (meta.get("finalizers") or ()):
        return f"{name}: nobody removes the finalizer {HOOK_FINALIZER} yet"
    return ""


def is_hook(obj: Mapping[str, Any]) -> bool:
    return phases_of(obj) is not None


def delete_policies(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """BeforeHookCreation when none is named."""
    own = _words(_annotations(obj).get(HOOK_DELETE))
    helm = _words(_annotations(obj).get("helm.sh/hook-delete-policy"))
    named = own or [_HELM_POLICY[word] for word in helm if word in _HELM_POLICY]
    return tuple(named) or ("BeforeHookCreation",)


def wave_of(obj: Mapping[str, Any]) -> int:
    """The sync wave; for Helm's hooks their weight; 0 when it is no number."""
    text = _annotations(obj).get(WAVE)
    if text is None:
        text = _annotations(obj).get("helm.sh/hook-weight")
    try:
        return int(str(text))
    except ValueError:
        return 0
