"""Equality of JSON values as JSON has it: `true` is not 1, though 1 and 1.0 are one number."""

from __future__ import annotations

from typing import Any

__all__ = ["same"]


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal. Python's `==` alone takes `True` for `1`."""
    if a is b:
        return True
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and len(a) == len(b)
            and all(key in b and same(value, b[key]) for key, value in a.items())
        )
    if isinstance(a, list):
        return (
            isinstance(b, list)
            and len(a) == len(b)
            and all(same(x, y) for x, y in zip(a, b, strict=True))
        )
    return bool(a == b) and isinstance(a, bool) is isinstance(b, bool)
