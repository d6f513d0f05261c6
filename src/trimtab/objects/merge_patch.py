"""JSON Merge Patch (RFC 7386) on plain values, and the patch between two values.

Pure: neither argument is changed; unchanged subtrees are shared with the result.
Source: spec/embedded-cluster.md 8.
"""

from __future__ import annotations

from typing import Any

from trimtab.objects.same import same

__all__ = ["apply_merge_patch", "diff", "drop_nulls"]


def apply_merge_patch(doc: Any, patch: Any) -> Any:
    """`doc` with `patch` merged in: maps merge, null deletes, everything else replaces.

    Returns `doc` itself when the patch changes nothing, so that `is` tells a no-op.
    """
    if not isinstance(patch, dict):
        return doc if same(doc, patch) else patch
    target = doc if isinstance(doc, dict) else {}
    out: dict[str, Any] | None = None if target is doc else {}
    for key, value in patch.items():
        current = target if out is None else out
        if value is None:
            if key in current:
                out = {k: v for k, v in current.items() if k != key}
            continue
        merged = apply_merge_patch(current.get(key), value)
        if key not in current or merged is not current[key]:
            out = dict(current) if out is None else out
            out[key] = merged
    return target if out is None else out


def drop_nulls(value: Any) -> Any:
    """`value` without the null members of its maps (what a merge patch makes of nothing)."""
    return apply_merge_patch(None, value)


def diff(a: Any, b: Any) -> Any:
    """The smallest merge patch that turns `a` into `b`.

    A merge patch cannot say null: where `b` holds a null member that `a` lacks, the result of
    the patch lacks it too (`apply_merge_patch(a, diff(a, b)) == drop_nulls(b)` for such maps).
    """
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return b
    patch: dict[str, Any] = {key: None for key in a if b.get(key) is None}
    for key, value in b.items():
        if value is None:
            continue
        if key not in a or not isinstance(a[key], dict) or not isinstance(value, dict):
            if key not in a or not same(a[key], value):
                patch[key] = value
        elif inner := diff(a[key], value):
            patch[key] = inner
    return patch
