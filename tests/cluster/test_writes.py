"""Writes over HTTP: identity, versions, generation, refusals and their words (cases 22-66)."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest

from .conftest import Api
from .objects import boat, config_map, crd, deployment, service

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BOATS = "/apis/harbour.example/v1/namespaces/default/boats"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    digest = hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    return re.sub("[^a-z0-9]+", "-", request.node.name)[:40] + digest


@pytest.fixture
def made(api: Api, name: str) -> str:
    """The path of a new ConfigMap."""
    assert api("POST", MAPS, config_map(name)).status == 201
    return f"{MAPS}/{name}"


@pytest.fixture(scope="module")
def boats(api: Api) -> str:
    assert api("POST", CRDS, crd()).status == 201
    return BOATS


def _version(answer: Any) -> int:
    return int(answer.json["metadata"]["resourceVersion"])


def test_what_the_server_decides_is_not_the_client_s(api: Api, name: str) -> None:
    body = config_map(name)
    body["metadata"] |= {
        "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7,
        "selfLink": "/x", "deletionTimestamp": "2001-01-01T00:00:00Z",
    }  # fmt: skip
    meta = api("POST", MAPS, body).json["metadata"]
    assert meta["uid"] != "mine"
    assert not meta["creationTimestamp"].startswith("2001")
    assert not {"generation", "selfLink", "deletionTimestamp"} & set(meta)


def test_a_create_with_a_version_is_refused(api: Api, name: str) -> None:
    body = config_map(name)
    body["metadata"]["resourceVersion"] = "5"
    refused = api("POST", MAPS, body)
    assert refused.status in (400, 500)
    assert "resourceVersion should not be set on objects to be created" in refused.json["message"]


def test_a_second_create_is_refused(api: Api, made: str, name: str) -> None:
    refused = api("POST", MAPS, config_map(name))
    assert (refused.status, refused.json["reason"]) == (409, "AlreadyExists")
    assert refused.json["message"] == f'configmaps "{name}" already exists'
    assert refused.json["details"] == {"name": name, "kind": "configmaps"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"metadata": {"name": "a", "namespace": "other"}}, 400, "does not match the namespace"),
        ({"metadata": {"name": "Bad_Name"}}, 422, "a lowercase RFC 1123 subdomain"),
        ({"metadata": {}}, 422, "name or generateName is required"),
        ({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}, 400, "Secret"),
        ({"metadata": {"name": "a", "labels": {"a": "b c"}}}, 422, "metadata.labels"),
        ([1], 400, ""),
        ("{", 400, ""),
        ("[" * 100_000, 400, ""),
    ],
)
def test_a_bad_create_is_refused(api: Api, body: Any, status: int, words: str) -> None:
    refused = api("POST", MAPS, body, Content_Type="application/json")
    assert refused.status == status, refused.text
    assert refused.json["kind"] == "Status"
    assert words in refused.json["message"]


def test_a_body_of_another_type_is_refused(api: Api) -> None:
    refused = api("POST", MAPS, "a=b", Content_Type="text/plain")
    assert (refused.status, refused.json["reason"]) == (415, "UnsupportedMediaType")


def test_a_body_that_is_too_large_is_refused(api: Api, name: str) -> None:
    body = config_map(name, big="x" * (3 * 1024 * 1024))
    refused = api("POST", MAPS, body)
    assert (refused.status, refused.json["reason"]) == (413, "RequestEntityTooLarge")


def test_yaml_goes_in_and_out(api: Api, name: str) -> None:
    text = f"kind: ConfigMap\napiVersion: v1\nmetadata: {{name: {name}}}\ndata: {{a: 'yes'}}\n"
    assert api("POST", MAPS, text, Content_Type="application/yaml").status == 201
    shown = api("GET", f"{MAPS}/{name}", Accept="application/yaml").text
    assert 'a: "yes"' in shown or "a: 'yes'" in shown


def test_unknown_and_repeated_fields_warn_or_refuse(api: Api, name: str) -> None:
    text = f'{{"metadata":{{"name":"{name}"}},"dat":{{}},"data":{{"a":"1","a":"2"}}}}'
    kind = "application/json"
    refused = api("POST", f"{MAPS}?fieldValidation=Strict", text, Content_Type=kind)
    assert refused.status == 400
    assert 'unknown field "dat"' in refused.json["message"]
    assert 'duplicate field "data.a"' in refused.json["message"]
    dry = f"{MAPS}?dryRun=All"
    warned = api("POST", dry, text, Content_Type=kind)
    assert warned.status == 201
    assert r'299 - "unknown field \"dat\""' in warned.headers["warning"]
    silent = api("POST", f"{dry}&fieldValidation=Ignore", text, Content_Type=kind)
    assert "warning" not in silent.headers


def test_a_dry_run_leaves_nothing(api: Api, name: str) -> None:
    shown = api("POST", f"{MAPS}?dryRun=All", config_map(name))
    assert shown.status == 201
    assert shown.json["metadata"]["uid"]
    assert api("GET", f"{MAPS}/{name}").status == 404
    assert api("POST", f"{MAPS}?dryRun=Some", config_map(name)).status == 422


def test_an_update_of_a_stale_version_conflicts(api: Api, made: str, name: str) -> None:
    seen = api("GET", made).json
    api("PATCH", made, {"data": {"a": "1"}}, Content_Type=MERGE)
    refused = api("PUT", made, seen)
    assert (refused.status, refused.json["reason"]) == (409, "Conflict")
    assert refused.json["message"] == (
        f'Operation cannot be fulfilled on configmaps "{name}": the object has been modified;'
        " please apply your changes to the latest version and try again"
    )
    del seen["metadata"]["resourceVersion"]
    assert api("PUT", made, seen).status == 200  # the last one wins


def test_an_update_of_another_uid_conflicts(api: Api, made: str) -> None:
    body = api("GET", made).json
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    assert api("PUT", made, body).status == 409


def test_what_changes_nothing_keeps_its_version(api: Api, made: str) -> None:
    body = api("GET", made)
    assert _version(api("PUT", made, body.json)) == _version(body)
    same = {"data": {"colour": "blue"}}
    assert _version(api("PATCH", made, same, Content_Type=MERGE)) == _version(body)


def test_generation_counts_changes_of_the_specification(api: Api, name: str) -> None:
    path = f"{DEPLOYMENTS}/{name}"
    body = deployment(name, paused=True, replicas=0)
    assert api("POST", DEPLOYMENTS, body).json["metadata"]["generation"] == 1

    def patch(change: dict[str, Any], where: str = "") -> int:
        answer = api("PATCH", path + where, change, Content_Type=MERGE)
        return int(answer.json["metadata"]["generation"])

    assert patch({"metadata": {"labels": {"x": "y"}}}) == 1
    assert patch({"spec": {"minReadySeconds": 3}}) == 2
    assert patch({"metadata": {"annotations": {"x": "y"}}}) == 3
    assert patch({"status": {"replicas": 9}}) == 3
    assert patch({"status": {"replicas": 9}}, "/status") == 3


def test_the_status_goes_through_its_own_path(api: Api, boats: str, name: str) -> None:
    body = boat(name)
    body["status"] = {"phase": "Sunk"}
    assert "status" not in api("POST", boats, body).json
    path = f"{boats}/{name}"
    seen = api("GET", path).json
    seen["status"], seen["spec"] = {"phase": "Afloat"}, {"length": 1}
    answer = api("PUT", f"{path}/status", seen).json
    assert (answer["status"], answer["spec"]["length"]) == ({"phase": "Afloat"}, 30)
    answer["status"], answer["spec"]["length"] = {"phase": "Sunk"}, 31
    answer = api("PUT", path, answer).json
    assert (answer["status"], answer["spec"]["length"]) == ({"phase": "Afloat"}, 31)
    assert answer["metadata"]["generation"] == 2


def test_custom_resources_need_a_version_to_be_put(api: Api, boats: str, name: str) -> None:
    api("POST", boats, boat(name))
    refused = api("PUT", f"{boats}/{name}", boat(name))
    assert refused.status == 422
    assert "metadata.resourceVersion: Invalid value" in refused.json["message"]
    assert "must be specified for an update" in refused.json["message"]


def test_custom_resources_take_no_strategic_patch(api: Api, boats: str, name: str) -> None:
    api("POST", boats, boat(name))
    assert api("PATCH", f"{boats}/{name}", {}, Content_Type=STRATEGIC).status == 415


def test_a_selector_cannot_change(api: Api, name: str) -> None:
    api("POST", DEPLOYMENTS, deployment(name, replicas=0))
    change = {"spec": {"selector": {"matchLabels": {"other": "x"}},
                       "template": {"metadata": {"labels": {"other": "x"}}}}}  # fmt: skip
    refused = api("PATCH", f"{DEPLOYMENTS}/{name}", change, Content_Type=MERGE)
    assert refused.status == 422
    fields = {cause["field"] for cause in refused.json["details"]["causes"]}
    assert "spec.selector" in fields
    assert refused.json["details"]["kind"] == "Deployment"


def test_a_service_keeps_its_address(api: Api, name: str) -> None:
    services = "/api/v1/namespaces/default/services"
    first = api("POST", services, service(name)).json["spec"]
    assert first["clusterIPs"] == [first["clusterIP"]]
    body = service(name, type="NodePort")
    second = api("PUT", f"{services}/{name}", body).json["spec"]
    assert second["clusterIP"] == first["clusterIP"]
    assert 30000 <= second["ports"][0]["nodePort"] < 32768
    third = api("PUT", f"{services}/{name}", body).json["spec"]
    assert third["ports"] == second["ports"]
    taken = service(f"{name}-2", clusterIP=first["clusterIP"])
    assert "already allocated" in api("POST", services, taken).json["message"]


def test_a_lease_can_be_put_into_being(api: Api, name: str) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/default/leases/{name}"
    body = {"metadata": {"name": name}, "spec": {"holderIdentity": "me"}}
    assert api("PUT", path, body).status == 201
    assert api("PUT", f"{DEPLOYMENTS}/{name}", deployment(name)).status == 404


def test_an_immutable_map_stays(api: Api, name: str) -> None:
    api("POST", MAPS, {**config_map(name), "immutable": True})
    refused = api("PATCH", f"{MAPS}/{name}", {"data": {"a": "b"}}, Content_Type=MERGE)
    assert (refused.status, refused.json["reason"]) == (422, "Invalid")


@pytest.mark.parametrize(
    ("kind", "patch", "status"),
    [
        (JSON_PATCH, [{"op": "test", "path": "/data/colour", "value": "x"}], 422),
        (JSON_PATCH, [{"op": "remove", "path": "/data/none"}], 422),
        (JSON_PATCH, {"op": "add"}, 400),
        (JSON_PATCH, [{"op": "add", "path": "/data/a", "value": "1"}] * 10_001, 413),
        (JSON_PATCH, [{"op": "add", "path": "/data/a", "value": "1"}], 200),
        (MERGE, [1], 400),
        (MERGE, {"data": None}, 200),
        (MERGE, {"metadata": {"name": "other"}}, 400),
        ("application/apply-patch+cbor", {}, 415),
        ("text/plain", {}, 415),
    ],
)
def test_patches_are_judged(api: Api, made: str, kind: str, patch: Any, status: int) -> None:
    answer = api("PATCH", made, patch, Content_Type=kind)
    assert answer.status == status, answer.text
    if status != 200:
        assert answer.json["code"] == status


def test_a_patch_with_a_version_conflicts(api: Api, made: str) -> None:
    old = {"metadata": {"resourceVersion": "1"}, "data": {"a": "b"}}
    assert api("PATCH", made, old, Content_Type=MERGE).status == 409


@pytest.mark.parametrize(
    ("query", "change", "status", "words"),
    [
        ("", {}, 422, "fieldManager: Required value"),
        ("fieldManager=m", {"kind": ""}, 400, ""),
        ("fieldManager=m", {"managedFields": [{"manager": "x"}]}, 400, "managedFields must be nil"),
        ("fieldManager=m", {"resourceVersion": "1"}, 409, "the object has been modified"),
        ("fieldManager=m", {"uid": "1"}, 409, "UID in precondition"),
        ("fieldManager=m&force=true", {}, 200, ""),
    ],
)
def test_applies_are_judged(
    api: Api, made: str, name: str, query: str, change: dict[str, Any], status: int, words: str
) -> None:
    body = config_map(name)
    if "kind" in change:
        body["kind"] = change["kind"]
    else:
        body["metadata"] |= change
    answer = api("PATCH", f"{made}?{query}", body, Content_Type=APPLY)
    assert answer.status == status, answer.text
    assert words in answer.json.get("message", "")


def test_force_is_for_applies_alone(api: Api, made: str) -> None:
    assert api("PATCH", f"{made}?force=true", {}, Content_Type=MERGE).status == 422


def test_the_same_apply_twice_is_one(api: Api, name: str) -> None:
    path = f"{DEPLOYMENTS}/{name}?fieldManager=git"
    body = deployment(name, replicas=0, paused=True)
    first = api("PATCH", path, body, Content_Type=APPLY)
    assert first.status == 201
    body = deployment(name, replicas=0, paused=True)
    import time

    time.sleep(0.1)
    second = api("PATCH", path, body, Content_Type=APPLY)
    applied = [e for e in second.json["metadata"]["managedFields"] if e["operation"] == "Apply"]
    before = [e for e in first.json["metadata"]["managedFields"] if e["operation"] == "Apply"]
    assert applied == before


def test_deletions_obey_their_preconditions(api: Api, made: str) -> None:
    wrong = {"preconditions": {"uid": "other"}}
    assert api("DELETE", made, wrong).status == 409
    assert api("DELETE", made, {"preconditions": {"resourceVersion": "1"}}).status == 409
    both = {"propagationPolicy": "Orphan", "orphanDependents": True}
    assert api("DELETE", made, both).status == 422
    assert api("DELETE", made, {"propagationPolicy": "Sideways"}).status == 422
    uid = api("GET", made).json["metadata"]["uid"]
    done = api("DELETE", made, {"preconditions": {"uid": uid}}).json
    assert (done["kind"], done["status"], done["details"]["uid"]) == ("Status", "Success", uid)
    assert api("DELETE", made).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/apis/nothing.example/v1", 404),
        ("GET", "/apis/apps/v1/spaceships", 404),
        ("GET", "/api/v1/namespaces/default/pods/p/nothing", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/v1/namespaces", 405),
        ("POST", "/api/v1/componentstatuses", 405),
        ("PUT", MAPS, 405),
        ("POST", "/api/v1/namespaces/default/pods/p/exec", 501),
        ("GET", "/api/v1/namespaces/default/services/kubernetes/proxy", 501),
    ],
)
def test_what_is_not_there_answers_with_a_status(
    api: Api, method: str, path: str, status: int
) -> None:
    answer = api(method, path, {} if method in ("POST", "PUT") else None)
    assert answer.status == status, answer.text
    assert answer.json["kind"] == "Status"
    assert answer.json["code"] == status
