"""Health of custom kinds, by declarative rules in `data/health.yaml`.

A rule names kinds (`group/Kind`, `*` as Kind for a whole group) and lists checks; the first that
matches decides. A check matches on a condition (`type`, `status`, optional `reasons`) or on a
status field (`field`, `values`). Nothing matching: `otherwise` (default Progressing). An object
whose `observedGeneration` is behind is Progressing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from trimtab.engine.model import Health, HealthStatus
from trimtab.lang import yaml

__all__ = ["Rule", "assess_by_rule", "has_rule", "load_rules"]

Json = Mapping[str, Any]


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What gives `health`. `type` of a condition, or `field` (dotted, below status)."""

    health: HealthStatus
    type: str = ""
    status: str = "True"
    reasons: tuple[str, ...] = ()
    field: str = ""
    values: tuple[str, ...] = ()
    spec: str = ""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: tuple[str, ...]
    checks: tuple[Check, ...]
    otherwise: HealthStatus = "Progressing"


@lru_cache(maxsize=1)
def load_rules() -> Mapping[str, Rule]:
    """The shipped rules by kind. Read once; they are data of this package."""
    data = files("trimtab.engine").joinpath("data", "health.yaml").read_bytes()
    rules = msgspec.convert(yaml.load(data, source="health.yaml"), list[Rule])
    return {kind: rule for rule in rules for kind in rule.kinds}


def has_rule(obj: Json) -> bool:
    return _rule(obj) is not None


def assess_by_rule(obj: Json) -> Health | None:
    """None when no rule is for this kind."""
    rule = _rule(obj)
    if rule is None:
        return None
    status = obj.get("status") or {}
    observed = status.get("observedGeneration")
    generation = (obj.get("metadata") or {}).get("generation")
    if isinstance(observed, int) and isinstance(generation, int) and 0 <= observed < generation:
        return Health("Progressing", "waiting for the last change to be observed")
    for check in rule.checks:
        message = _matches(check, obj, status)
        if message is not None:
            return Health(check.health, message)
    return Health(rule.otherwise)


def _rule(obj: Json) -> Rule | None:
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    rules = load_rules()
    return rules.get(f"{group}/{obj.get('kind')}") or rules.get(f"{group}/*")


def _matches(check: Check, obj: Json, status: Json) -> str | None:
    """The message when the check matches."""
    if check.spec:
        return "" if _dig(obj.get("spec") or {}, check.spec) in (True, "true") else None
    if check.field:
        value = _dig(status, check.field)
        if value is None or str(value) not in check.values:
            return None
        return str(status.get("message") or "")
    for condition in status.get("conditions") or ():
        if condition.get("type") != check.type or condition.get("status") != check.status:
            continue
        if check.reasons and condition.get("reason") not in check.reasons:
            continue
        return str(condition.get("message") or "")
    return None


def _dig(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
