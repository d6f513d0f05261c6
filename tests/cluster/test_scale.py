"""The scale subresource and who owns the replicas."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api
from .objects import boat, crd, deployment

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BOATS = "/apis/harbour.example/v1/namespaces/default/boats"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def web(api: Api) -> Any:
    """A Deployment that `git` applied, with two replicas."""
    path = f"{DEPLOYMENTS}/web"
    answer = api("PATCH", f"{path}?fieldManager=git", deployment(), Content_Type=APPLY)
    assert answer.status == 201, answer.text
    yield path
    api("DELETE", path)


def test_a_scale_is_read_with_its_selector(api: Api, web: str) -> None:
    scale = api("GET", f"{web}/scale").json
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "app=web"
    owners = {(e["manager"], e["apiVersion"]) for e in scale["metadata"]["managedFields"]}
    assert owners == {("git", "autoscaling/v1")}


def test_a_patch_of_the_scale_takes_the_replicas_from_their_owner(api: Api, web: str) -> None:
    body = {"spec": {"replicas": 5}}
    scaled = api("PATCH", f"{web}/scale?fieldManager=hpa", body, Content_Type=MERGE)
    assert scaled.json["spec"] == {"replicas": 5}
    entries = api("GET", web).json["metadata"]["managedFields"]
    hpa = next(entry for entry in entries if entry["manager"] == "hpa")
    assert (hpa["subresource"], hpa["operation"]) == ("scale", "Update")
    assert hpa["apiVersion"] == "apps/v1"
    assert hpa["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    refused = api("PATCH", f"{web}?fieldManager=git", deployment(), Content_Type=APPLY)
    assert refused.status == 409
    assert refused.json["message"] == (
        'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale"'
        " using apps/v1: .spec.replicas"
    )
    cause = refused.json["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.replicas")


def test_leaving_the_replicas_to_another_keeps_them(api: Api, web: str) -> None:
    body = {"spec": {"replicas": 5}}
    api("PATCH", f"{web}/scale?fieldManager=hpa", body, Content_Type=MERGE)
    silent = deployment()
    del silent["spec"]["replicas"]
    applied = api("PATCH", f"{web}?fieldManager=git", silent, Content_Type=APPLY)
    assert applied.status == 200
    assert applied.json["spec"]["replicas"] == 5


def test_a_scale_can_be_put_and_is_checked(api: Api, web: str) -> None:
    scale = api("GET", f"{web}/scale").json
    scale["spec"]["replicas"] = 0
    assert api("PUT", f"{web}/scale", scale).json["spec"]["replicas"] == 0
    scale["metadata"].pop("resourceVersion")
    scale["spec"]["replicas"] = -1
    refused = api("PUT", f"{web}/scale", scale)
    assert refused.status == 422
    assert refused.json["message"] == (
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1:'
        " must be greater than or equal to 0"
    )
    scale["spec"]["replicas"], scale["metadata"]["resourceVersion"] = 1, "1"
    assert api("PUT", f"{web}/scale", scale).json["reason"] == "Conflict"


def test_a_custom_resource_says_where_its_replicas_are(api: Api) -> None:
    definition = crd()
    version = definition["spec"]["versions"][0]
    version["subresources"]["scale"]["specReplicasPath"] = ".spec.length"
    made = api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    assert made.status == 201, made.text
    assert api("POST", BOATS, boat()).status == 201
    status = {"status": {"replicas": 3, "selector": "crew=yes"}}
    api("PATCH", f"{BOATS}/ferry/status", status, Content_Type=MERGE)
    scale = api("GET", f"{BOATS}/ferry/scale").json
    assert scale["spec"] == {"replicas": 30}
    assert scale["status"] == {"replicas": 3, "selector": "crew=yes"}
    body = {"spec": {"replicas": 31}}
    assert api("PATCH", f"{BOATS}/ferry/scale", body, Content_Type=MERGE).status == 200
    assert api("GET", f"{BOATS}/ferry").json["spec"]["length"] == 31
