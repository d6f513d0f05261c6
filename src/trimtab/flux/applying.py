"""The one place where the Flux dialect meets the engine: plan, execute, judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from trimtab.engine import (
    STAGES,
    Desired,
    Executor,
    LiveLike,
    Placement,
    Policy,
    SchemaBook,
    StepResult,
    kstatus,
    plan,
    stage_of,
)
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet
from trimtab.flux.inventory import entry_id
from trimtab.objects import GroupKind, ObjectKey, gvk_of, key_of

__all__ = [
    "RESOURCE_POLICY",
    "Applied",
    "Owner",
    "apply",
    "ensure_namespace",
    "place_objects",
    "progress_of",
]

CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
NAMESPACE: Final = GroupKind("", "Namespace")
RECONCILE: Final = "kustomize.toolkit.fluxcd.io/reconcile"
PRUNE: Final = "kustomize.toolkit.fluxcd.io/prune"
RESOURCE_POLICY: Final = "helm.sh/resource-policy"
SSA: Final = "kustomize.toolkit.fluxcd.io/ssa"


class Owner(msgspec.Struct, frozen=True):
    """Who applies: the field manager, the labels that mark what is theirs, the namespace for
    objects that name none. `helm`: Helm's resource policy counts."""

    manager: str
    labels: dict[str, str]
    namespace: str = ""
    helm: bool = False


class Applied(msgspec.Struct, frozen=True):
    """What came of it. `changed` and `failed` are lines for people; `survivors` are inventory
    entries that could not be pruned."""

    objects: tuple[dict[str, Any], ...] = ()
    changed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    survivors: tuple[dict[str, str], ...] = ()
    prune_failed: bool = False


async def place_objects(
    deps: Deps, objects: Iterable[Mapping[str, Any]], namespace: str
) -> tuple[dict[str, Any], ...]:
    """Namespaced objects that name no namespace get `namespace`; cluster-scoped ones lose theirs.

    Raises `NotYet` naming kinds that the cluster does not have and these objects do not define.
    """
    discovery = await deps.client.discovery()
    found = list(objects)
    defined = {
        (obj["spec"]["group"], obj["spec"]["names"]["kind"]): obj["spec"].get("scope")
        == "Namespaced"
        for obj in found
        if key_of(obj).group_kind == CRD
    }
    placed, unknown = [], set()
    for obj in found:
        gvk = gvk_of(obj)
        scope = defined.get((gvk.group, gvk.kind))
        if scope is None:
            resource = discovery.resource(gvk.group, gvk.kind)
            if resource is None:
                discovery = await deps.client.discovery(refresh=True)
                resource = discovery.resource(gvk.group, gvk.kind)
            scope = resource.namespaced if resource else None
        if scope is None:
            unknown.add(f'no matches for kind "{gvk.kind}" in version "{gvk.api_version}"')
            continue
        placed.append(_placed(dict(obj), namespace if scope else ""))
    if unknown:
        raise NotYet("; ".join(sorted(unknown)), reason="ReconciliationFailed")
    return tuple(placed)


async def apply(
    deps: Deps,
    objects: Iterable[Mapping[str, Any]],
    *,
    owner: Owner,
    owned: Iterable[ObjectKey],
    prune: bool,
    force: bool,
    timeout_s: float,
    allow_empty: bool = True,
    create_namespace: bool = False,
) -> Applied:
    """Make the cluster as `objects` say and prune what is in `owned` and not among them.

    The source was rendered whole when this is called, so an empty set is meant (spec/flux.md
    3.2 step 2). Raises `NotYet` for kinds that do not exist.
    """
    placed = await place_objects(deps, objects, owner.namespace)
    if create_namespace and owner.namespace:
        await ensure_namespace(deps, owner)
    wanted = tuple(obj for obj in placed if not _ignored(obj))
    keys = {key_of(obj) for obj in wanted} | set(owned)
    unknown = await deps.cache.ensure({key.group_kind for key in keys}, timeout_s=timeout_s)
    live = {key: found for key in keys if (found := deps.cache.get(key))}
    kept = tuple(obj for obj in wanted if not _left_alone(obj, live.get(key_of(obj))))
    policy = Policy(prune=prune, allow_empty=allow_empty, force=force, timeout_s=timeout_s)
    await deps.cache.ensure([CRD], timeout_s=timeout_s)
    book = SchemaBook(deps.schemas, lambda: deps.cache.list(CRD))
    planned = plan(
        Desired(kept),
        live,
        owned=[key for key in owned if key.group_kind not in unknown],
        manager=owner.manager,
        policy=policy,
        schema_of=book.get,
        order=STAGES,
        place=lambda obj: Placement(0, stage_of(obj)),
        keep=_keeper(owner),
    )
    # Objects that are left alone are still ours to list: skipping must not look like leaving.
    spared = {key_of(obj) for obj in placed}
    steps = tuple(s for s in planned.steps if s.kind != "delete" or s.key not in spared)
    executor = Executor(
        deps.client, deps.cache, manager=owner.manager, clock=deps.clock, policy=policy
    )
    outcome = await executor.run(msgspec.structs.replace(planned, steps=steps))
    return _applied(placed, outcome.results)


def progress_of(deps: Deps, keys: Iterable[ObjectKey]) -> tuple[list[str], list[str]]:
    """(objects in progress or missing, objects that failed), as `Kind/ns/name status: 'S'`."""
    pending, failed = [], []
    for key in keys:
        live = deps.cache.get(key)
        progress = kstatus(live.obj if live else None, now=deps.clock.now())
        text = f"{key.kind}/{key.namespace}/{key.name} status: '{progress.status}'"
        if progress.status == "Failed":
            failed.append(f"{text}: {progress.message}" if progress.message else text)
        elif progress.status != "Current":
            pending.append(text)
    return pending, failed


def _placed(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    meta = obj.get("metadata") or {}
    if namespace and not meta.get("namespace"):
        return {**obj, "metadata": {**meta, "namespace": namespace}}
    return obj


def _marks(obj: Mapping[str, Any], key: str) -> str:
    meta = obj.get("metadata") or {}
    for field in ("annotations", "labels"):
        value = (meta.get(field) or {}).get(key)
        if value:
            return str(value).lower()
    return ""


def _ignored(obj: Mapping[str, Any]) -> bool:
    return _marks(obj, RECONCILE) == "disabled" or _marks(obj, SSA) == "ignore"


def _left_alone(obj: Mapping[str, Any], live: LiveLike | None) -> bool:
    """Live objects that opted out, and those that are made once only (spec/flux.md 3.5)."""
    if live is None:
        return False
    return _marks(live.obj, RECONCILE) == "disabled" or _marks(obj, SSA) == "ifnotpresent"


def _keeper(owner: Owner) -> Callable[[Mapping[str, Any]], str]:
    """Why a stale live object stays: it opted out, or somebody else owns it now (spec 3.7)."""

    def keep(live: Mapping[str, Any]) -> str:
        if _marks(live, PRUNE) == "disabled" or _ignored(live):
            return "it opted out of pruning"
        notes = (live.get("metadata") or {}).get("annotations") or {}
        if owner.helm and str(notes.get(RESOURCE_POLICY) or "").strip().lower() == "keep":
            return "its Helm resource policy keeps it"
        labels = (live.get("metadata") or {}).get("labels") or {}
        if any(labels.get(key) != value for key, value in owner.labels.items()):
            return "it belongs to somebody else now"
        return ""

    return keep


async def ensure_namespace(deps: Deps, owner: Owner) -> None:
    """Create the owner's namespace when it is not there."""
    await deps.cache.ensure([NAMESPACE])
    if deps.cache.get(ObjectKey("", "Namespace", "", owner.namespace)) is None:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": owner.namespace}}
        answer = await deps.client.apply(namespace, manager=owner.manager)
        await deps.cache.note_write(answer)


def _applied(placed: tuple[dict[str, Any], ...], results: Iterable[StepResult]) -> Applied:
    changed, failed, survivors = [], [], []
    prune_failed = False
    for result in results:
        key = result.step.key
        name = (
            f"{key.kind}/{key.namespace}/{key.name}" if key.namespace else f"{key.kind}/{key.name}"
        )
        if result.code == "failed":
            failed.append(f"{name}: {result.message}")
            if result.step.kind == "delete":
                prune_failed = True
                survivors.append({"id": entry_id(key), "v": "v1"})
        elif result.code in ("created", "configured", "pruned"):
            changed.append(f"{name} {'deleted' if result.code == 'pruned' else result.code}")
    return Applied(placed, tuple(changed), tuple(failed), tuple(survivors), prune_failed)
