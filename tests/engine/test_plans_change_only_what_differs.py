"""The planner: laws, order, and the invariants of ARCHITECTURE 3.1."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.engine import (
    STAGES,
    WAVES,
    Desired,
    Placement,
    Policy,
    diff,
    plan,
    sendable,
    stage_of,
)
from trimtab.objects import GVK, ObjectKey, Schema, SchemaSet, apply_defaults, gvk_of, key_of
from trimtab.objects.managed import set_of

SCHEMAS = SchemaSet.load()
MANAGER = "us"


class Live(msgspec.Struct, frozen=True):
    obj: dict[str, Any]
    fields: dict[str, Any] | None = None
    uid: str = "u1"

    def owned(self, manager: str) -> dict[str, Any] | None:
        return self.fields if manager == MANAGER else None


def schema_of(gvk: GVK) -> Schema | None:
    return SCHEMAS.get(gvk)


def stored(obj: dict[str, Any]) -> Live:
    """As a server keeps it after our apply: defaults, status, server's metadata."""
    gvk = gvk_of(obj)
    schema = schema_of(gvk)
    sent = sendable(obj, schema)
    full = apply_defaults(sent, gvk, schema)
    full["metadata"] = {
        **full["metadata"],
        "uid": "u1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    full["status"] = {"observedGeneration": 1}
    owned = set_of({k: sent[k] for k in ("spec", "data") if k in sent}, schema or Schema())
    return Live(full, owned.to_v1())


def deployment(name: str = "web", image: str = "web:1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": image,
                            "ports": [{"containerPort": 80}],
                            "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
                        }
                    ]
                },
            },
            **spec,
        },
    }


def config(name: str, data: dict[str, str] | None = None, kind: str = "ConfigMap") -> Any:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "ns"},
        "data": data or {"a": "b"},
    }


def make(desired: list[Any], live: list[Live], **more: Any) -> Any:
    policy = more.pop("policy", Policy(prune=True))
    whole = more.pop("whole", True)
    return plan(
        Desired(tuple(desired), whole=whole),
        {key_of(each.obj): each for each in live},
        owned=[key_of(each.obj) for each in live],
        manager=MANAGER,
        policy=policy,
        schema_of=schema_of,
        **more,
    )


def test_an_object_as_the_server_stored_it_needs_nothing() -> None:
    wanted = deployment()
    assert diff(wanted, stored(wanted).obj, schema=schema_of(gvk_of(wanted))) == []
    assert not make([wanted], [stored(wanted)])


def test_a_changed_image_is_one_difference_named_by_its_container() -> None:
    found = make([deployment(image="web:2")], [stored(deployment())])
    assert [(s.kind, s.reason) for s in found.steps] == [
        (
            "apply",
            ".spec.template.spec.containers[name=\"c\"].image: 'web:1' -> 'web:2'",
        )
    ]


def test_a_field_that_git_does_not_mention_is_no_difference() -> None:
    live = stored(deployment())
    scaled = copy.deepcopy(live.obj)
    scaled["spec"]["replicas"] = 9
    scaled["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    scaled["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    assert not make([deployment()], [Live(scaled, live.fields)])


def test_a_field_we_applied_and_git_no_longer_has_is_a_difference() -> None:
    live = stored(deployment(replicas=3))
    found = make([deployment()], [live])
    assert [step.reason.split(":")[0] for step in found.steps] == [".spec.replicas"]


def test_values_of_secrets_are_masked_where_they_become_text() -> None:
    old = config("s", {"password": "aHVudGVyMg=="}, "Secret")
    new = config("s", {"password": "c2VjcmV0"}, "Secret")
    found = make([new], [stored(old)])
    assert found.steps[0].reason == ".data.password: ++++++++ -> ++++++++"
    assert "aHVudGVyMg" not in repr(diff(new, stored(old).obj))


def test_string_data_equals_the_data_it_becomes() -> None:
    wanted = config("s", None, "Secret")
    del wanted["data"]
    wanted["stringData"] = {"password": "hunter2"}
    there = config("s", {"password": "aHVudGVyMg=="}, "Secret")
    assert diff(wanted, stored(there).obj, schema=schema_of(gvk_of(wanted))) == []


def test_what_is_no_longer_desired_is_pruned_in_reverse_order_after_what_is_written() -> None:
    found = make(
        [config("new")], [stored(deployment()), stored(config("old")), stored(config("new"))]
    )
    assert [(s.kind, s.key.kind, s.key.name) for s in found.steps] == [
        ("delete", "Deployment", "web"),
        ("delete", "ConfigMap", "old"),
    ]
    assert all(step.uid == "u1" for step in found.deletes)


def test_nothing_is_pruned_when_the_render_is_not_whole() -> None:
    found = make([config("a")], [stored(deployment())], whole=False)
    assert found.steps == ()
    assert found.blocked == "the desired state is not complete"


def test_an_empty_render_prunes_nothing_without_permission() -> None:
    live = [stored(deployment()), stored(config("a"))]
    assert make([], live).deletes == ()
    assert "empty" in make([], live).blocked
    allowed = make([], live, policy=Policy(prune=True, allow_empty=True))
    assert len(allowed.deletes) == 2


def test_nothing_is_pruned_when_pruning_is_off_and_it_is_said() -> None:
    found = make([config("a")], [stored(config("old"))], policy=Policy())
    assert found.deletes == ()
    assert [(skip.key.name, skip.reason) for skip in found.skipped] == [("old", "pruning is off")]


def test_an_object_that_asks_to_be_kept_is_not_pruned() -> None:
    found = make([config("a")], [stored(config("old"))], keep=lambda _obj: "it says so")
    assert found.deletes == ()
    assert found.skipped[0].reason == "it says so"


def test_an_object_that_is_going_already_is_not_deleted_again() -> None:
    there = stored(config("old"))
    there.obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert make([config("a")], [stored(config("a")), there]).steps == ()


def test_namespaces_come_before_their_content_and_definitions_before_instances() -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.io"},
    }
    widget = {
        "apiVersion": "example.io/v1",
        "kind": "Secret",
        "metadata": {"name": "a", "namespace": "ns"},
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}
    for order in (WAVES, STAGES):
        found = make([widget, deployment(), crd, space], [], order=order)
        kinds = [step.key.kind for step in found.steps]
        groups = [step.key.group for step in found.steps]
        assert kinds.index("Namespace") < kinds.index("Deployment")
        assert groups.index("apiextensions.k8s.io") < groups.index("example.io")


def test_turns_are_separated_by_waits() -> None:
    found = make(
        [config("late"), config("early")],
        [],
        place=lambda obj: Placement(0, 5 if obj["metadata"]["name"] == "late" else -1),
    )
    assert [(s.kind, s.key.name, s.wave) for s in found.steps] == [
        ("create", "early", -1),
        ("wait", "early", -1),
        ("create", "late", 5),
    ]


def test_stages_put_definitions_first_and_classes_second() -> None:
    names = ["Namespace", "ClusterRole", "IngressClass", "Deployment"]
    groups = {"ClusterRole": "rbac.authorization.k8s.io/v1", "IngressClass": "networking.k8s.io/v1"}
    objs = [
        {"apiVersion": groups.get(n, "v1"), "kind": n, "metadata": {"name": "x"}} for n in names
    ]
    assert [stage_of(obj) for obj in objs] == [0, 0, 1, 2]


def test_an_item_of_an_atomic_list_gets_its_defaults_before_it_is_compared() -> None:
    wanted = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": "ns"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 70},
                    },
                }
            ],
        },
    }
    assert not make([wanted], [stored(wanted)])
    other = copy.deepcopy(wanted)
    other["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] = 50
    assert [s.kind for s in make([other], [stored(wanted)]).steps] == ["apply"]


NAMES = st.sampled_from(["a", "b", "c", "d"])
OBJECTS = st.one_of(
    st.builds(config, NAMES, st.dictionaries(NAMES, st.text(max_size=3), min_size=1)),
    st.builds(
        deployment,
        NAMES,
        st.sampled_from(["i:1", "i:2"]),
        replicas=st.integers(0, 3),
        paused=st.booleans(),
    ),
)
SETS = st.lists(OBJECTS, unique_by=key_of, max_size=6)


@given(SETS)
@settings(max_examples=60, deadline=None)
def test_law_desired_equal_to_live_plans_nothing(objects: list[Any]) -> None:
    assert make(objects, [stored(obj) for obj in objects]).steps == ()


@given(SETS, SETS)
@settings(max_examples=60, deadline=None)
def test_law_planning_again_after_the_plan_was_done_plans_nothing(
    before: list[Any], after: list[Any]
) -> None:
    first = make(after, [stored(obj) for obj in before])
    live = {key_of(obj): stored(obj) for obj in before}
    for step in first.steps:
        if step.kind == "delete":
            del live[step.key]
        elif step.obj is not None:
            live[step.key] = stored(step.obj)
    again = make(after, list(live.values()))
    assert again.steps == ()
    assert set(live) == {key_of(obj) for obj in after} or first.blocked


@given(st.permutations([deployment(n) for n in "abc"] + [config(n) for n in "abc"]))
@settings(max_examples=30, deadline=None)
def test_law_the_order_does_not_depend_on_the_order_of_the_input(objects: list[Any]) -> None:
    steps = make(objects, []).steps
    assert [step.key for step in steps] == sorted((s.key for s in steps), key=WAVES.key)
    assert steps[0].key == ObjectKey("", "ConfigMap", "ns", "a")
