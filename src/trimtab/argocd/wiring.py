"""The controllers of this dialect, and what wakes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from trimtab.argocd.application import Reconciler
from trimtab.argocd.deps import Deps
from trimtab.argocd.kinds import APP_PROJECT, APPLICATION, CONFIG_MAP
from trimtab.argocd.tracking import owner_of
from trimtab.engine.schema_book import CRD
from trimtab.kube import LiveObject
from trimtab.runtime import Controller, Key, Watch

__all__ = ["controllers"]

DEBOUNCE_S: Final = 0.02


def controllers(deps: Deps) -> list[Controller]:
    """The Application controller. It is woken by its own changes (status aside), its
    repositories, the live objects it manages, its project, and the settings."""
    reconciler = Reconciler(deps)
    controller = Controller(
        "application",
        APPLICATION,
        reconciler.reconcile,
        watches=(
            Watch(APP_PROJECT, partial(_of_project, deps)),
            Watch(CONFIG_MAP, partial(_of_settings, deps)),
            Watch(CRD, lambda _obj: ()),
        ),
    )
    reconciler.following.on_change = lambda key: controller.enqueue(key, "the source has moved")
    deps.cache.subscribe(partial(_on_managed, deps, controller))
    return [controller]


def _of_project(deps: Deps, project: dict[str, Any]) -> Iterable[Key]:
    name = project["metadata"]["name"]
    for live in deps.cache.list(APPLICATION):
        if ((live.obj.get("spec") or {}).get("project") or "default") == name:
            yield Key(live.key.namespace, live.key.name)


def _of_settings(deps: Deps, config: dict[str, Any]) -> Iterable[Key]:
    meta = config["metadata"]
    if (meta.get("namespace"), meta.get("name")) != (deps.namespace, "argocd-cm"):
        return
    for live in deps.cache.list(APPLICATION):
        yield Key(live.key.namespace, live.key.name)


def _on_managed(
    deps: Deps, controller: Controller, old: LiveObject | None, new: LiveObject | None
) -> None:
    """A managed object changed: whoever owns it, or owned it before, looks again."""
    owners = {owner_of(each.obj) for each in (old, new) if each is not None}
    for owner in owners - {""}:
        namespace, found, name = owner.partition("_")
        key = Key(namespace, name) if found else Key(deps.namespace, owner)
        live = new or old
        controller.enqueue(key, f"{live.key if live else ''} changed", delay_s=DEBOUNCE_S)
