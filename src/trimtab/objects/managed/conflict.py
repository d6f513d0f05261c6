"""Two managers want one field: the error, in the exact words of an API server.

Source: spec/embedded-cluster.md 8.1, 8.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from trimtab.errors import TrimtabError
from trimtab.objects.managed.elements import Path, display_path
from trimtab.objects.managed.entries import Manager
from trimtab.objects.managed.fieldset import FieldSet

__all__ = ["ApplyConflict", "FieldConflict"]


class FieldConflict(msgspec.Struct, frozen=True):
    """One field that `manager` owns and an apply would change."""

    manager: Manager
    elements: Path

    @property
    def path(self) -> str:
        """`.spec.template.spec.containers[name="c"].image`"""
        return display_path(self.elements)

    @property
    def api_version(self) -> str:
        return self.manager.api_version

    @property
    def subresource(self) -> str:
        return self.manager.subresource

    @property
    def who(self) -> str:
        """`"hpa" with subresource "scale" using apps/v1`; appliers are named without version."""
        text = orjson.dumps(self.manager.name).decode()
        if self.manager.subresource:
            text += f" with subresource {orjson.dumps(self.manager.subresource).decode()}"
        if self.manager.operation == "Update":
            text += f" using {self.manager.api_version}"
        return text


class ApplyConflict(TrimtabError):
    """An apply without force met fields of other managers. Nothing was done."""

    reason = "Conflict"

    def __init__(self, conflicts: Iterable[FieldConflict]) -> None:
        self.conflicts = tuple(conflicts)
        super().__init__(
            self.status_message(),
            hint="apply with force to take the fields, or leave them out of the configuration",
        )

    @classmethod
    def between(cls, contested: dict[Manager, FieldSet]) -> ApplyConflict:
        """The conflict over these fields: managers in their order, then paths in theirs."""
        return cls(
            FieldConflict(manager, path)
            for manager in sorted(contested, key=lambda one: one.identity)
            for path in contested[manager].paths()
        )

    def status_message(self) -> str:
        """The `message` of the Status that answers the request (409, reason Conflict)."""
        if len(self.conflicts) == 1:
            only = self.conflicts[0]
            return f"Apply failed with 1 conflict: conflict with {only.who}: {only.path}"
        lines: list[str] = []
        last: Manager | None = None
        for conflict in self.conflicts:
            if conflict.manager != last:
                lines.append(f"conflicts with {conflict.who}:")
                last = conflict.manager
            lines.append(f"- {conflict.path}")
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)

    def causes(self) -> list[dict[str, Any]]:
        """`details.causes` of that Status."""
        return [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {conflict.who}",
                "field": conflict.path,
            }
            for conflict in self.conflicts
        ]
