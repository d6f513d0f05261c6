"""Every row of spec/embedded-cluster.md 8.2, on the same Deployment."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from trimtab.objects.managed import ApplyConflict


def scale(server: Any, replicas: int) -> None:
    """What the scale endpoint does: the object with new replicas, written as subresource."""
    server.change("hpa", {"spec": {"replicas": replicas}}, subresource="scale")


@pytest.fixture
def applied(server: Any, manifest: Any) -> Any:
    server.apply("git", manifest())
    return server


def test_stores_the_entry_of_the_specification(applied: Any) -> None:
    assert applied.entry("git") == {
        "manager": "git",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": orjson.loads(
            r"""{"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{
            "f:metadata":{"f:labels":{"f:app":{}}},
            "f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{},
            "f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},
            "f:containerPort":{}}}}}}}}}"""
        ),
    }


def test_same_body_again_changes_nothing(applied: Any, manifest: Any) -> None:
    before = applied.live
    assert applied.apply("git", manifest()) is before


def test_scale_moves_the_field_to_the_autoscaler(applied: Any) -> None:
    scale(applied, 5)
    assert applied.spec["replicas"] == 5
    assert applied.entry("hpa", "scale") == {
        "manager": "hpa",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-01-01T00:00:01Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
        "subresource": "scale",
    }
    assert ".spec.replicas" not in applied.fields("git")
    assert applied.entry("git")["time"] == "2026-01-01T00:00:00Z"


def test_applying_the_old_number_is_a_conflict(applied: Any, manifest: Any) -> None:
    scale(applied, 5)
    with pytest.raises(ApplyConflict) as caught:
        applied.apply("git", manifest())
    who = 'conflict with "hpa" with subresource "scale" using apps/v1'
    assert caught.value.status_message() == f"Apply failed with 1 conflict: {who}: .spec.replicas"
    assert caught.value.causes() == [
        {"reason": "FieldManagerConflict", "message": who, "field": ".spec.replicas"}
    ]


def test_applying_the_live_number_shares_the_field(applied: Any, manifest: Any) -> None:
    scale(applied, 5)
    applied.apply("git", manifest(replicas=5))
    assert ".spec.replicas" in applied.fields("git")
    assert applied.fields("hpa", "scale") == [".spec.replicas"]


def test_leaving_the_number_out_keeps_the_autoscalers(applied: Any, manifest: Any) -> None:
    scale(applied, 5)
    applied.apply("git", manifest(replicas=5))
    applied.apply("git", manifest(replicas=None))
    assert applied.spec["replicas"] == 5
    assert ".spec.replicas" not in applied.fields("git")


def test_leaving_the_port_out_removes_it(applied: Any, manifest: Any) -> None:
    applied.apply("git", manifest(ports=False))
    assert applied.spec["template"]["spec"]["containers"] == [{"name": "c", "image": "a:1"}]


def test_a_co_owned_container_stays_without_the_leaves_of_who_left(
    applied: Any, manifest: Any
) -> None:
    other = manifest()
    env = [{"name": "A", "value": "1"}]
    other["spec"] = {"template": {"spec": {"containers": [{"name": "c", "env": env}]}}}
    applied.apply("other", other)
    assert '.spec.template.spec.containers[name="c"]' in applied.fields("other")

    without = manifest()
    without["spec"]["template"]["spec"] = {"restartPolicy": "Always"}
    applied.apply("git", without)
    assert applied.spec["template"]["spec"]["containers"] == [{"name": "c", "env": env}]


def test_force_takes_the_field_and_the_empty_entry_goes(applied: Any, manifest: Any) -> None:
    scale(applied, 5)
    applied.apply("git", manifest(replicas=3), force=True)
    assert applied.spec["replicas"] == 3
    assert applied.entry("hpa", "scale") is None
    assert ".spec.replicas" in applied.fields("git")
