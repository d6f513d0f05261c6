"""Who may do what: roles, impersonation, tokens of accounts, and no giving away of more."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.cluster.auth import access_of
from trimtab.cluster.rbac import Access

from .conftest import Api, Kubectl
from .objects import config_map

RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
REVIEWS = "/apis/authorization.k8s.io/v1"


def _role(name: str, *rules: dict[str, list[str]], kind: str = "Role") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name}, "rules": list(rules)}


def _rule(verbs: str, resources: str, group: str = "", **more: list[str]) -> dict[str, list[str]]:
    return {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
        **more,
    }


def _binding(name: str, role: str, subject: dict[str, str], kind: str = "Role") -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [subject],
    }


def _grant(api: Api, user: str, *rules: dict[str, list[str]], namespace: str = "default") -> None:
    """A Role of the user's own, bound to the user."""
    base = f"{RBAC}/namespaces/{namespace}"
    made = api("POST", f"{base}/roles", _role(user, *rules))
    assert made.status == 201, made.text
    made = api("POST", f"{base}/rolebindings", _binding(user, user, {"kind": "User", "name": user}))
    assert made.status == 201, made.text


@pytest.mark.parametrize(
    ("request_line", "access"),
    [
        ("GET /api/v1/pods", Access("list", "", "pods")),
        ("GET /api/v1/namespaces/a/pods", Access("list", "", "pods", "", "a")),
        ("GET /api/v1/namespaces/a/pods?watch=1", Access("watch", "", "pods", "", "a")),
        ("GET /api/v1/namespaces/a/pods/p", Access("get", "", "pods", "", "a", "p")),
        ("GET /api/v1/namespaces/a/pods/p/log", Access("get", "", "pods", "log", "a", "p")),
        ("GET /api/v1/namespaces/a", Access("get", "", "namespaces", "", "a", "a")),
        ("GET /api/v1/namespaces", Access("list", "", "namespaces")),
        ("PUT /api/v1/namespaces/a/finalize",
         Access("update", "", "namespaces", "finalize", "a", "a")),
        ("DELETE /apis/apps/v1/namespaces/a/deployments",
         Access("deletecollection", "apps", "deployments", "", "a")),
        ("PATCH /apis/apps/v1/namespaces/a/deployments/d/scale",
         Access("patch", "apps", "deployments", "scale", "a", "d")),
        ("GET /apis/apps/v1", Access("get", path="/apis/apps/v1")),
        ("GET /metrics", Access("get", path="/metrics")),
        ("GET /api/v1/pods?fieldSelector=metadata.name=p", Access("list", "", "pods", name="p")),
    ],
)  # fmt: skip
def test_a_request_asks_for(request_line: str, access: Access) -> None:
    method, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    pairs = dict(each.split("=", 1) for each in query.split("&") if each)
    assert access_of(method, path, pairs) == access


def test_a_user_may_do_what_a_role_says_and_nothing_else(api: Api) -> None:
    _grant(api, "ann", _rule("get list create", "configmaps"))
    ann = {"Impersonate_User": "ann"}
    assert api("POST", MAPS, config_map("anns"), **ann).status == 201
    assert api("GET", f"{MAPS}/anns", **ann).status == 200
    assert api("GET", MAPS, **ann).status == 200
    refused = api("DELETE", f"{MAPS}/anns", **ann)
    assert refused.status == 403
    assert refused.json["message"] == (
        'configmaps "anns" is forbidden: User "ann" cannot delete resource "configmaps"'
        ' in API group "" in the namespace "default"'
    )
    assert refused.json["details"] == {"name": "anns", "kind": "configmaps"}
    everywhere = api("GET", "/api/v1/configmaps", **ann)
    assert everywhere.json["message"] == (
        'configmaps is forbidden: User "ann" cannot list resource "configmaps"'
        ' in API group "" at the cluster scope'
    )
    assert api("GET", "/api/v1/namespaces/kube-system/configmaps", **ann).status == 403
    assert api("GET", "/metrics", **ann).json["message"] == (
        'forbidden: User "ann" cannot get path "/metrics"'
    )


def test_roles_can_name_objects_and_subresources(api: Api) -> None:
    _grant(api, "ben", _rule("get", "configmaps", resourceNames=["only"]),
           _rule("get", "deployments/scale", "apps"))  # fmt: skip
    ben = {"Impersonate_User": "ben"}
    assert api("GET", f"{MAPS}/only", **ben).status == 404
    assert api("GET", f"{MAPS}/other", **ben).status == 403
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    assert api("GET", f"{deployments}/d/scale", **ben).status == 404
    assert api("GET", f"{deployments}/d", **ben).status == 403


def test_view_edit_and_admin_grow_into_each_other(api: Api) -> None:
    base = f"{RBAC}/namespaces/default/rolebindings"
    for role in ("view", "edit", "admin"):
        subject = {"kind": "Group", "name": f"{role}ers"}
        assert api("POST", base, _binding(role, role, subject, "ClusterRole")).status == 201

    def may(role: str, method: str, path: str, body: Any = None) -> bool:
        headers = {"Impersonate_User": "x", "Impersonate_Group": f"{role}ers"}
        return api(method, path, body, **headers).status != 403

    secrets = "/api/v1/namespaces/default/secrets"
    assert [may(role, "GET", MAPS) for role in ("view", "edit", "admin")] == [True] * 3
    assert [may(r, "GET", secrets) for r in ("view", "edit", "admin")] == [False, True, True]
    assert [may(r, "POST", MAPS, {}) for r in ("view", "edit", "admin")] == [False, True, True]
    roles = f"{RBAC}/namespaces/default/roles"
    assert [may(r, "GET", roles) for r in ("view", "edit", "admin")] == [False, False, True]


def test_a_new_role_counts_at_once_and_a_deleted_binding_too(api: Api) -> None:
    cleo = {"Impersonate_User": "cleo"}
    assert api("GET", MAPS, **cleo).status == 403
    _grant(api, "cleo", _rule("list", "configmaps"))
    assert api("GET", MAPS, **cleo).status == 200
    api("DELETE", f"{RBAC}/namespaces/default/rolebindings/cleo")
    assert api("GET", MAPS, **cleo).status == 403


def test_nobody_gives_away_more_than_they_have(api: Api) -> None:
    _grant(api, "dan", _rule("*", "roles rolebindings", "rbac.authorization.k8s.io"),
           _rule("get", "configmaps"))  # fmt: skip
    dan = {"Impersonate_User": "dan"}
    roles, bindings = (f"{RBAC}/namespaces/default/{each}" for each in ("roles", "rolebindings"))
    # `*` on roles holds escalate and bind; so name the verbs.
    verbs, group = "create update patch get", "rbac.authorization.k8s.io"
    narrow = _role("dan", _rule(verbs, "roles rolebindings", group), _rule("get", "configmaps"))
    assert api("PUT", f"{roles}/dan", narrow).status == 200
    assert api("POST", roles, _role("same", _rule("get", "configmaps")), **dan).status == 201
    refused = api("POST", roles, _role("more", _rule("get", "secrets")), **dan)
    assert refused.status == 403
    assert "attempting to grant RBAC permissions not currently held" in refused.json["message"]
    grown = {"rules": [_rule("*", "*")]}
    merge = "application/merge-patch+json"
    assert api("PATCH", f"{roles}/same", grown, Content_Type=merge, **dan).status == 403
    labelled = {"metadata": {"labels": {"a": "b"}}}
    assert api("PATCH", f"{roles}/same", labelled, Content_Type=merge, **dan).status == 200
    me = {"kind": "User", "name": "dan"}
    assert api("POST", bindings, _binding("up", "edit", me, "ClusterRole"), **dan).status == 403
    assert api("POST", bindings, _binding("ok", "same", me), **dan).status == 201


def test_impersonation_is_itself_a_right(api: Api) -> None:
    token = _account_token(api, "helper")
    assert api("GET", MAPS, token=token, Impersonate_User="eve").status == 403
    rule = _rule("impersonate", "users", resourceNames=["eve"])
    role = _role("impersonate-eve", rule, kind="ClusterRole")
    assert api("POST", f"{RBAC}/clusterroles", role).status == 201
    helper = {"kind": "ServiceAccount", "name": "helper", "namespace": "default"}
    made = api("POST", f"{RBAC}/clusterrolebindings",
               _binding("impersonate-eve", "impersonate-eve", helper, "ClusterRole"))  # fmt: skip
    assert made.status == 201, made.text
    _grant(api, "eve", _rule("list", "configmaps"))
    assert api("GET", MAPS, token=token, Impersonate_User="eve").status == 200
    as_root = api("GET", MAPS, token=token, Impersonate_User="eve",
                  Impersonate_Group="system:masters")  # fmt: skip
    assert as_root.status == 403
    assert 'cannot impersonate resource "groups"' in as_root.json["message"]
    assert api("GET", MAPS, Impersonate_Group="x").status == 400


def test_a_token_acts_as_its_account_while_both_are_there(api: Api) -> None:
    token = _account_token(api, "robot")
    who = api("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=token)
    info = who.json["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:robot"
    assert info["groups"] == [
        "system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"
    ]  # fmt: skip
    assert api("GET", MAPS, token=token).status == 403
    reviewed = api("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                   {"spec": {"token": token}}).json["status"]  # fmt: skip
    assert reviewed["authenticated"] is True
    head, body, signature = token.split(".")
    changed = "A" if body[10] != "A" else "B"
    forged = ".".join((head, body[:10] + changed + body[11:], signature))
    for bad in (forged, f"{head}.{body}.", "nonsense", "a.b.c"):
        assert api("GET", MAPS, token=bad).status == 401
    api("DELETE", "/api/v1/namespaces/default/serviceaccounts/robot")
    assert api("GET", MAPS, token=token).status == 401


def test_a_token_for_others_is_not_one_for_the_cluster(api: Api) -> None:
    api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "guest"}})
    path = "/api/v1/namespaces/default/serviceaccounts/guest/token"
    made = api("POST", path, {"spec": {"audiences": ["elsewhere"]}}).json["status"]["token"]
    assert api("GET", MAPS, token=made).status == 401
    short = api("POST", path, {"spec": {"expirationSeconds": 60}})
    assert short.status == 422
    assert "may not specify a duration less than 10 minutes" in short.json["message"]


def test_anonymous_sees_health_and_version_only(api: Api) -> None:
    assert api("GET", "/readyz", token="").text == "ok"
    assert api("GET", "/version", token="").json["gitVersion"].endswith("+embedded")
    refused = api("GET", MAPS, token="")
    assert refused.status == 403
    assert 'User "system:anonymous" cannot list' in refused.json["message"]


def test_reviews_answer_for_others(api: Api) -> None:
    _grant(api, "fay", _rule("get", "configmaps"))
    ask = {"namespace": "default", "verb": "get", "resource": "configmaps"}
    review = {"spec": {"user": "fay", "resourceAttributes": ask}}
    allowed = api("POST", f"{REVIEWS}/subjectaccessreviews", review).json["status"]
    assert allowed == {
        "allowed": True, "reason": 'RBAC: allowed by RoleBinding "fay/default" of Role "fay"'
    }  # fmt: skip
    review["spec"]["resourceAttributes"] = {**ask, "verb": "delete"}
    assert api("POST", f"{REVIEWS}/subjectaccessreviews", review).json["status"] == {
        "allowed": False
    }
    rules = api("POST", f"{REVIEWS}/selfsubjectrulesreviews",
                {"spec": {"namespace": "default"}}, Impersonate_User="fay")  # fmt: skip
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]} in rules.json[
        "status"
    ]["resourceRules"]
    neither = api("POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {}})
    assert neither.status == 422


def test_kubectl_acts_as_others(api: Api, kubectl: Kubectl) -> None:
    _grant(api, "gil", _rule("get list", "configmaps"))
    assert kubectl("auth", "can-i", "list", "configmaps", "--as=gil") == "yes\n"
    assert kubectl.run("auth", "can-i", "delete", "configmaps", "--as=gil").out == "no\n"
    kubectl("get", "configmaps", "--as=gil")
    refused = kubectl.refused("get", "secrets", "--as=gil", "--as-group=nobody")
    assert 'secrets is forbidden: User "gil" cannot list resource "secrets"' in refused


def _account_token(api: Api, name: str) -> str:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    assert api("POST", accounts, {"metadata": {"name": name}}).status == 201
    made = api("POST", f"{accounts}/{name}/token", {"spec": {}})
    assert made.status == 201, made.text
    return str(made.json["status"]["token"])
