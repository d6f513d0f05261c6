"""Label selectors on plain dicts, as the controllers need them for every Pod event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["has_labels", "matches", "selects_all"]


def has_labels(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether `labels` holds every pair of `wanted` (an equality selector)."""
    return all(labels.get(key) == value for key, value in wanted.items())


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector takes `labels`. None takes nothing, an empty one everything."""
    if selector is None:
        return False
    if not has_labels(selector.get("matchLabels") or {}, labels):
        return False
    return all(requirement_holds(r, labels) for r in selector.get("matchExpressions") or ())


def requirement_holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """One `matchExpressions` entry; also node affinity's `Gt` and `Lt`."""
    key, operator = requirement["key"], requirement["operator"]
    values = requirement.get("values") or ()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return _compares(operator, labels.get(key), values)


def _compares(operator: str, have: str | None, values: Any) -> bool:
    try:
        left, right = int(str(have)), int(str(values[0]))
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else left < right if operator == "Lt" else False


def selects_all(selector: Mapping[str, Any] | None) -> bool:
    """An empty selector: workload controllers refuse to manage everything."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
