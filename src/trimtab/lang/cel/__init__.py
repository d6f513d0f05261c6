"""The rules of custom resource definitions: CEL with the libraries of Kubernetes.

Importing this package loads no engine; `compile_rule` does, once. Source:
spec/embedded-cluster.md 10, ADR 13.
"""

from __future__ import annotations

from trimtab.lang.cel.errors import CelError, CelUnsupported, EvaluationError
from trimtab.lang.cel.rule import ABSENT, Rule, compile_rule
from trimtab.lang.cel.shape import ANY, Shape

__all__ = [
    "ABSENT",
    "ANY",
    "CelError",
    "CelUnsupported",
    "EvaluationError",
    "Rule",
    "Shape",
    "compile_rule",
]
