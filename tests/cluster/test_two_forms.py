"""Kinds that are served in two forms are one object in both."""

from __future__ import annotations

from typing import Any

from .conftest import Api, Kubectl

V1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
CORE = "/api/v1/namespaces/default/events"
NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
MERGE = "application/merge-patch+json"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def _memory(share: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": share}
    return {"type": "Resource", "resource": {"name": "memory", "target": target}}


def test_an_old_autoscaler_is_a_new_one(api: Api) -> None:
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    made = api("POST", V1, {"metadata": {"name": "old"}, "spec": spec})
    assert made.status == 201, made.text
    assert made.json["apiVersion"] == "autoscaling/v1"
    assert made.json["spec"] == {**spec, "minReplicas": 1}
    metric = api("GET", f"{V2}/old").json["spec"]["metrics"][0]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    change = {"spec": {"targetCPUUtilizationPercentage": 70}}
    changed = api("PATCH", f"{V1}/old", change, Content_Type=MERGE)
    assert changed.json["spec"]["targetCPUUtilizationPercentage"] == 70
    metrics = api("GET", f"{V2}/old").json["spec"]["metrics"]
    assert [m["resource"]["target"]["averageUtilization"] for m in metrics] == [70]


def test_what_the_old_form_cannot_say_survives_it(api: Api) -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 9}}
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 3, "metrics": [_memory(60)],
            "behavior": behavior}  # fmt: skip
    new = api("POST", V2, {"metadata": {"name": "new"}, "spec": spec}).json
    seen = api("GET", f"{V1}/new").json
    assert "metrics" not in seen["spec"]
    seen["spec"]["maxReplicas"] = 4
    assert api("PUT", f"{V1}/new", seen).status == 200
    after = api("GET", f"{V2}/new").json
    assert after["spec"] == {**new["spec"], "maxReplicas": 4}
    assert "annotations" not in after["metadata"]
    listed = [item for item in api("GET", V1).json["items"] if item["metadata"]["name"] == "new"]
    assert listed[0]["apiVersion"] == "autoscaling/v1"


def test_an_event_has_two_names_for_everything(api: Api, kubectl: Kubectl) -> None:
    regarding = {"apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "p"}
    event = {
        "metadata": {"name": "seen"}, "regarding": regarding, "note": "hello", "type": "Normal",
        "reason": "Greeted", "action": "Greet", "reportingController": "tests.example/c",
        "reportingInstance": "c-1", "eventTime": "2026-01-01T00:00:00.000000Z",
    }  # fmt: skip
    made = api("POST", NEW, event)
    assert made.status == 201, made.text
    core = api("GET", f"{CORE}/seen").json
    assert (core["message"], core["involvedObject"]["name"]) == ("hello", "p")
    assert core["reportingComponent"] == "tests.example/c"
    again = api("GET", f"{NEW}/seen").json
    assert (again["note"], again["regarding"]["name"]) == ("hello", "p")
    assert "message" not in again
    assert "hello" in kubectl("get", "events.v1.events.k8s.io", "seen")
    assert "hello" in kubectl("events", "--for", "pod/p")
