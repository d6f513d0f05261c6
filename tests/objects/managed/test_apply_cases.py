"""Server-side apply: the pure parts of cases 69-97 of spec/embedded-cluster.md 14."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from trimtab.objects.managed import ApplyConflict, BadApply, apply_config, remove_managed_fields
from trimtab.objects.managed.scale import apply_scale, scale_entries, track_scale


def config(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    out: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", **metadata},
    }
    return out if spec is None else {**out, "spec": spec}


def pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": list(containers), **more}}}


def containers(server: Any) -> Any:
    return server.spec["template"]["spec"]["containers"]


def test_69_apply_creates_what_is_not_there(server: Any) -> None:
    out = server.apply("git", config({"replicas": 1}))
    assert out["spec"] == {"replicas": 1}
    assert server.fields("git") == [".spec.replicas"]


def test_70_apply_again_is_nothing_even_over_defaults(server: Any, manifest: Any) -> None:
    server.apply("git", manifest())
    live = deepcopy(server.live)
    live["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    server.live = live
    assert server.apply("git", manifest()) is live


def test_71_one_conflict_names_the_field(server: Any, manifest: Any) -> None:
    server.apply("git", manifest())
    with pytest.raises(ApplyConflict) as caught:
        server.apply("other", config(pod({"name": "c", "image": "b:2"})))
    assert caught.value.status_message() == (
        'Apply failed with 1 conflict: conflict with "git": '
        '.spec.template.spec.containers[name="c"].image'
    )
    assert caught.value.reason == "Conflict"


def test_72_many_conflicts_are_listed_by_manager_and_path(server: Any) -> None:
    server.apply("zed", config({"replicas": 1, "paused": True}))
    server.change("kubectl-edit", {"metadata": {"labels": {"a": "1"}}})
    wanted = config({"replicas": 2, "paused": False}, labels={"a": "2"})
    with pytest.raises(ApplyConflict) as caught:
        server.apply("git", wanted)
    assert caught.value.status_message() == (
        "Apply failed with 3 conflicts: "
        'conflicts with "kubectl-edit" using apps/v1:\n'
        "- .metadata.labels.a\n"
        'conflicts with "zed":\n'
        "- .spec.paused\n"
        "- .spec.replicas"
    )
    assert [cause["field"] for cause in caught.value.causes()] == [
        ".metadata.labels.a",
        ".spec.paused",
        ".spec.replicas",
    ]


def test_73_force_takes_only_what_is_contested(server: Any) -> None:
    server.apply("zed", config({"replicas": 1, "paused": True}))
    server.apply("git", config({"replicas": 2}), force=True)
    assert server.fields("zed") == [".spec.paused"]
    assert server.fields("git") == [".spec.replicas"]


def test_74_the_same_value_is_shared(server: Any) -> None:
    server.apply("a", config({"replicas": 1}))
    server.apply("b", config({"replicas": 1}))
    assert server.fields("a") == server.fields("b") == [".spec.replicas"]
    server.apply("a", config())
    assert server.spec == {"replicas": 1}
    assert server.entry("a") is None


def test_75_a_field_left_out_is_removed_with_the_defaults_inside_it(server: Any) -> None:
    server.apply("git", config(pod({"name": "c", "livenessProbe": {"periodSeconds": 5}})))
    live = deepcopy(server.live)
    live["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["timeoutSeconds"] = 1
    server.live = live
    server.apply("git", config(pod({"name": "c"})))
    assert containers(server) == [{"name": "c"}]


def test_75_an_unowned_neighbour_stays(server: Any) -> None:
    server.apply("git", config({"replicas": 1, "paused": True}))
    server.live = {**server.live, "spec": {**server.spec, "strategy": {"type": "Recreate"}}}
    server.apply("git", config({"replicas": 1}))
    assert server.spec == {"replicas": 1, "strategy": {"type": "Recreate"}}


def test_76_a_co_owned_item_stays(server: Any) -> None:
    server.apply("a", config(pod({"name": "c", "image": "x"}, {"name": "d"})))
    server.apply("b", config(pod({"name": "c"})))
    server.apply("a", config(pod({"name": "d"})))
    assert containers(server) == [{"name": "c"}, {"name": "d"}]


def test_77_an_item_goes_with_leaves_of_others_who_do_not_own_it(server: Any) -> None:
    server.apply("git", config(pod({"name": "c", "image": "x"}, {"name": "d"})))
    edited = deepcopy(server.live)
    edited["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    server.write("edit", edited)
    leaf = '.spec.template.spec.containers[name="c"].imagePullPolicy'
    assert server.fields("edit") == [leaf]
    server.apply("git", config(pod({"name": "d"})))
    assert containers(server) == [{"name": "d"}]
    assert server.entry("edit") is None


def test_78_items_of_a_set_have_their_own_owners(server: Any) -> None:
    server.apply("a", config(finalizers=["x", "y"]))
    server.apply("b", config(finalizers=["y", "z"]))
    assert server.live["metadata"]["finalizers"] == ["x", "y", "z"]
    assert server.fields("a") == ['.metadata.finalizers[="x"]', '.metadata.finalizers[="y"]']
    server.apply("a", config(finalizers=["x"]))
    assert server.live["metadata"]["finalizers"] == ["x", "y", "z"]
    server.apply("b", config(finalizers=["z"]))
    assert server.live["metadata"]["finalizers"] == ["x", "z"]


def test_79_an_atomic_list_is_one_field(server: Any) -> None:
    server.apply("a", config(pod({"name": "c", "args": ["1", "2"]})))
    with pytest.raises(ApplyConflict) as caught:
        server.apply("b", config(pod({"name": "c", "args": ["1"]})))
    assert caught.value.causes()[0]["field"] == '.spec.template.spec.containers[name="c"].args'


def test_80_an_atomic_map_is_one_field(server: Any) -> None:
    server.apply("a", config({"selector": {"matchLabels": {"x": "1"}}}))
    assert server.fields("a") == [".spec.selector"]
    server.apply("a", config({"selector": {"matchLabels": {"y": "1"}}}))
    assert server.spec["selector"] == {"matchLabels": {"y": "1"}}


def test_81_ports_without_protocol_are_tcp_ports(server: Any) -> None:
    ports = [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]
    server.apply("git", config(pod({"name": "c", "ports": ports})))
    where = '.spec.template.spec.containers[name="c"].ports'
    assert f'{where}[containerPort=53,protocol="TCP"]' in server.fields("git")
    assert f'{where}[containerPort=53,protocol="UDP"].protocol' in server.fields("git")
    tcp = [{"containerPort": 53, "protocol": "TCP", "name": "dns"}]
    server.apply("other", config(pod({"name": "c", "ports": tcp})))
    assert containers(server)[0]["ports"] == [
        {"containerPort": 53, "protocol": "TCP", "name": "dns"},
        {"containerPort": 53, "protocol": "UDP"},
    ]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"image": "x"}, "omits all key fields"),
        (None, "may not have a null element"),
        ("c", "may not have non-map elements"),
    ],
)
def test_82_an_item_without_its_key_is_refused(server: Any, item: Any, words: str) -> None:
    with pytest.raises(BadApply, match=words):
        server.apply("git", config(pod(item)))


def test_83_two_items_of_one_key_are_refused(server: Any) -> None:
    with pytest.raises(BadApply, match=r'containers: duplicate entries for key \[name="c"\]'):
        server.apply("git", config(pod({"name": "c"}, {"name": "c"})))


def test_an_undeclared_field_is_refused(server: Any) -> None:
    with pytest.raises(BadApply, match=r"\.spec\.replcas: field not declared in schema"):
        server.apply("git", config({"replcas": 1}))


def test_84_managed_fields_in_the_configuration_are_refused(server: Any) -> None:
    with pytest.raises(BadApply, match="managedFields must be nil"):
        server.apply("git", config(managedFields=[{}]))


def test_87_status_is_applied_apart(server: Any) -> None:
    server.apply("git", config({"replicas": 1}))
    status = {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]}
    body = {**config({"replicas": 9}), "status": status}
    server.apply("ctrl", body, subresource="status")
    assert server.spec == {"replicas": 1}
    assert server.live["status"] == status
    assert all(path.startswith(".status") for path in server.fields("ctrl", "status"))
    server.apply("git", {**config({"replicas": 1}), "status": {"replicas": 7}})
    assert server.live["status"] == status
    assert server.fields("git") == [".spec.replicas"]


def test_88_the_first_apply_over_an_untracked_object_keeps_a_previous_owner(server: Any) -> None:
    server.live = {**config({"replicas": 1}), "status": {"replicas": 1}}
    server.apply("git", config({"replicas": 1, "paused": True}))
    assert server.fields("before-first-apply") == [".spec.replicas"]
    assert server.fields("git") == [".spec.paused", ".spec.replicas"]
    entry = server.entry("before-first-apply")
    assert entry["operation"] == "Update"


def test_89_old_update_entries_collapse(server: Any) -> None:
    server.apply("git", config({"replicas": 1}))
    for n in range(12):
        server.change(f"m{n:02}", {"metadata": {"labels": {f"k{n}": "v"}}})
    entries = server.live["metadata"]["managedFields"]
    updates = [entry["manager"] for entry in entries if entry["operation"] == "Update"]
    assert len(updates) == 10
    assert set(updates) == {"ancient-changes", *(f"m{n:02}" for n in range(3, 12))}
    assert set(server.fields("ancient-changes")) == {
        ".metadata.labels",
        *(f".metadata.labels.k{n}" for n in range(3)),
    }
    assert server.entry("git") is not None


@pytest.mark.parametrize("entries", [[], [{}]])
def test_90_entries_can_be_cleared(server: Any, entries: Any) -> None:
    server.apply("git", config({"replicas": 1}))
    server.change("edit", {"metadata": {"managedFields": entries}})
    assert "managedFields" not in server.live["metadata"]
    server.change("edit", {"spec": {"replicas": 2}})
    assert "managedFields" not in server.live["metadata"]
    server.apply("git", config({"replicas": 2}))
    assert server.fields("before-first-apply") == [".spec.replicas"]


def test_92_client_side_entries_can_be_rewritten_by_a_client(server: Any) -> None:
    server.write("kubectl-client-side-apply", config({"replicas": 1}, annotations={"last": "{}"}))
    entries = deepcopy(server.live["metadata"]["managedFields"])
    entries[0] |= {"manager": "kubectl", "operation": "Apply"}
    server.change("kubectl", {"metadata": {"managedFields": entries}})
    assert server.entry("kubectl-client-side-apply") is None
    server.apply("kubectl-last-applied", config(annotations={"last": "{}"}))
    server.apply("kubectl", config({"replicas": 1, "paused": True}))
    assert server.live["metadata"]["annotations"] == {"last": "{}"}
    assert server.fields("kubectl") == [".spec.paused", ".spec.replicas"]
    assert server.fields("kubectl-last-applied") == [".metadata.annotations.last"]


def test_93_an_autoscaler_and_git_share_replicas(server: Any, schema: Any) -> None:
    server.apply("git", config({"replicas": 2}))
    server.live = track_scale(server.live, 5, manager="hpa", schema=schema, now="t")
    assert server.spec["replicas"] == 5
    assert server.entry("git") is None
    assert scale_entries(server.live)[0]["apiVersion"] == "autoscaling/v1"
    with pytest.raises(ApplyConflict):
        apply_scale(server.live, 7, manager="x", schema=schema, now="t")
    server.live = apply_scale(server.live, 7, manager="x", force=True, schema=schema, now="t")
    assert server.fields("x", "scale") == [".spec.replicas"]
    assert server.entry("hpa", "scale") is None


def test_94_one_applier_at_two_versions_is_one_entry(server: Any) -> None:
    server.apply("git", config({"replicas": 1, "paused": True}))
    server.apply("git", {**config({"replicas": 1}), "apiVersion": "apps/v2"})
    assert server.spec == {"replicas": 1}
    assert [e["apiVersion"] for e in server.live["metadata"]["managedFields"]] == ["apps/v2"]


def test_95_without_a_schema_maps_are_granular_and_lists_atomic(build: Any) -> None:
    free = build.leaf("object", preserve_unknown=True)
    schema = build.struct(
        {
            "apiVersion": build.leaf(),
            "kind": build.leaf(),
            "metadata": build.metadata(),
            "spec": free,
        }
    )
    server = build.Server(schema)
    body = {"apiVersion": "x.io/v1", "kind": "X", "metadata": {"name": "x"}}
    server.apply("a", {**body, "spec": {"m": {"k": 1}, "l": [{"name": "i"}]}})
    assert server.fields("a") == [".spec.l", ".spec.m", ".spec.m.k"]
    server.apply("b", {**body, "spec": {"m": {"j": 2}}})
    assert server.spec == {"m": {"k": 1, "j": 2}, "l": [{"name": "i"}]}
    server.apply("a", {**body, "spec": {}})
    assert server.spec == {"m": {"j": 2}}


def test_96_a_default_that_is_applied_later_is_owned_and_then_released(server: Any) -> None:
    server.apply("git", config(pod({"name": "c"})))
    server.live = {**server.live, "spec": {**server.spec, "replicas": 1}}
    server.apply("git", config({"replicas": 1, **pod({"name": "c"})}))
    assert ".spec.replicas" in server.fields("git")
    server.apply("git", config(pod({"name": "c"})))
    assert "replicas" not in server.spec


def test_a_null_takes_a_field_away_and_is_owned(server: Any) -> None:
    server.apply("git", config({"replicas": 3}))
    server.apply("git", config({"replicas": None}))
    assert server.spec == {}
    assert server.fields("git") == [".spec.replicas"]
    before = server.live
    assert server.apply("git", config({"replicas": None})) is before


def test_the_time_moves_only_with_a_change(server: Any) -> None:
    server.apply("git", config({"replicas": 1}))
    server.change("edit", {"spec": {"paused": True}})
    assert server.entry("git")["time"].endswith("00Z")
    server.apply("git", config({"replicas": 1}))
    assert server.entry("git")["time"].endswith("00Z")
    server.apply("git", config({"replicas": 2}))
    assert server.entry("git")["time"].endswith("03Z")
    assert server.entry("edit")["time"].endswith("01Z")


def test_config_order_decides_over_live_order(server: Any) -> None:
    server.apply("git", config(pod(*({"name": n} for n in "abc"))))
    server.apply("other", config(pod({"name": "x"})))
    server.apply("git", config(pod(*({"name": n} for n in "cab"))))
    # A foreign item follows the shared one it stood behind.
    assert [c["name"] for c in containers(server)] == ["c", "x", "a", "b"]


def test_unreadable_entries_count_as_none(server: Any, schema: Any) -> None:
    live = config({"replicas": 1}, managedFields=[{"manager": "x", "operation": "Walk"}])
    out = apply_config(live, config({"replicas": 1}), manager="git", schema=schema, now="t")
    names = [entry["manager"] for entry in out["metadata"]["managedFields"]]
    assert names == ["git", "before-first-apply"]
    assert remove_managed_fields(out)["metadata"] == {"name": "d"}


def test_a_set_from_before_a_map_became_atomic_still_conflicts(server: Any) -> None:
    server.apply("old", config({"selector": {"matchLabels": {"x": "1"}}}))
    live = deepcopy(server.live)
    entry = live["metadata"]["managedFields"][0]
    entry["fieldsV1"] = {"f:spec": {"f:selector": {"f:matchLabels": {"f:x": {}}}}}
    server.live = live
    with pytest.raises(ApplyConflict, match=r"\.spec\.selector$"):
        server.apply("new", config({"selector": {"matchLabels": {"y": "1"}}}))
