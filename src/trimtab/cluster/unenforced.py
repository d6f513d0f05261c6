"""What can be stored but has no effect here is said, and what guards a cluster is refused.

Nobody may believe that a policy holds which nobody enforces (spec/embedded-cluster.md 1, 12).
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.cluster.errors import forbidden
from trimtab.cluster.resources import Resource

__all__ = ["check_unenforced"]

_WEBHOOKS: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_STORED: Final = ("LimitRange", "NetworkPolicy", "ResourceQuota")
_GROUPS: Final = ("", "networking.k8s.io", "admissionregistration.k8s.io")


def check_unenforced(resource: Resource, obj: dict[str, Any], *, allowed: bool) -> list[str]:
    """Warnings for the client. Raises 403 for admission that would not take place, unless
    `allowed`."""
    if resource.custom or resource.group not in _GROUPS:
        return []
    if resource.kind in _STORED:
        return [f"the embedded cluster stores a {resource.kind} but does not enforce it"]
    what = ""
    if resource.kind in _WEBHOOKS and obj.get("webhooks"):
        what = "call its webhooks"
    elif resource.kind == "ValidatingAdmissionPolicyBinding":
        what = "evaluate its policy"
    if not what:
        return []
    if not allowed:
        why = f"the embedded cluster would not {what} and refuses to pretend that it does"
        raise forbidden(resource.title, obj["metadata"]["name"], why)
    return [f"the embedded cluster does not {what}"]
