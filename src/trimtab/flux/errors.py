"""How a reconcile of a Flux object ends when it does not succeed.

FluxError
├── Stalled   nothing but a change of the object (or of what it names) can help
└── NotYet    try again: after `retry_s`, or when what it waits for changes
"""

from __future__ import annotations

from trimtab.errors import Location, TrimtabError

__all__ = ["FluxError", "NotYet", "Stalled"]


class FluxError(TrimtabError):
    reason = "ReconciliationFailed"


class Stalled(FluxError):
    """Ready=False, Stalled=True, no retry (spec/flux.md 1.1, case 4)."""

    reason = "InvalidSpec"


class NotYet(FluxError):
    """Ready=False, Reconciling=ProgressingWithRetry (spec/flux.md 1.1, case 3).

    `retry_s` None means the controller's own retry interval.
    """

    reason = "ReconciliationFailed"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        retry_s: float | None = None,
        why: str = "",
        hint: str = "",
        where: Location | str | None = None,
    ) -> None:
        super().__init__(message, reason=reason, why=why, hint=hint, where=where)
        self.retry_s = retry_s
