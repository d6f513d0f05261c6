"""The arithmetic of a Deployment's rollout. Pure: numbers in, numbers out.

Rules of spec/embedded-cluster.md 11: maxSurge rounds up, maxUnavailable rounds down, both zero
make maxUnavailable 1; never more Pods than replicas + surge; never fewer available ones than
replicas - unavailable by our own doing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

__all__ = [
    "Fence",
    "Set",
    "fence_of",
    "new_set_size",
    "pods_of",
    "proportional_sizes",
    "shrink_old_sets",
]


class Fence(msgspec.Struct, frozen=True):
    """How far a rollout may stray from `replicas`, in Pods."""

    surge: int
    unavailable: int


class Set(msgspec.Struct, frozen=True):
    """A ReplicaSet in numbers. `replicas` is asked for; `available` is there.

    `max_replicas` is replicas + surge of the Deployment when it last scaled this set (an
    annotation), 0 when not known. `created` orders sets by age.
    """

    name: str
    replicas: int
    available: int = 0
    max_replicas: int = 0
    created: str = ""


def pods_of(value: int | str, replicas: int, *, up: bool) -> int:
    """A number of Pods, or a percentage of `replicas`, rounded up or down."""
    if isinstance(value, int):
        return value
    share = int(value.rstrip("%")) * replicas
    return -(-share // 100) if up else share // 100


def fence_of(replicas: int, *, max_surge: int | str, max_unavailable: int | str) -> Fence:
    """The fence of a RollingUpdate; numbers or percentages of `replicas`."""
    surge = pods_of(max_surge, replicas, up=True)
    unavailable = pods_of(max_unavailable, replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    if replicas == 0:
        unavailable = 0
    return Fence(surge, min(unavailable, replicas))


def new_set_size(replicas: int, *, current: int, total: int, fence: Fence) -> int:
    """The size of the new set. `total` is what all sets, this one too, ask for."""
    if current >= replicas:
        return replicas
    room = replicas + fence.surge - total
    if room <= 0:
        return current
    return current + min(room, replicas - current)


def shrink_old_sets(
    replicas: int, *, new: Set | None, old: Sequence[Set], fence: Fence
) -> dict[str, int]:
    """New sizes of the old sets that shrink now: unhealthy Pods first, oldest set first."""
    new_replicas, new_available = (new.replicas, new.available) if new else (0, 0)
    total = new_replicas + sum(s.replicas for s in old)
    floor = replicas - fence.unavailable
    budget = total - floor - (new_replicas - new_available)
    if budget <= 0 or not any(s.replicas for s in old):
        return {}
    sizes = {s.name: s.replicas for s in old}
    ordered = sorted(old, key=lambda s: s.created)
    for item in ordered:
        cut = min(budget, max(0, item.replicas - item.available))
        sizes[item.name] -= cut
        budget -= cut
    spare = new_available + sum(s.available for s in old) - floor
    for item in ordered:
        cut = max(0, min(sizes[item.name], spare))
        sizes[item.name] -= cut
        spare -= cut
    return {s.name: sizes[s.name] for s in old if sizes[s.name] != s.replicas}


def proportional_sizes(
    replicas: int, *, sets: Sequence[Set], fence: Fence, status_replicas: int
) -> dict[str, int]:
    """Sizes of all active sets when `replicas` changes during a rollout.

    Each grows or shrinks by its share of what the Deployment was allowed before; what rounding
    leaves goes to the largest set.
    """
    allowed = replicas + fence.surge if replicas > 0 else 0
    change = allowed - sum(s.replicas for s in sets)
    if change == 0 or not sets:
        return {s.name: s.replicas for s in sets}
    by_age = sorted(sets, key=lambda s: s.created, reverse=change > 0)
    ordered = sorted(by_age, key=lambda s: -s.replicas)
    sizes: dict[str, int] = {}
    done = 0
    for item in ordered:
        share = 0
        if item.replicas and change != done:
            before = item.max_replicas or status_replicas
            share = _share(item.replicas, replicas=replicas, allowed=allowed, before=before)
            left = change - done
            share = min(share, left) if change > 0 else max(share, left)
        sizes[item.name] = item.replicas + share
        done += share
    first = ordered[0].name
    sizes[first] = max(0, sizes[first] + change - done)
    return sizes


def _share(size: int, *, replicas: int, allowed: int, before: int) -> int:
    if replicas == 0:
        return -size
    if before == 0:
        return 0
    return math.floor(size * allowed / before + 0.5) - size
