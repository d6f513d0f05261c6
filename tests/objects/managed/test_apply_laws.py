"""What holds of apply for any objects."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trimtab.objects import GVK
from trimtab.objects.managed import (
    BEFORE_FIRST_APPLY,
    ApplyConflict,
    FieldSet,
    apply_config,
    compare,
    merge,
    removed_fields,
    set_of,
    track_update,
)
from trimtab.objects.same import same
from trimtab.objects.schemas import SchemaSet

FOUND = SchemaSet.load().get(GVK("apps", "v1", "Deployment"))
assert FOUND is not None
SCHEMA = FOUND

NAMES = st.sampled_from("abc")
LABELS = st.dictionaries(NAMES, st.sampled_from(["1", "2"]), max_size=3)


def unique(items: st.SearchStrategy[dict[str, Any]], *keys: str) -> st.SearchStrategy[Any]:
    return st.lists(
        items, max_size=3, unique_by=lambda item: tuple(item.get(key, "TCP") for key in keys)
    )


def fields(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


PORTS = unique(
    fields(
        {"containerPort": st.sampled_from([53, 80])},
        protocol=st.sampled_from(["TCP", "UDP"]),
        name=NAMES,
    ),
    "containerPort",
    "protocol",
)
ENV = unique(fields({"name": NAMES}, value=NAMES), "name")
CONTAINERS = unique(
    fields(
        {"name": NAMES},
        image=NAMES,
        args=st.lists(NAMES, max_size=2),
        env=ENV,
        ports=PORTS,
        resources=st.just({}) | st.fixed_dictionaries({"limits": LABELS}),
    ),
    "name",
)
OBJECTS = fields(
    {
        "apiVersion": st.just("apps/v1"),
        "kind": st.just("Deployment"),
        "metadata": fields(
            {"name": st.just("d")},
            labels=LABELS,
            finalizers=st.lists(NAMES, max_size=3, unique=True),
        ),
    },
    spec=fields(
        {},
        replicas=st.integers(0, 2),
        selector=st.fixed_dictionaries({"matchLabels": LABELS}),
        template=fields({}, spec=fields({}, containers=CONTAINERS, nodeSelector=LABELS)),
    ),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["apply", "write"]), st.sampled_from(["m", "n"]), OBJECTS),
    min_size=1,
    max_size=5,
)


def apply(live: Any, config: Any, manager: str = "git", now: str = "t1") -> dict[str, Any]:
    return apply_config(live, config, manager=manager, force=True, schema=SCHEMA, now=now)


def run(steps: Any) -> Any:
    live = None
    for kind, manager, body in steps:
        if kind == "apply":
            live = apply(live, body, manager, "t0")
        else:
            live = track_update(live, body, manager=manager, schema=SCHEMA, now="t0")
    return live


def owned(live: Any, manager: str, operation: str = "Apply") -> FieldSet:
    union = FieldSet()
    for entry in live["metadata"].get("managedFields", []):
        if entry["manager"] == manager and entry["operation"] == operation:
            union = union.union(FieldSet.from_v1(entry["fieldsV1"]))
    return union


@settings(max_examples=80, deadline=None)
@given(STEPS, OBJECTS)
def test_apply_twice_is_apply_once(steps: Any, config: Any) -> None:
    once = apply(run(steps), config)
    # What nobody owns yet gets an owner from the next apply: nothing was claimed here.
    assume("managedFields" in once["metadata"])
    again = apply(once, config, now="t2")
    assert again is once


@settings(max_examples=80, deadline=None)
@given(STEPS, OBJECTS)
def test_no_argument_is_changed(steps: Any, config: Any) -> None:
    live = run(steps)
    before = deepcopy((live, config))
    apply(live, config)
    track_update(live, config, manager="w", schema=SCHEMA, now="t1")
    assert (live, config) == before


@settings(max_examples=80, deadline=None)
@given(STEPS, OBJECTS)
def test_the_result_holds_what_was_applied_and_the_applier_owns_it(steps: Any, config: Any) -> None:
    out = apply(run(steps), config)
    bare = {**out, "metadata": {k: v for k, v in out["metadata"].items() if k != "managedFields"}}
    assert same(merge(bare, config, SCHEMA), bare)
    wanted = [p for p in set_of(config, SCHEMA).paths() if p[0] == "f:spec"]
    assert all(path in owned(out, "git") for path in wanted)
    assert removed_fields(owned(out, "git").to_v1(), config, SCHEMA) == []


@settings(max_examples=80, deadline=None)
@given(STEPS, OBJECTS)
def test_an_apply_either_conflicts_or_takes_nothing_from_others(steps: Any, config: Any) -> None:
    live = run(steps)
    found: ApplyConflict | None = None
    out: dict[str, Any] = {}
    try:
        out = apply_config(live, config, manager="git", schema=SCHEMA, now="t1")
    except ApplyConflict as conflict:
        found = conflict
    if found is not None:
        forced = apply(live, config)
        lost = (
            owned(live, "m")
            .union(owned(live, "m", "Update"))
            .union(owned(live, "n").union(owned(live, "n", "Update")))
        )
        assert all(
            one.elements in lost or one.manager.name == BEFORE_FIRST_APPLY
            for one in found.conflicts
        )
        assert not same(forced, live)
        return
    gone = compare(live, out, SCHEMA).removed
    for manager in "mn":
        for operation in ("Apply", "Update"):
            left = owned(live, manager, operation).difference(gone)
            assert left.issubset(owned(out, manager, operation))


@settings(max_examples=80, deadline=None)
@given(STEPS, OBJECTS)
def test_applying_nothing_takes_back_all_that_was_applied(steps: Any, config: Any) -> None:
    live = run(steps)
    empty = {key: config[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "d"}}
    after = apply(apply(live, config), empty)
    assert not owned(after, "git")
    others = set_of(live, SCHEMA)
    for path in set_of(after, SCHEMA).paths():
        if path[0] == "f:spec":
            assert path in others


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_one_writer_owns_each_changed_leaf(steps: Any) -> None:
    live = run(steps)
    changed = deepcopy(live)
    changed.setdefault("spec", {})["replicas"] = 99
    out = track_update(live, changed, manager="last", schema=SCHEMA, now="t1")
    if "managedFields" not in out["metadata"]:
        return
    at = ("f:spec", "f:replicas")
    holders = [
        entry["manager"]
        for entry in out["metadata"]["managedFields"]
        if at in FieldSet.from_v1(entry["fieldsV1"])
    ]
    assert holders == ["last"]
