"""Which repositories are followed for which objects, and the snapshots they stand at.

State of this process only: after a restart the first reconcile of each source fills it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.errors import TrimtabError
from trimtab.objects import ObjectKey
from trimtab.sources import Snapshot, SourceService, SourceSpec

__all__ = ["Following"]

Unsubscribe = Callable[[], None]


class Following:
    """One subscription a source object; `on_change(key)` is called when its head moved or it
    failed."""

    def __init__(self, sources: SourceService) -> None:
        self._sources = sources
        self._held: dict[ObjectKey, tuple[SourceSpec, Unsubscribe]] = {}
        self._snapshots: dict[ObjectKey, Snapshot] = {}
        self.on_change: Callable[[ObjectKey], None] = _nobody

    def follow(self, key: ObjectKey, spec: SourceSpec, snapshot: Snapshot) -> None:
        """Remember where `key` stands, and hear of it when its remote moves."""
        self._snapshots[key] = snapshot
        held = self._held.get(key)
        if held is not None and held[0] == spec:
            return
        if held is not None:
            held[1]()

        def told(answer: Any) -> None:
            known = self._snapshots.get(key)
            if (
                isinstance(answer, TrimtabError)
                or known is None
                or answer.revision != known.revision
            ):
                self.on_change(key)

        self._held[key] = (spec, self._sources.subscribe(spec, told))

    def forget(self, key: ObjectKey) -> None:
        self._snapshots.pop(key, None)
        held = self._held.pop(key, None)
        if held is not None:
            held[1]()

    def snapshot(self, key: ObjectKey) -> Snapshot | None:
        return self._snapshots.get(key)


def _nobody(_key: ObjectKey) -> None:
    """Before the controller is there, a change needs no telling: everything is reconciled at
    start."""
