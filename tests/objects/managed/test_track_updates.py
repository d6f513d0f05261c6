"""Who owns what after creates, updates and patches (spec/embedded-cluster.md 8.1), and which
fields a configuration let go of."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson

from trimtab.objects import GVK
from trimtab.objects.managed import removed_fields, track_update
from trimtab.objects.schemas import SchemaSet


def created(server: Any, manifest: Any) -> dict[str, Any]:
    out: dict[str, Any] = server.write("kubectl-create", manifest())
    return out


def test_a_creator_owns_new_maps_too_but_not_those_always_there() -> None:
    schema = SchemaSet.load().get(GVK("apps", "v1", "Deployment"))
    assert schema is not None
    container = {"name": "c", "image": "a", "resources": {}, "ports": [{"containerPort": 80}]}
    new = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "uid": "u", "generation": 1, "labels": {"a": "b"}},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [container], "securityContext": {}},
            },
        },
    }
    out = track_update(None, new, manager="kubectl-create", schema=schema, now="t")
    (entry,) = out["metadata"]["managedFields"]
    assert orjson.dumps(entry["fieldsV1"]).decode() == (
        '{"f:metadata":{"f:labels":{".":{},"f:a":{}}},'
        '"f:spec":{"f:selector":{},'
        '"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}},"f:type":{}},'
        '"f:template":{"f:metadata":{"f:labels":{".":{},"f:a":{}}},'
        '"f:spec":{"f:containers":{"k:{\\"name\\":\\"c\\"}":{".":{},"f:image":{},"f:name":{},'
        '"f:ports":{".":{},"k:{\\"containerPort\\":80,\\"protocol\\":\\"TCP\\"}":'
        '{".":{},"f:containerPort":{}}},"f:resources":{}}},"f:securityContext":{}}}}}'
    )


def test_a_writer_takes_what_it_changes_from_everybody(server: Any, manifest: Any) -> None:
    created(server, manifest)
    server.change("edit", {"spec": {"replicas": 7}})
    assert server.fields("edit") == [".spec.replicas"]
    assert ".spec.replicas" not in server.fields("kubectl-create")
    assert server.entry("kubectl-create")["time"].endswith("00Z")


def test_what_is_removed_is_owned_by_nobody(server: Any, manifest: Any) -> None:
    created(server, manifest)
    server.change("edit", {"spec": {"replicas": None}})
    assert server.entry("edit") is None
    assert ".spec.replicas" not in server.fields("kubectl-create")


def test_a_write_that_changes_nothing_returns_the_object_itself(server: Any, manifest: Any) -> None:
    live = created(server, manifest)
    assert server.write("other", live) is live
    assert server.write("other", deepcopy(live)) == live


def test_entries_absent_from_a_put_stay(server: Any, manifest: Any) -> None:
    created(server, manifest)
    server.write("put", manifest(replicas=3))
    assert server.fields("put") == [".spec.replicas"]
    assert server.entry("kubectl-create") is not None


def test_invalid_entries_in_a_put_are_dropped_for_the_old_ones(server: Any, manifest: Any) -> None:
    live = created(server, manifest)
    broken = deepcopy(live)
    broken["metadata"]["managedFields"] = [{"manager": "x", "operation": "Walk"}]
    server.write("put", broken)
    assert server.live["metadata"]["managedFields"] == live["metadata"]["managedFields"]


def test_entries_cannot_be_edited_through_a_subresource(server: Any, manifest: Any) -> None:
    live = created(server, manifest)
    server.change("x", {"metadata": {"managedFields": [{}]}}, subresource="status")
    assert server.live["metadata"]["managedFields"] == live["metadata"]["managedFields"]


def test_status_is_tracked_apart_from_the_rest(server: Any, manifest: Any) -> None:
    created(server, manifest)
    server.change("kcm", {"status": {"replicas": 1}}, subresource="status")
    assert server.entry("kcm") is None
    assert server.fields("kcm", "status") == [".status", ".status.replicas"]


def test_an_object_without_entries_is_not_tracked(server: Any, manifest: Any) -> None:
    server.live = manifest()
    server.change("edit", {"spec": {"replicas": 7}})
    assert "managedFields" not in server.live["metadata"]


def test_one_manager_has_one_entry_a_version_and_subresource(server: Any, manifest: Any) -> None:
    created(server, manifest)
    for n in range(3, 6):
        server.change("edit", {"spec": {"replicas": n}})
    assert server.entry("edit")["time"].endswith("03Z")
    server.change("edit", {"apiVersion": "apps/v2", "spec": {"paused": True}})
    versions = [
        entry["apiVersion"]
        for entry in server.live["metadata"]["managedFields"]
        if entry["manager"] == "edit"
    ]
    assert versions == ["apps/v1", "apps/v2"]


def test_a_field_that_left_the_configuration_is_named(
    server: Any, manifest: Any, schema: Any
) -> None:
    config = manifest(paused=True)
    server.apply("git", config)
    owned = server.entry("git")["fieldsV1"]
    assert removed_fields(owned, config, schema) == []
    desired = manifest(replicas=None, ports=False)
    where = '.spec.template.spec.containers[name="c"].ports'
    assert removed_fields(owned, desired, schema) == [".spec.paused", ".spec.replicas", where]


def test_more_than_was_owned_is_no_removal(server: Any, manifest: Any, schema: Any) -> None:
    server.apply("git", manifest(ports=False))
    assert removed_fields(server.entry("git")["fieldsV1"], manifest(paused=True), schema) == []


def test_entries_are_sorted_appliers_first_then_by_time(server: Any, manifest: Any) -> None:
    created(server, manifest)
    server.apply("zed", manifest())
    server.apply("abc", manifest())
    names = [entry["manager"] for entry in server.live["metadata"]["managedFields"]]
    assert names == ["zed", "abc", "kubectl-create"]
