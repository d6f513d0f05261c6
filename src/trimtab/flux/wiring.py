"""The controllers of the Flux kinds, and what wakes each of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from random import Random
from typing import Any, Final

from trimtab.flux import git_repository, helm_release, helm_repository, kustomization
from trimtab.flux.build import NAME_LABEL, NAMESPACE_LABEL
from trimtab.flux.deps import Deps
from trimtab.flux.helm_release import HELM_NAME_LABEL, HELM_NAMESPACE_LABEL
from trimtab.flux.kinds import GIT_REPOSITORY, HELM_RELEASE, HELM_REPOSITORY, KUSTOMIZATION
from trimtab.flux.lifecycle import Kind, run
from trimtab.kube import LiveObject
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime import Context, Controller, Key, Result, Watch

__all__ = ["INDEX", "controllers"]

SOURCE_INDEX: Final = "flux-source"
DEBOUNCE_S: Final = 0.05


def _sources_of(obj: dict[str, Any]) -> Iterable[str]:
    """The sources an applier reads, as `kind/namespace/name`."""
    if not str(obj.get("apiVersion", "")).startswith(
        ("kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/")
    ):
        return ()
    spec = obj.get("spec") or {}
    chart = (spec.get("chart") or {}).get("spec") or {}
    ref = spec.get("sourceRef") or chart.get("sourceRef")
    if not ref:
        return ()
    namespace = ref.get("namespace") or obj["metadata"].get("namespace")
    return (f"{ref.get('kind')}/{namespace}/{ref.get('name')}",)


INDEX: Final = {SOURCE_INDEX: _sources_of}


def controllers(deps: Deps, *, rng: Random) -> list[Controller]:
    """Controllers for the sources and for Kustomization and HelmRelease, wired to each other."""
    sources = _controller(deps, git_repository.KIND, rng)
    deps.following.on_change = lambda key: sources.enqueue(
        Key(namespace=key.namespace, name=key.name), "the remote has moved"
    )
    appliers = [
        _controller(
            deps,
            kind,
            rng,
            watches=tuple(
                Watch(source, partial(_readers, deps, kind.gk), _artifact_changed)
                for source in (GIT_REPOSITORY, HELM_REPOSITORY)
            ),
        )
        for kind in (kustomization.KIND, helm_release.KIND)
    ]
    by_kind = {KUSTOMIZATION: appliers[0], HELM_RELEASE: appliers[1]}
    deps.cache.subscribe(partial(_on_managed, by_kind))
    deps.cache.subscribe(partial(_on_dependency, deps, by_kind))
    return [sources, _controller(deps, helm_repository.KIND, rng), *appliers]


def _controller(
    deps: Deps, kind: Kind, rng: Random, *, watches: tuple[Watch, ...] = ()
) -> Controller:
    async def reconcile(ctx: Context, key: Key) -> Result:
        return await run(deps, kind, rng, ctx, key)

    return Controller(kind.gk.kind.lower(), kind.gk, reconcile, watches=watches)


def _readers(deps: Deps, gk: GroupKind, source: dict[str, Any]) -> Iterable[Key]:
    """Appliers of kind `gk` that read this source."""
    meta = source["metadata"]
    name = f"{source['kind']}/{meta['namespace']}/{meta['name']}"
    for live in deps.cache.by_index(SOURCE_INDEX, name):
        if live.key.group_kind == gk:
            yield Key(namespace=live.key.namespace, name=live.key.name)


def _artifact_changed(old: LiveObject | None, new: LiveObject | None) -> bool:
    return _revision(old) != _revision(new)


def _revision(live: LiveObject | None) -> str:
    status = (live.obj.get("status") or {}) if live else {}
    return str((status.get("artifact") or {}).get("revision") or "")


def _on_managed(
    by_kind: dict[GroupKind, Controller], old: LiveObject | None, new: LiveObject | None
) -> None:
    """Something an applier manages changed, or went away: look again (drift, health)."""
    live = new or old
    if live is None or live.key.group_kind in by_kind:
        return
    labels = live.obj["metadata"].get("labels") or {}
    for gk, name_label, namespace_label in (
        (KUSTOMIZATION, NAME_LABEL, NAMESPACE_LABEL),
        (HELM_RELEASE, HELM_NAME_LABEL, HELM_NAMESPACE_LABEL),
    ):
        name = labels.get(name_label)
        if name:
            key = Key(namespace=labels.get(namespace_label, ""), name=name)
            by_kind[gk].enqueue(key, f"{live.key} changed", delay_s=DEBOUNCE_S)


def _on_dependency(
    deps: Deps,
    by_kind: dict[GroupKind, Controller],
    old: LiveObject | None,
    new: LiveObject | None,
) -> None:
    """An applier became ready: those that depend on it need not wait for their timer."""
    if new is None or new.key.group_kind not in by_kind or _ready(old) or not _ready(new):
        return
    gk = new.key.group_kind
    for live in deps.cache.list(gk):
        if _depends(live, new.key):
            key = Key(namespace=live.key.namespace, name=live.key.name)
            by_kind[gk].enqueue(key, f"{new.key} is ready")


def _depends(live: LiveObject, on: ObjectKey) -> bool:
    items = (live.obj.get("spec") or {}).get("dependsOn") or ()
    return any(
        (item.get("namespace") or live.key.namespace, item.get("name")) == (on.namespace, on.name)
        for item in items
    )


def _ready(live: LiveObject | None) -> bool:
    conditions = ((live.obj.get("status") or {}).get("conditions") or ()) if live else ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
