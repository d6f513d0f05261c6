"""Which failures are tried again, and when. Pure. Source: spec/controller-runtime.md 3."""

from __future__ import annotations

from random import Random

from trimtab.kube.errors import (
    ApiError,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
    Unreachable,
)

__all__ = ["full_jitter", "give_up", "retry_delay"]

MAX_ATTEMPTS = 3
BASE_S = 0.2
CAP_S = 5.0
MAX_RETRY_AFTER_S = 30.0


def give_up(error: ApiError, attempt: int, *, repeatable: bool) -> bool:
    """Is attempt number `attempt` (0 is the first) the last one?

    429 means the server did nothing, and an unsent request did nothing either: both may be
    repeated whatever the verb. All else only when repeating is harmless.
    """
    if attempt + 1 >= MAX_ATTEMPTS:
        return True
    if isinstance(error, TooManyRequests):
        return _eviction(error)
    if isinstance(error, Unreachable) and not error.sent:
        return False
    again = isinstance(error, InternalError | ServiceUnavailable | Unreachable) or (
        isinstance(error, Timeout) and error.code == 504
    )
    return not (again and repeatable)


def retry_delay(error: ApiError, attempt: int, rng: Random) -> float:
    """Seconds before the next attempt: what the server asked for, else jittered doubling."""
    if error.retry_after_s is not None:
        return min(error.retry_after_s, MAX_RETRY_AFTER_S)
    return full_jitter(attempt, base_s=BASE_S, cap_s=CAP_S, rng=rng)


def full_jitter(attempt: int, *, base_s: float, cap_s: float, rng: Random) -> float:
    """Seconds to wait before retry number `attempt` (0 is the first), anywhere up to the
    doubled base."""
    return rng.uniform(0.0, min(cap_s, base_s * 2.0 ** min(attempt, 32)))


def _eviction(error: ApiError) -> bool:
    """A disruption budget says no for longer than a retry lasts."""
    return any(cause.get("reason") == "DisruptionBudget" for cause in error.causes)
