"""Which repositories are followed for which applications; a moved head wakes them."""

from __future__ import annotations

from collections.abc import Callable

from trimtab.errors import TrimtabError
from trimtab.runtime import Key
from trimtab.sources import Snapshot, SourceService, SourceSpec

__all__ = ["Following"]


class Following:
    """One subscription an application. State of this process only."""

    def __init__(self, sources: SourceService) -> None:
        self._sources = sources
        self._held: dict[Key, tuple[SourceSpec, Callable[[], None]]] = {}
        self._revisions: dict[Key, str] = {}
        self.on_change: Callable[[Key], None] | None = None

    def follow(self, key: Key, spec: SourceSpec, revision: str) -> None:
        """`revision` is where the application stands; "" when its source failed."""
        self._revisions[key] = revision
        held = self._held.get(key)
        if held is not None and held[0] == spec:
            return
        if held is not None:
            held[1]()

        def told(answer: Snapshot | TrimtabError) -> None:
            now = "" if isinstance(answer, TrimtabError) else answer.revision
            if now != self._revisions.get(key) and self.on_change is not None:
                self.on_change(key)

        self._held[key] = (spec, self._sources.subscribe(spec, told))

    def forget(self, key: Key) -> None:
        self._revisions.pop(key, None)
        held = self._held.pop(key, None)
        if held is not None:
            held[1]()
