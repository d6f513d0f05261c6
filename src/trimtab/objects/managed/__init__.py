"""Structured merge with managed fields: server-side apply as pure functions on plain dicts.

Source: spec/embedded-cluster.md 8.1, 8.2.
"""

from trimtab.objects.managed.apply import (
    BEFORE_FIRST_APPLY,
    BadApply,
    apply_config,
    track_update,
)
from trimtab.objects.managed.conflict import ApplyConflict, FieldConflict
from trimtab.objects.managed.elements import BadElement, Path, display_path
from trimtab.objects.managed.entries import BadManagedFields, Manager
from trimtab.objects.managed.fieldset import FieldSet
from trimtab.objects.managed.owned import remove_managed_fields, removed_fields
from trimtab.objects.managed.scale import apply_scale, scale_entries, track_scale
from trimtab.objects.managed.typed import Comparison, compare, merge, remove, set_of

__all__ = [
    "BEFORE_FIRST_APPLY",
    "ApplyConflict",
    "BadApply",
    "BadElement",
    "BadManagedFields",
    "Comparison",
    "FieldConflict",
    "FieldSet",
    "Manager",
    "Path",
    "apply_config",
    "apply_scale",
    "compare",
    "display_path",
    "merge",
    "remove",
    "remove_managed_fields",
    "removed_fields",
    "scale_entries",
    "set_of",
    "track_scale",
    "track_update",
]
