"""Which node takes a Pod: node selectors, affinity, taints. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.labels import has_labels, requirement_holds

__all__ = ["refusal", "tolerates", "untolerated"]


def tolerates(tolerations: Sequence[Mapping[str, Any]], taint: Mapping[str, Any]) -> bool:
    """Whether any toleration covers a taint."""
    return any(_covers(t, taint) for t in tolerations)


def _covers(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    same = toleration.get("value", "") == taint.get("value", "")
    return bool(toleration.get("key")) and same


def untolerated(spec: Object, node: Object, effects: Sequence[str]) -> Mapping[str, Any] | None:
    """The first taint with one of `effects` that a Pod's spec does not tolerate."""
    for taint in node["spec"].get("taints") or ():
        if taint.get("effect") in effects and not tolerates(spec.get("tolerations") or (), taint):
            return dict(taint)
    return None


def _term_holds(term: Mapping[str, Any], node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    expressions, on_fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not on_fields:
        return False
    return all(requirement_holds(r, labels) for r in expressions) and all(
        requirement_holds(r, fields) for r in on_fields
    )


def wants_node(spec: Object, node: Object) -> bool:
    """nodeSelector and required node affinity."""
    if not has_labels(spec.get("nodeSelector") or {}, node["metadata"].get("labels") or {}):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term_holds(term, node) for term in required.get("nodeSelectorTerms") or ())


def refusal(spec: Object, node: Object) -> str:
    """Why a node does not take a Pod, as the scheduler words it; "" when it does."""
    if node["spec"].get("unschedulable") and not tolerates(
        spec.get("tolerations") or (),
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
    ):
        return "node(s) were unschedulable"
    taint = untolerated(spec, node, ("NoSchedule", "NoExecute"))
    if taint is not None:
        return f"node(s) had untolerated taint(s) {{{taint['key']}: {taint.get('value', '')}}}"
    if not wants_node(spec, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""
