"""Access and token reviews, answered by the cluster's own evaluator (spec 7.8)."""

from __future__ import annotations

from typing import Any, Final

from trimtab.cluster.auth import Auth
from trimtab.cluster.errors import bad_request, invalid
from trimtab.cluster.rbac import Access, Authorizer, User
from trimtab.cluster.resources import Resource
from trimtab.cluster.tokens import AUDIENCE
from trimtab.objects import FieldError

__all__ = ["REVIEWS", "Reviews"]

Object = dict[str, Any]
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


class Reviews:
    """Nothing is stored: the answer is the object."""

    def __init__(self, auth: Auth, authorizer: Authorizer) -> None:
        self._auth = auth
        self._authorizer = authorizer

    def answer(self, resource: Resource, body: Any, user: User, namespace: str) -> Object:
        """The review with its status. Raises 400, 422."""
        if not isinstance(body, dict):
            raise bad_request("the request body is no object")
        spec = body.get("spec") or {}
        found: Object = {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"creationTimestamp": None},
        }
        if resource.kind == "SelfSubjectReview":
            return {**found, "status": {"userInfo": user.info()}}
        found["spec"] = spec
        if resource.kind == "SelfSubjectRulesReview":
            found["status"] = self._rules(user, str(spec.get("namespace") or ""))
        elif resource.kind == "TokenReview":
            found["status"] = self._token(spec)
        else:
            whom = user if resource.kind == "SelfSubjectAccessReview" else _subject(resource, spec)
            found["status"] = self._access(resource, whom, spec, namespace)
        return found

    def _access(self, resource: Resource, user: User, spec: Object, namespace: str) -> Object:
        wanted, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (wanted is None) == (path is None):
            detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            error = FieldError("Invalid", "spec.resourceAttributes", wanted, detail)
            raise invalid(resource.kind, resource.group, "", [error])
        if path is not None:
            access = Access(str(path.get("verb") or ""), path=str(path.get("path") or ""))
        else:
            names = ("verb", "group", "resource", "subresource", "namespace", "name")
            access = Access(**{name: str((wanted or {}).get(name) or "") for name in names})
            if namespace and access.namespace != namespace:
                raise bad_request(
                    "spec.resourceAttributes.namespace must match the namespace of the request"
                )
        reason = self._authorizer.reason(user, access)
        return {"allowed": reason is not None, **({"reason": reason} if reason else {})}

    def _rules(self, user: User, namespace: str) -> Object:
        rules = self._authorizer.rules(user, namespace)
        return {
            "resourceRules": [rule for rule in rules if rule.get("resources")],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in rules
                if rule.get("nonResourceURLs")
            ],
            "incomplete": False,
        }

    def _token(self, spec: Object) -> Object:
        audiences = list(spec.get("audiences") or [AUDIENCE])
        user = self._auth.of_token(str(spec.get("token") or ""), audiences)
        if user is None:
            return {"authenticated": False, "error": "invalid bearer token"}
        return {"authenticated": True, "user": user.info(), "audiences": audiences}


def _subject(resource: Resource, spec: Object) -> User:
    name, groups = str(spec.get("user") or ""), tuple(spec.get("groups") or ())
    if not name and not groups:
        detail = "at least one of user or group must be specified"
        error = FieldError("Invalid", "spec.user", name, detail)
        raise invalid(resource.kind, resource.group, "", [error])
    extra = spec.get("extra") or {}
    pairs = tuple((key, tuple(values)) for key, values in sorted(extra.items()))
    return User(name, groups, str(spec.get("uid") or ""), pairs)
