"""What a CustomResourceDefinition must be before it is stored (spec/embedded-cluster.md 10)."""

from __future__ import annotations

from typing import Any

from trimtab.cluster.errors import invalid
from trimtab.cluster.registry import CRD
from trimtab.cluster.resources import Resource
from trimtab.cluster.rules import CelEngine
from trimtab.objects import (
    FieldError,
    NotStructural,
    compile_rules,
    crd_versions,
    unenforced_rules,
)

__all__ = ["check_definition"]

Object = dict[str, Any]


def check_definition(resource: Resource, obj: Object) -> list[str]:
    """Warnings of what the definition asks for and nobody enforces. Raises 422."""
    if resource.storage != CRD:
        return []
    spec, name = obj["spec"], obj["metadata"]["name"]
    problems: list[FieldError] = []
    want = f"{spec['names']['plural']}.{spec['group']}"
    if name != want:
        problems.append(
            FieldError(
                "Invalid",
                "metadata.name",
                name,
                f'must be spec.names.plural+"."+spec.group ({want})',
            )
        )
    if sum(1 for each in spec["versions"] if each.get("storage")) != 1:
        problems.append(
            FieldError(
                "Invalid",
                "spec.versions",
                None,
                "must have exactly one version marked as storage version",
            )
        )
    strategy = (spec.get("conversion") or {}).get("strategy", "None")
    if strategy != "None":
        problems.append(
            FieldError(
                "NotSupported",
                "spec.conversion.strategy",
                strategy,
                "conversion webhooks are not implemented by the embedded cluster",
            )
        )
    rules: list[str] = []
    try:
        for index, schema in enumerate(crd_versions(obj).values()):
            path = f"spec.versions[{index}].schema.openAPIV3Schema"
            compiled = compile_rules(schema, CelEngine(), path=path)
            problems += compiled.problems
            rules += unenforced_rules(schema, compiled)
    except NotStructural as error:
        problems += [_violation(text) for text in error.violations]
    if problems:
        raise invalid(resource.kind, resource.group, name, problems)
    if not rules:
        return []
    return [f"the embedded cluster does not enforce {len(rules)} CEL rules, such as: {rules[0]}"]


def _violation(text: str) -> FieldError:
    """`path: Reason: detail`, as the schema's checks say it."""
    path, _, rest = text.partition(": ")
    word, _, detail = rest.partition(": ")
    if word == "Required value":
        return FieldError("Required", path, None, detail)
    if word == "Forbidden":
        return FieldError("Forbidden", path, None, detail)
    return FieldError("Invalid", path, None, rest.removeprefix("Invalid value: "))
