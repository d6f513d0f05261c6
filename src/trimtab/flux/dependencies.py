"""`dependsOn`: what must be ready first (spec/flux.md 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.sources import Revision, source_key
from trimtab.kube import NotFound
from trimtab.objects import GroupKind

__all__ = ["check_dependencies", "dependency_names"]

POLL_S: Final = 30.0


async def check_dependencies(
    deps: Deps, gk: GroupKind, obj: Mapping[str, Any], source: Revision | None
) -> None:
    """Return when all are ready. Raises `NotYet` (DependencyNotReady) naming the first that is
    not, `Stalled` for a cycle or an expression. Read from the API server, past the cache."""
    wanted = dependency_names(obj)
    _refuse_cycle(deps, gk, obj)
    for item in (obj["spec"].get("dependsOn")) or ():
        if item.get("readyExpr"):
            raise Stalled(
                "spec.dependsOn.readyExpr is not supported yet", reason="FeatureNotSupported"
            )
    for namespace, name in wanted:
        what = f"'{namespace}/{name}'"
        try:
            found = await deps.client.get(gk, namespace, name)
        except NotFound:
            raise _not_ready(f"dependency {what} not found") from None
        problem = _unready(found, source)
        if problem:
            raise _not_ready(f"dependency {what} is not ready: {problem}")


def dependency_names(obj: Mapping[str, Any]) -> list[tuple[str, str]]:
    own = obj["metadata"]["namespace"]
    return [
        (item.get("namespace") or own, item["name"])
        for item in (obj.get("spec") or {}).get("dependsOn") or ()
    ]


def _unready(found: Mapping[str, Any], source: Revision | None) -> str:
    status = found.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    if status.get("observedGeneration") != found["metadata"].get("generation"):
        return "its newest generation was not reconciled yet"
    if (conditions.get("Ready") or {}).get("status") != "True":
        return str((conditions.get("Ready") or {}).get("message") or "no Ready condition")
    ref = (found.get("spec") or {}).get("sourceRef")
    same = source is not None and ref and source_key(found, ref) == source.key
    if same and source and status.get("lastAppliedRevision") != source.text:
        return f"it has not applied revision {source.text} yet"
    return ""


def _refuse_cycle(deps: Deps, gk: GroupKind, obj: Mapping[str, Any]) -> None:
    known = {
        (live.key.namespace, live.key.name): dependency_names(live.obj)
        for live in deps.cache.list(gk)
    }
    start = (obj["metadata"]["namespace"], obj["metadata"]["name"])
    path = _path_back(known, start, start, [start], set())
    if path:
        names = " -> ".join(f"{namespace}/{name}" for namespace, name in path)
        raise Stalled(f"dependency cycle: {names}", reason="DependencyCycle")


def _path_back(
    known: Mapping[tuple[str, str], list[tuple[str, str]]],
    at: tuple[str, str],
    goal: tuple[str, str],
    path: list[tuple[str, str]],
    seen: set[tuple[str, str]],
) -> list[tuple[str, str]]:
    for following in known.get(at, ()):
        if following == goal:
            return [*path, goal]
        if following not in seen:
            seen.add(following)
            found = _path_back(known, following, goal, [*path, following], seen)
            if found:
                return found
    return []


def _not_ready(message: str) -> NotYet:
    return NotYet(message, reason="DependencyNotReady", retry_s=POLL_S)
