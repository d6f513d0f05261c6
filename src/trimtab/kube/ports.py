"""What this package asks of others: a clock, and somebody to tell what happened."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "Observer", "Silent", "SystemTime", "Timepiece"]


class Timepiece(Protocol):
    """A clock to read. `now` is aware UTC; `monotonic` is in seconds."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Clock(Timepiece, Protocol):
    """Time as an argument: a clock to read and to wait on, in seconds."""

    async def sleep(self, seconds: float) -> None: ...


class SystemTime:
    """The machine's own time, to read."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class Observer(Protocol):
    """Receives what metrics and logs want to know. Called in the loop: must be fast."""

    def request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """One HTTP exchange. `code` is the status, or the error's reason without an answer."""

    def watch_event(self, resource: str, kind: str) -> None:
        """One event of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    def relist(self, resource: str, reason: str) -> None:
        """A kind is listed anew, and why."""

    def trouble(self, message: str, **fields: object) -> None:
        """Something went wrong that is being retried."""


class Silent:
    """An observer that does not look."""

    def request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Not recorded."""

    def watch_event(self, resource: str, kind: str) -> None:
        """Not recorded."""

    def relist(self, resource: str, reason: str) -> None:
        """Not recorded."""

    def trouble(self, message: str, **fields: object) -> None:
        """Not recorded."""
