"""Errors of this dialect: each becomes a condition of its own type.

TrimtabError
└── ConditionError           .type is the condition's type
    ├── InvalidSpec          InvalidSpecError
    └── ComparisonFailed     ComparisonError
"""

from __future__ import annotations

from trimtab.errors import TrimtabError

__all__ = ["ComparisonFailed", "ConditionError", "InvalidSpec"]


class ConditionError(TrimtabError):
    """`type` is the type of the Application's condition."""

    type = "UnknownError"


class InvalidSpec(ConditionError):
    reason = "InvalidSpec"
    type = "InvalidSpecError"


class ComparisonFailed(ConditionError):
    reason = "ComparisonFailed"
    type = "ComparisonError"
