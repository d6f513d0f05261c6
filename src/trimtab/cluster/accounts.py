"""`serviceaccounts/token`: a token for an account, for a while (spec/embedded-cluster.md 7.8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from trimtab.cluster.errors import bad_request, invalid, not_implemented
from trimtab.cluster.store import Record
from trimtab.cluster.tokens import AUDIENCE, Tokens
from trimtab.objects import FieldError

__all__ = ["token_request"]

_SHORTEST_S: Final = 600
_USUAL_S: Final = 3600
_LONGEST_S: Final = 1 << 32


def token_request(tokens: Tokens, account: Record, body: Any, *, now: datetime) -> dict[str, Any]:
    """The answered TokenRequest. Raises 400, 422, 501."""
    if not isinstance(body, dict):
        raise bad_request("the request body is no object")
    spec = dict(body.get("spec") or {})
    if spec.get("boundObjectRef"):
        raise not_implemented("binding a token to an object")
    seconds = spec.setdefault("expirationSeconds", _USUAL_S)
    problem = ""
    if not isinstance(seconds, int) or seconds < _SHORTEST_S:
        problem = "may not specify a duration less than 10 minutes"
    elif seconds > _LONGEST_S:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        error = FieldError("Invalid", "spec.expirationSeconds", seconds, problem)
        raise invalid("TokenRequest", "authentication.k8s.io", account.name, [error])
    spec["audiences"] = list(spec.get("audiences") or [AUDIENCE])
    token = tokens.issue(
        namespace=account.namespace,
        name=account.name,
        uid=account.uid,
        audiences=spec["audiences"],
        now=now,
        seconds=seconds,
    )
    ends = (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": account.name, "namespace": account.namespace},
        "spec": spec,
        "status": {"token": token, "expirationTimestamp": ends},
    }
