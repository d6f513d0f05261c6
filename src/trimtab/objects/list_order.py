"""The order of a merged list, as strategic merge decides it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

__all__ = ["NameOf", "interleave"]

NameOf = Callable[[Any], Hashable]


def interleave(patch: Sequence[Any], original: Sequence[Any]) -> list[Any]:
    """Names of both lists: those of `patch` in its order, the others in the order of `original`.

    Where the two meet, an original name comes before a patched one only if both were in the
    original in that order; so a name new in the patch comes first.
    """
    place = {name: index for index, name in enumerate(original)}
    patched = set(patch)
    left = [name for name in original if name not in patched]
    out: list[Any] = []
    i = 0
    for name in patch:
        at = place.get(name)
        if at is not None:
            while i < len(left) and place[left[i]] < at:
                out.append(left[i])
                i += 1
        out.append(name)
    return out + left[i:]
