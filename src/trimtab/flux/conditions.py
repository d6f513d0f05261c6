"""The status of one Flux object while it is reconciled: conditions by kstatus's rules.

Source: spec/flux.md 1.1. A draft starts from the stored status and is written once at the end
(and once before long work), so that conditions of others survive.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from trimtab.flux.kinds import REQUESTED_AT
from trimtab.runtime import get_condition, remove_condition, set_condition

__all__ = ["StatusDraft"]

State = Literal["True", "False", "Unknown"]
_MESSAGE_LIMIT: Final = 20_000
UNSUPPORTED: Final = "FieldsNotHonoured"


class StatusDraft:
    """A status being made. `fields` is the status as a plain dict; conditions live inside it."""

    def __init__(self, obj: Mapping[str, Any], now: datetime) -> None:
        meta = obj["metadata"]
        self.fields: dict[str, Any] = copy.deepcopy(dict(obj.get("status") or {}))
        self.generation = int(meta.get("generation") or 0)
        self._now = now
        self._token = str((meta.get("annotations") or {}).get(REQUESTED_AT) or "")

    @property
    def conditions(self) -> list[dict[str, Any]]:
        return list(self.fields.get("conditions") or [])

    def status_of(self, type_: str) -> str:
        """True, False, Unknown, or "" when the condition is not there."""
        found = get_condition(self.conditions, type_)
        return str(found["status"]) if found else ""

    def set(self, type_: str, status: State, reason: str, message: str) -> None:
        self.fields["conditions"] = set_condition(
            self.conditions,
            type_,
            status,
            reason,
            message[:_MESSAGE_LIMIT],
            now=self._now,
            generation=self.generation,
        )

    def drop(self, *types: str) -> None:
        conditions = self.conditions
        for type_ in types:
            conditions = remove_condition(conditions, type_)
        self.fields["conditions"] = conditions

    def progressing(self, message: str) -> None:
        """New work has begun: Reconciling, and Ready is not known yet."""
        self.drop("Stalled")
        self.set("Reconciling", "True", "Progressing", message)
        self.set("Ready", "Unknown", "Progressing", message)

    def succeeded(self, reason: str, message: str) -> None:
        self.drop("Reconciling", "Stalled")
        self.set("Ready", "True", reason, message)
        self._handled(advance=True)

    def waits(self, reason: str, message: str) -> None:
        """Failed or not ready, but worth another try: observedGeneration stays behind."""
        self.drop("Stalled")
        self.set("Reconciling", "True", "ProgressingWithRetry", message)
        self.set("Ready", "False", reason, message)
        self._handled(advance=False)

    def stalled(self, reason: str, message: str) -> None:
        self.drop("Reconciling")
        self.set("Stalled", "True", reason, message)
        self.set("Ready", "False", reason, message)
        self._handled(advance=True)

    def not_honoured(self, fields: list[str]) -> None:
        """Name what was accepted and is not acted upon (ARCHITECTURE 3.10)."""
        if fields:
            self.set(UNSUPPORTED, "True", "Unsupported", f"not honoured: {', '.join(fields)}")
        else:
            self.drop(UNSUPPORTED)

    def _handled(self, *, advance: bool) -> None:
        if advance:
            self.fields["observedGeneration"] = self.generation
        if self._token:
            self.fields["lastHandledReconcileAt"] = self._token
        order = {"Ready": 0, "Reconciling": 1, "Stalled": 2}
        self.fields["conditions"] = sorted(
            self.conditions, key=lambda condition: order.get(str(condition["type"]), 3)
        )
