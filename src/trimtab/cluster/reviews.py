"""Access and token reviews. Whoever holds the cluster's token is its administrator."""

from __future__ import annotations

from typing import Any, Final

from trimtab.cluster.errors import not_implemented
from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource

__all__ = ["REVIEWS", "review"]

ADMIN: Final = {
    "username": "kubernetes-admin",
    "groups": ["system:masters", "system:authenticated"],
}
REVIEWS: Final = frozenset(
    {
        "SelfSubjectAccessReview",
        "SubjectAccessReview",
        "LocalSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SelfSubjectReview",
        "TokenReview",
    }
)


def review(resource: Resource, body: Any, _registry: Registry) -> dict[str, Any]:
    """The answered review. Reviews of other subjects are refused: there is no RBAC evaluator."""
    spec = (body.get("spec") or {}) if isinstance(body, dict) else {}
    answer: dict[str, Any] = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"creationTimestamp": None},
        "spec": spec,
    }
    match resource.kind:
        case "SelfSubjectAccessReview":
            answer["status"] = {"allowed": True, "reason": "the embedded cluster's administrator"}
        case "SelfSubjectRulesReview":
            rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            urls = {"verbs": ["*"], "nonResourceURLs": ["*"]}
            answer["status"] = {
                "resourceRules": [rule],
                "nonResourceRules": [urls],
                "incomplete": False,
            }
        case "SelfSubjectReview":
            del answer["spec"]
            answer["status"] = {"userInfo": ADMIN}
        case _:
            raise not_implemented(f"{resource.kind} for other subjects")
    return answer
