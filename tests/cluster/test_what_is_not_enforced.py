"""What would have no effect is refused or said."""

from __future__ import annotations

from typing import Any

from .conftest import Api, Running

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
QUOTAS = "/api/v1/namespaces/default/resourcequotas"


def _hook(*webhooks: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "guard"}, "webhooks": list(webhooks)}


WEBHOOK = {
    "name": "guard.example.org",
    "clientConfig": {"url": "https://guard.example.org"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}],
}


def test_webhooks_that_nobody_would_call_are_refused(api: Api) -> None:
    refused = api("POST", HOOKS, _hook(WEBHOOK))
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")
    assert "would not call its webhooks" in refused.json["message"]
    assert api("POST", HOOKS, _hook()).status == 201
    assert api("GET", f"{HOOKS}/guard").status == 200


def test_they_can_be_allowed_and_are_then_warned_of() -> None:
    with Running(allow_unenforced_admission=True, controllers=False) as cluster:
        stored = Api(cluster)("POST", HOOKS, _hook(WEBHOOK))
        assert stored.status == 201, stored.text
        assert "does not call its webhooks" in stored.headers["warning"]


def test_a_quota_is_stored_with_a_warning(api: Api) -> None:
    stored = api("POST", QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}})
    assert stored.status == 201
    assert "does not enforce it" in stored.headers["warning"]


def test_the_capabilities_say_what_is_simulated(api: Api) -> None:
    found = api("GET", "/embedded/capabilities").json
    assert "Deployment.apps" in found["simulated"]
    assert "pods/exec" in found["notImplemented"]
