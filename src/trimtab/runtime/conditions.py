"""Conditions as kstatus and `kubectl wait` read them. Pure: lists in, new lists out.

Source: spec/controller-runtime.md 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

__all__ = ["get_condition", "remove_condition", "rfc3339", "set_condition"]

MAX_MESSAGE = 32 * 1024

Status = Literal["True", "False", "Unknown"]


def set_condition(
    conditions: Iterable[Mapping[str, Any]],
    type: str,  # noqa: A002 - the field has this name
    status: Status,
    reason: str,
    message: str,
    *,
    now: datetime,
    generation: int | None = None,
) -> list[dict[str, Any]]:
    """The list with this condition set, in its old place or at the end.

    `lastTransitionTime` changes only when the status does. A message longer than 32 KiB is cut.
    """
    if len(message) > MAX_MESSAGE:
        message = message[: MAX_MESSAGE - 1] + "…"
    found = get_condition(conditions, type)
    since = found.get("lastTransitionTime") if found and found.get("status") == status else None
    condition: dict[str, Any] = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or rfc3339(now),
    }
    if generation is not None:
        condition["observedGeneration"] = generation
    if found is None:
        return [*(dict(each) for each in conditions), condition]
    return [condition if each.get("type") == type else dict(each) for each in conditions]


def remove_condition(
    conditions: Iterable[Mapping[str, Any]],
    type: str,  # noqa: A002 - the field has this name
) -> list[dict[str, Any]]:
    """The list without conditions of this type."""
    return [dict(each) for each in conditions if each.get("type") != type]


def get_condition(
    conditions: Iterable[Mapping[str, Any]],
    type: str,  # noqa: A002 - the field has this name
) -> dict[str, Any] | None:
    """A copy of the condition of this type, None when there is none."""
    return next((dict(each) for each in conditions if each.get("type") == type), None)


def rfc3339(moment: datetime) -> str:
    """An aware time as Kubernetes writes it: UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
