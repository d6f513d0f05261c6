"""The state of every custom resource in one list: what the page's first screen and CI ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from trimtab.argocd.summary import summary as application_summary
from trimtab.flux.summary import summary as flux_summary
from trimtab.objects import GroupKind
from trimtab.objects.summary import Summary

__all__ = ["READERS", "Row", "read_row", "sort_rows"]

READERS: Final[Mapping[GroupKind, Callable[[Mapping[str, Any]], Summary]]] = {
    GroupKind("argoproj.io", "Application"): application_summary,
    GroupKind("source.toolkit.fluxcd.io", "GitRepository"): flux_summary,
    GroupKind("source.toolkit.fluxcd.io", "HelmRepository"): flux_summary,
    GroupKind("kustomize.toolkit.fluxcd.io", "Kustomization"): flux_summary,
    GroupKind("helm.toolkit.fluxcd.io", "HelmRelease"): flux_summary,
}


class Row(msgspec.Struct, frozen=True):
    """One custom resource."""

    kind: str
    namespace: str
    name: str
    state: str
    health: str
    revision: str
    message: str
    settled: bool
    problem: bool


def read_row(gk: GroupKind, obj: Mapping[str, Any]) -> Row:
    """The row of `obj`, which is of a kind in `READERS`."""
    found = READERS[gk](obj)
    meta = obj["metadata"]
    return Row(
        kind=gk.kind,
        namespace=str(meta.get("namespace") or ""),
        name=str(meta["name"]),
        state=found.state,
        health=found.health,
        revision=found.revision,
        message=found.message,
        settled=found.settled,
        problem=found.problem,
    )


def sort_rows(rows: Iterable[Row]) -> list[Row]:
    order = {gk.kind: place for place, gk in enumerate(READERS)}
    return sorted(rows, key=lambda row: (order[row.kind], row.namespace, row.name))
