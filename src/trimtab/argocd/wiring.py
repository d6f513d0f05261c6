"""The controllers of this dialect, and what wakes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from trimtab.argocd.application import Reconciler
from trimtab.argocd.credentials import SECRET_TYPE
from trimtab.argocd.deps import Deps
from trimtab.argocd.kinds import APP_PROJECT, APPLICATION, CONFIG_MAP, SECRET
from trimtab.argocd.tracking import owner_of
from trimtab.engine.schema_book import CRD
from trimtab.kube import LiveObject
from trimtab.runtime import Controller, Key, Watch, generation_or_annotations_changed

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
            Watch(SECRET, partial(_of_repositories, deps)),
            Watch(CRD, lambda _obj: ()),
        ),
        predicate=_asked_for,
    )
    reconciler.following.on_change = lambda key: controller.enqueue(key, "the source has moved")
    deps.cache.subscribe(partial(_on_managed, deps, controller))
    return [controller]


def _of_project(deps: Deps, project: dict[str, Any]) -> Iterable[Key]:
    name = project["metadata"]["name"]
    for live in deps.cache.list(APPLICATION):
        if ((live.obj.get("spec") or {}).get("project") or "default") == name:
            yield Key(live.key.namespace, live.key.name)


def _asked_for(old: LiveObject | None, new: LiveObject | None) -> bool:
    """Also a `Terminating` that somebody writes into the status asks for something."""
    return generation_or_annotations_changed(old, new) or (
        _phase(new) == "Terminating" and _phase(old) != "Terminating"
    )


def _phase(live: LiveObject | None) -> str:
    status = (live.obj.get("status") or {}) if live else {}
    return str((status.get("operationState") or {}).get("phase") or "")


def _of_repositories(deps: Deps, secret: dict[str, Any]) -> Iterable[Key]:
    meta = secret["metadata"]
    kind = (meta.get("labels") or {}).get(SECRET_TYPE)
    if meta.get("namespace") != deps.namespace or kind not in ("repository", "repo-creds"):
        return
    for live in deps.cache.list(APPLICATION):
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
