"""Desired (render) against live (cache): what an application's status says (spec/argocd.md 3)."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from trimtab.argocd.application_spec import Spec
from trimtab.argocd.build_environment import environment, substituted
from trimtab.argocd.deps import Deps
from trimtab.argocd.errors import ComparisonFailed
from trimtab.argocd.hooks import is_hook, not_run, phases_of, wave_of
from trimtab.argocd.kinds import COMPARE_OPTIONS, IGNORE_HEALTH
from trimtab.argocd.options import Options, object_options, without_effect
from trimtab.argocd.project import permits_kind
from trimtab.argocd.tracking import TRACKING_INDEX, owner_of, track
from trimtab.engine import Difference, Health, LiveLike, assess, compare, has_health, worst
from trimtab.errors import TrimtabError
from trimtab.kube import LiveObject
from trimtab.objects import GVK, GroupKind, ObjectKey, gvk_of, key_of
from trimtab.render import Manifests, RenderRequest
from trimtab.sources import Snapshot

__all__ = ["Comparison", "Observed", "Resource", "compare_application", "kinds_in"]

_MIRRORED: Final = ("Endpoints", "EndpointSlice")
_CRD: Final = "CustomResourceDefinition"
_SOURCE_TYPES: Final = {"helm": "Helm", "kustomize": "Kustomize", "directory": "Directory"}


class Observed(msgspec.Struct, frozen=True):
    """A live object read in the version Git names, when the cache holds another one."""

    uid: str
    obj: dict[str, Any]
    entries: tuple[dict[str, Any], ...] = ()

    def owned(self, manager: str) -> dict[str, Any] | None:
        for entry in self.entries:
            if entry.get("manager") == manager and entry.get("operation") == "Apply":
                return entry.get("fieldsV1") or {}
        return None


class Resource(msgspec.Struct, frozen=True):
    """One managed object. `desired` None: it is extra. `differences` None: it is missing."""

    key: ObjectKey
    version: str
    desired: dict[str, Any] | None
    live: LiveLike | None
    differences: tuple[Difference, ...] | None
    wave: int = 0
    ignored: bool = False
    denied: str = ""

    @property
    def synced(self) -> bool:
        return self.ignored if self.desired is None else self.differences == ()

    @property
    def health(self) -> Health | None:
        """None for kinds without health and for extra objects that are ignored."""
        if self.live is None:
            return Health("Missing")
        return assess(self.live.obj) if has_health(self.live.obj) else None


class Comparison(msgspec.Struct, frozen=True):
    """A whole comparison at one revision."""

    revision: str
    source_type: str
    resources: tuple[Resource, ...]
    hooks: tuple[dict[str, Any], ...]
    denied_hooks: Mapping[ObjectKey, str] = {}
    unknown_kinds: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    origins: Mapping[ObjectKey, str] = {}

    @property
    def synced(self) -> bool:
        return all(resource.synced for resource in self.resources)

    @property
    def desired(self) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if r.desired is not None)

    @property
    def extra(self) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if r.desired is None)

    def health(self) -> Health:
        states = []
        for resource in self.resources:
            health = resource.health
            shown = resource.desired or (resource.live.obj if resource.live else {})
            quiet = (shown.get("metadata") or {}).get("annotations") or {}
            if health is None or quiet.get(IGNORE_HEALTH) == "true":
                continue
            if resource.desired is None and resource.live is None:
                continue
            states.append(health.status)
        return Health(worst(states))


async def compare_application(
    deps: Deps,
    app: Mapping[str, Any],
    spec: Spec,
    *,
    instance: str,
    snapshot: Snapshot,
    manager: str,
    remembered: Iterable[GroupKind],
    project: Mapping[str, Any],
) -> Comparison:
    """Render and compare. Raises ComparisonFailed when the comparison is impossible: then
    nothing may be concluded, least of all that an object is extra."""
    manifests = await _render(deps, app, spec, snapshot)
    warnings = [("RenderWarning", text) for text in manifests.warnings]
    desired, hooks, origins = await _desired(deps, spec, manifests, instance, warnings)
    kinds = {key.group_kind for key in desired} | set(remembered)
    kinds |= {gvk_of(hook).group_kind for hook in hooks}
    unknown = set(await deps.cache.ensure(kinds))
    resources = []
    for key, obj in desired.items():
        resources.append(
            await _resource(deps, spec, key, obj, manager=manager, project=project, unknown=unknown)
        )
    resources += [
        _extra(live)
        for live in deps.cache.by_index(TRACKING_INDEX, instance)
        if live.key not in desired and not is_hook(live.obj)
    ]
    warnings += _shared(resources, instance)
    resources.sort(key=lambda r: (r.key.group, r.key.kind, r.key.namespace, r.key.name))
    return Comparison(
        revision=snapshot.revision,
        source_type=_SOURCE_TYPES.get(manifests.engine, manifests.engine.capitalize()),
        resources=tuple(resources),
        hooks=tuple(hooks),
        denied_hooks={
            key: why for hook in hooks if (why := _denied(project, spec, key := key_of(hook)))
        },
        unknown_kinds=tuple(
            sorted(str(kind) for kind in unknown & {k.group_kind for k in desired})
        ),
        warnings=tuple(warnings),
        origins=origins,
    )


def _shared(resources: Iterable[Resource], instance: str) -> Iterable[tuple[str, str]]:
    """Objects that another application holds: both would write them in turn."""
    for resource in resources:
        owner = owner_of(resource.live.obj) if resource.live else ""
        if owner not in ("", instance):
            text = f"{resource.key.kind}/{resource.key.name} is part of applications"
            yield "SharedResourceWarning", f"{text} {instance} and {owner}"


def kinds_in(status: Mapping[str, Any]) -> set[GroupKind]:
    """The kinds a status's resources name: where objects to prune may be."""
    return {
        GroupKind(str(each.get("group") or ""), str(each.get("kind") or ""))
        for each in status.get("resources") or ()
    }


async def _render(deps: Deps, app: Mapping[str, Any], spec: Spec, snapshot: Snapshot) -> Manifests:
    asked: RenderRequest = spec.intent.render
    env = environment(
        app,
        spec.source,
        revision=snapshot.revision,
        kube_version=asked.destination.kube_version,
        api_versions=asked.destination.api_versions,
    )
    request = substituted(asked, spec.source, env)
    try:
        return await deps.renders.render(request, snapshot)
    except TrimtabError as error:
        text = f"Failed to load target state: failed to generate manifest: {error}"
        raise ComparisonFailed(text, hint=error.hint) from error


async def _desired(
    deps: Deps,
    spec: Spec,
    manifests: Manifests,
    instance: str,
    warnings: list[tuple[str, str]],
) -> tuple[dict[ObjectKey, dict[str, Any]], list[dict[str, Any]], dict[ObjectKey, str]]:
    """Objects by key, with namespace and tracking id; hooks apart."""
    defined = {
        GroupKind(str(s.get("group")), str((s.get("names") or {}).get("kind"))): s.get("scope")
        for s in (m.obj.get("spec") or {} for m in manifests.items if m.obj.get("kind") == _CRD)
    }
    desired: dict[ObjectKey, dict[str, Any]] = {}
    origins: dict[ObjectKey, str] = {}
    hooks: list[dict[str, Any]] = []
    for item in manifests.items:
        obj = await _placed(deps, item.obj, spec.namespace, defined)
        phases = phases_of(obj)
        name = (obj.get("metadata") or {}).get("name")
        for option in without_effect(obj):
            text = f"{obj['kind']}/{name}: sync option {option} is not supported and has no effect"
            warnings.append(("UnsupportedFieldWarning", text))
        if phases is not None:
            odd = not_run(obj) if phases else ""
            if odd:
                warnings.append(("UnsupportedFieldWarning", odd))
            if phases and name:
                hooks.append(track(obj, instance, spec.namespace))
            continue
        key = key_of(obj)
        if key in desired:
            text = f"Resource {key} appeared 2 times among application resources."
            warnings.append(("RepeatedResourceWarning", text))
        desired[key] = track(obj, instance, spec.namespace)
        where = item.origin
        origins[key] = f"{where.file}:{where.line}" if where.line else where.file
    return desired, hooks, origins


async def _placed(
    deps: Deps, obj: dict[str, Any], namespace: str, defined: Mapping[GroupKind, Any]
) -> dict[str, Any]:
    """The object in a namespace if its kind has one; cluster-scoped ones in none."""
    gvk = gvk_of(obj)
    meta = obj.get("metadata") or {}
    scoped = await _is_namespaced(deps, gvk, defined)
    if scoped and not meta.get("namespace"):
        return {**obj, "metadata": {**meta, "namespace": namespace}}
    if not scoped and meta.get("namespace"):
        return {**obj, "metadata": {k: v for k, v in meta.items() if k != "namespace"}}
    return obj


async def _is_namespaced(deps: Deps, gvk: GVK, defined: Mapping[GroupKind, Any]) -> bool:
    found = (await deps.client.discovery()).resource(gvk.group, gvk.kind)
    if found is not None:
        return found.namespaced
    return defined.get(gvk.group_kind) != "Cluster"


async def _resource(
    deps: Deps,
    spec: Spec,
    key: ObjectKey,
    obj: dict[str, Any],
    *,
    manager: str,
    project: Mapping[str, Any],
    unknown: set[GroupKind],
) -> Resource:
    gvk = gvk_of(obj)
    live = None if key.group_kind in unknown else await _live(deps, key, gvk)
    found = compare(obj, live, manager=manager, schema=deps.schemas.get(gvk))
    if found is not None:
        found = [each for each in found if not _overlooked(spec.ignore, key, obj, each)]
    return Resource(
        key=key,
        version=gvk.version,
        desired=obj,
        live=live,
        differences=None if found is None else tuple(found),
        wave=wave_of(obj),
        denied=_denied(project, spec, key),
    )


def _denied(project: Mapping[str, Any], spec: Spec, key: ObjectKey) -> str:
    """Why the project refuses an object, hooks as any other (SEC-11); "" when it does not."""
    permitted = permits_kind(
        project,
        key.group_kind,
        namespaced=bool(key.namespace),
        namespace=key.namespace,
        name=key.name,
    )
    if permitted:
        return ""
    return f"resource {key.group}:{key.kind} is not permitted in project {spec.project}"


async def _live(deps: Deps, key: ObjectKey, gvk: GVK) -> LiveLike | None:
    """From the cache; asked for in the desired version when the cache watches another one."""
    found = deps.cache.get(key)
    if found is None or found.gvk.version == gvk.version:
        return found
    obj = await deps.client.get(key.group_kind, key.namespace, key.name, version=gvk.version)
    meta = dict(obj["metadata"])
    entries = tuple(meta.pop("managedFields", ()))
    entries = tuple(e for e in entries if e.get("apiVersion") == gvk.api_version)
    return Observed(found.uid, {**obj, "metadata": meta}, entries)


def _extra(live: LiveObject) -> Resource:
    meta = live.obj.get("metadata") or {}
    compare_options = str((meta.get("annotations") or {}).get(COMPARE_OPTIONS) or "")
    ignored = (
        "IgnoreExtraneous" in compare_options
        or bool(meta.get("ownerReferences"))
        or live.key.kind in _MIRRORED
    )
    return Resource(
        key=live.key,
        version=live.gvk.version,
        desired=None,
        live=live,
        differences=None,
        wave=wave_of(live.obj),
        ignored=ignored,
    )


def _overlooked(
    rules: Iterable[Mapping[str, Any]], key: ObjectKey, obj: Mapping[str, Any], found: Difference
) -> bool:
    """Does an `ignoreDifferences` entry cover this difference?"""
    for rule in rules:
        if not fnmatch.fnmatchcase(key.group, str(rule.get("group") or "")):
            continue
        if not fnmatch.fnmatchcase(key.kind, str(rule.get("kind") or "*")):
            continue
        if rule.get("name") not in (None, "", key.name):
            continue
        if rule.get("namespace") not in (None, "", key.namespace):
            continue
        for pointer in rule.get("jsonPointers") or ():
            prefix = _display(str(pointer), obj)
            if found.path == prefix or found.path.startswith((prefix + ".", prefix + "[")):
                return True
    return False


def _display(pointer: str, obj: Mapping[str, Any]) -> str:
    """A JSON pointer as a difference's path; items of lists by their name, as the differ does."""
    text = ""
    value: Any = obj
    for raw in pointer.strip("/").split("/"):
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
            name = value.get("name") if isinstance(value, dict) else None
            text += f'[name="{name}"]' if name is not None else f"[{part}]"
        else:
            value = value.get(part) if isinstance(value, dict) else None
            text += f".{part}"
    return text


def prunable(resource: Resource, options: Options) -> str:
    """Why an extra object is not pruned; "" when it may be. `options` are the application's."""
    if resource.ignored:
        return "ignored"
    live = resource.live.obj if resource.live else {}
    if pruning(live, options) == "false":
        return "ignored (no prune)"
    return "" if owner_of(live) else "not ours"


def pruning(live: Mapping[str, Any], options: Options) -> str:
    """The object's `Prune` option, else the application's: "true", "false" or "confirm"."""
    own = object_options(live).values.get("Prune")
    return own or options.values.get("Prune") or "true"
