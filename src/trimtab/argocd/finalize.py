"""Deleting an Application with its objects (spec/argocd.md 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.argocd.compare import kinds_in
from trimtab.argocd.deps import Deps
from trimtab.argocd.hooks import wave_of
from trimtab.argocd.kinds import BACKGROUND_FINALIZER, FINALIZERS, HOOK_FINALIZERS, MANAGER
from trimtab.argocd.options import Options, approved, object_options, parse_options
from trimtab.argocd.tracking import TRACKING_INDEX
from trimtab.engine import WAVES, Executor, Policy, Step
from trimtab.errors import TrimtabError
from trimtab.kube import LiveObject
from trimtab.runtime import remove_finalizer

__all__ = ["Unconfirmed", "finalize", "finalizer_of", "refuse_hooks"]

LOOK_S = 2.0


class Unconfirmed(TrimtabError):
    """Nothing was deleted: `Delete=confirm` asks for an approval that is not there."""

    reason = "Unconfirmed"


def refuse_hooks(app: Mapping[str, Any]) -> None:
    """Hooks around a deletion are not run yet: an Application that asks for them is not deleted
    behind its author's back. Raises until the finalizer is taken off."""
    held = app["metadata"].get("finalizers") or ()
    asked = [name for name in held if name.startswith(HOOK_FINALIZERS)]
    if asked:
        raise Unconfirmed(
            f"finalizer {asked[0]} is not supported yet, its hooks would not be run",
            hint="take the finalizer off to delete without its hooks",
        )


def finalizer_of(app: Mapping[str, Any]) -> str | None:
    """Our finalizer on it, if any: without one the objects stay."""
    held = (app["metadata"].get("finalizers")) or ()
    return next((name for name in held if name in FINALIZERS), None)


async def finalize(deps: Deps, app: dict[str, Any], *, instance: str) -> float | None:
    """Delete the last wave that is still there; when nothing is left, let the object go.

    Raises when a delete is refused: the finalizer stays, and nothing is forgotten.
    """
    name = finalizer_of(app)
    if name is None:
        return None
    await deps.cache.ensure(kinds_in(app.get("status") or {}))
    options = parse_options(((app["spec"].get("syncPolicy") or {}).get("syncOptions")) or ())
    held = [
        live for live in deps.cache.by_index(TRACKING_INDEX, instance) if not _kept(live, options)
    ]
    if not held:
        await remove_finalizer(deps.client, app, name, manager=MANAGER)
        return None
    unconfirmed = [live for live in held if _deleting(live, options) == "confirm"]
    if unconfirmed and not approved(app, app["metadata"]["deletionTimestamp"]):
        names = sorted(f"{e.key.group}/{e.key.kind}/{e.key.name}" for e in unconfirmed)
        raise Unconfirmed(f"waiting for deletion confirmation of {', '.join(names)}")
    last = max(wave_of(live.obj) for live in held)
    batch = [
        live
        for live in held
        if wave_of(live.obj) == last and not live.obj["metadata"].get("deletionTimestamp")
    ]
    batch.sort(key=lambda live: WAVES.key(live.key), reverse=True)
    executor = Executor(
        deps.client,
        deps.cache,
        manager=MANAGER,
        clock=deps.clock,
        policy=Policy(propagation="Background" if name == BACKGROUND_FINALIZER else "Foreground"),
    )
    results = await executor.apply(
        [
            Step(kind="delete", key=live.key, reason="the application is deleted", uid=live.uid)
            for live in batch
        ]
    )
    failed = [result.message for result in results if result.code == "failed"]
    if failed:
        raise TrimtabError("; ".join(failed), reason="DeletionError")
    return LOOK_S


def _kept(live: LiveObject, options: Options) -> bool:
    owned = bool(live.obj["metadata"].get("ownerReferences"))
    return owned or _deleting(live, options) == "false"


def _deleting(live: LiveObject, options: Options) -> str:
    """The object's `Delete` option, else the application's: "true", "false" or "confirm"."""
    own = object_options(live.obj).values.get("Delete")
    return own or options.values.get("Delete") or "true"
