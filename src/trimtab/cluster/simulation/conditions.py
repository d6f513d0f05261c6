"""Condition lists of built-in kinds: find, set, remove. Lists are never mutated."""

from __future__ import annotations

from typing import Any

__all__ = ["condition", "condition_is", "set_condition", "without"]

Condition = dict[str, Any]


def condition(conditions: list[Condition] | None, kind: str) -> Condition | None:
    """The condition of a type, or None."""
    return next((c for c in conditions or () if c.get("type") == kind), None)


def condition_is(conditions: list[Condition] | None, kind: str, status: str = "True") -> bool:
    found = condition(conditions, kind)
    return found is not None and found.get("status") == status


def without(conditions: list[Condition] | None, kind: str) -> list[Condition]:
    return [c for c in conditions or () if c.get("type") != kind]


def set_condition(
    conditions: list[Condition] | None, kind: str, status: str, *, now: str, **fields: Any
) -> list[Condition]:
    """The list with one condition set, in place, moving lastTransitionTime only with `status`.

    `fields` with value None or "" are left out, as Go's `omitempty` does.
    """
    current = condition(conditions, kind)
    changed = current is None or current.get("status") != status
    new: Condition = {
        "type": kind,
        "status": status,
        "lastTransitionTime": now if changed or current is None else current["lastTransitionTime"],
        **{k: v for k, v in fields.items() if v not in (None, "")},
    }
    if current is None:
        return [*(conditions or ()), new]
    return [new if c.get("type") == kind else c for c in conditions or ()]
