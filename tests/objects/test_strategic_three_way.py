"""Three-way merge: what client-side apply and Helm's upgrades do."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.objects import GVK, UNTYPED
from trimtab.objects.merge_patch import apply_merge_patch, diff, drop_nulls
from trimtab.objects.patch_errors import BadPatch
from trimtab.objects.same import same
from trimtab.objects.schemas import SchemaSet
from trimtab.objects.three_way import three_way

FOUND = SchemaSet.load().get(GVK("apps", "v1", "Deployment"))
assert FOUND is not None
SCHEMA = FOUND


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {**spec, "template": {"spec": {"containers": list(containers)}}}}


def merged(original: Any, modified: Any, current: Any) -> dict[str, Any]:
    before = deepcopy((original, modified, current))
    out = three_way(original, modified, current, SCHEMA)
    assert (original, modified, current) == before
    return out


def names(obj: dict[str, Any]) -> str:
    return "".join(item["name"] for item in obj["spec"]["template"]["spec"]["containers"])


def test_what_others_set_stays_and_what_was_dropped_goes() -> None:
    original = pod({"name": "a", "image": "1"}, replicas=1, paused=True)
    modified = pod({"name": "a", "image": "2"}, replicas=1)
    current = pod(
        {"name": "a", "image": "1", "imagePullPolicy": "Always"}, replicas=5, paused=True, x=1
    )
    expected = pod({"name": "a", "image": "2", "imagePullPolicy": "Always"}, replicas=1, x=1)
    assert merged(original, modified, current) == expected


def test_a_dropped_item_goes_and_an_injected_one_stays() -> None:
    original = pod({"name": "a"}, {"name": "b"})
    current = pod({"name": "a"}, {"name": "b"}, {"name": "sidecar"})
    assert names(merged(original, pod({"name": "a"}), current)) == "asidecar"


def test_the_order_is_that_of_the_configuration() -> None:
    original = pod({"name": "a"}, {"name": "b"})
    out = merged(original, pod({"name": "b"}, {"name": "a"}), original)
    assert names(out) == "ba"


def test_a_change_of_strategy_drops_the_parameters_of_the_old_one() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}
    out = merged(
        {"spec": {}}, {"spec": {"strategy": {"type": "Recreate"}}}, {"spec": {"strategy": rolling}}
    )
    assert out == {"spec": {"strategy": {"type": "Recreate"}}}


def test_an_unchanged_strategy_keeps_its_defaults() -> None:
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    wanted = {"spec": {"strategy": {"type": "RollingUpdate"}}}
    assert merged(wanted, wanted, current) is current


def test_scalars_of_a_merged_list_come_and_go_alone() -> None:
    out = merged(
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"finalizers": ["b", "c"]}},
        {"metadata": {"finalizers": ["a", "b", "foreign"]}},
    )
    assert sorted(out["metadata"]["finalizers"]) == ["b", "c", "foreign"]


def test_an_item_without_its_key_is_refused() -> None:
    with pytest.raises(BadPatch):
        merged({}, pod({"image": "x"}), pod({"name": "a"}))


def test_custom_resources_merge_by_map() -> None:
    out = three_way(
        {"spec": {"a": 1, "l": [1]}},
        {"spec": {"b": 2, "l": [2]}},
        {"spec": {"a": 1, "l": [1, 9], "c": 3}},
        UNTYPED,
    )
    assert out == {"spec": {"b": 2, "l": [2], "c": 3}}


LEAVES = st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2)
TREES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@given(OBJECTS, OBJECTS)
def test_nothing_live_but_the_last_becomes_what_is_wanted(last: Any, wanted: Any) -> None:
    assert same(three_way(last, wanted, last, UNTYPED), wanted)


@given(OBJECTS, OBJECTS, OBJECTS)
def test_a_second_time_changes_nothing(last: Any, wanted: Any, live: Any) -> None:
    once = three_way(last, wanted, live, UNTYPED)
    assert three_way(wanted, wanted, once, UNTYPED) is once


@given(OBJECTS, OBJECTS, OBJECTS)
def test_without_lists_of_keys_it_is_two_merge_patches(last: Any, wanted: Any, live: Any) -> None:
    """Set what is wanted over what is left once the dropped fields are gone."""
    dropped = drop_values(diff(last, wanted))
    expected = apply_merge_patch(apply_merge_patch(live, dropped), wanted)
    assert same(drop_nulls(three_way(last, wanted, live, UNTYPED)), tidy(expected, wanted, live))


def drop_values(patch: Any) -> Any:
    """Only the deletions of a merge patch."""
    if not isinstance(patch, dict):
        return {}
    return {k: None if v is None else drop_values(v) for k, v in patch.items() if not_value(v)}


def not_value(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def tidy(expected: Any, wanted: Any, live: Any) -> Any:
    """A deletion below what is not there makes no map."""
    if not isinstance(expected, dict):
        return expected
    return {
        k: tidy(
            v,
            wanted.get(k) if isinstance(wanted, dict) else None,
            live.get(k) if isinstance(live, dict) else None,
        )
        for k, v in expected.items()
        if (isinstance(wanted, dict) and k in wanted) or (isinstance(live, dict) and k in live)
    }
