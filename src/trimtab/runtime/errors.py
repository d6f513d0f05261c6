"""How a reconcile says what should happen next.

    TrimtabError
    └── ReconcileError
        ├── Retryable    try again after the key's back-off, or `after_s`
        ├── Terminal     trying again changes nothing until the object changes
        └── NotOwned     somebody else looks after this key: drop it

A `kube.Conflict` is tried again once at once, then backed off; any other exception is a fault of
ours or of the world and is backed off. Source: spec/controller-runtime.md 6.
"""

from __future__ import annotations

from trimtab.errors import TrimtabError

__all__ = ["NotOwned", "ReconcileError", "Retryable", "Terminal"]


class ReconcileError(TrimtabError):
    """An expected end of a reconcile that is not success."""


class Retryable(ReconcileError):
    """It may work later. `after_s` None leaves the time to the key's back-off."""

    reason = "Retryable"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        after_s: float | None = None,
        why: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, reason=reason, why=why, hint=hint)
        self.after_s = after_s


class Terminal(ReconcileError):
    """It will not work until the object changes."""

    reason = "Stalled"


class NotOwned(ReconcileError):
    """Another replica acts for this key."""

    reason = "NotOwned"
