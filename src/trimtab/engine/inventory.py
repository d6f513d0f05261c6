"""What we answer for: sets of object keys, their union and what became stale. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trimtab.engine.model import StepResult
from trimtab.objects import ObjectKey, key_of

__all__ = ["remember", "stale"]


def stale(before: Iterable[ObjectKey], desired: Iterable[Mapping[str, Any]]) -> set[ObjectKey]:
    """Keys of the old inventory that are not desired any more. Versions do not matter."""
    return set(before) - {key_of(obj) for obj in desired}


def remember(
    before: Iterable[ObjectKey],
    desired: Iterable[Mapping[str, Any]],
    results: Iterable[StepResult],
) -> set[ObjectKey]:
    """The inventory after a run: what is desired, and what should have gone but did not. An
    object leaves the inventory only when its delete succeeded."""
    gone = {r.step.key for r in results if r.step.kind == "delete" and r.code == "pruned"}
    return ({key_of(obj) for obj in desired} | set(before)) - gone
