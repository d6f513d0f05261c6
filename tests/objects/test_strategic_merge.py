"""Strategic merge patch: spec/embedded-cluster.md 8, cases 58-63, 65 and 68.

`cases/strategic_merge.json` holds made-up objects and patches with what kubectl 1.37 made of them
(`kubectl patch --local --type strategic`), nulls and left-over directives removed.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from trimtab.objects import GVK, UNTYPED, gvk_of
from trimtab.objects.patch_errors import BadPatch
from trimtab.objects.schemas import SchemaSet
from trimtab.objects.strategic import strategic_merge

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "cases" / "strategic_merge.json").read_text()
)
SCHEMAS = SchemaSet.load()
DEPLOYMENT = SCHEMAS.get(GVK("apps", "v1", "Deployment"))
SERVICE = SCHEMAS.get(GVK("", "v1", "Service"))
assert DEPLOYMENT is not None
assert SERVICE is not None


def tidy(value: Any) -> Any:
    """Without what decoding into the server's types drops."""
    if isinstance(value, dict):
        gone = ("$patch", "$retainKeys")
        return {k: tidy(v) for k, v in value.items() if v is not None and v != [] and k not in gone}
    return [tidy(item) for item in value] if isinstance(value, list) else value


def pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers), **more}}}}


def merged(original: dict[str, Any], patch: dict[str, Any], **options: Any) -> dict[str, Any]:
    before = deepcopy((original, patch))
    assert DEPLOYMENT is not None
    out = strategic_merge(original, patch, DEPLOYMENT, **options)
    assert (original, patch) == before
    spec: dict[str, Any] = out["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_merges_as_kubectl_does(case: dict[str, Any]) -> None:
    schema = SCHEMAS.get(gvk_of(case["original"]))
    assert schema is not None
    if "error" in case:
        with pytest.raises(BadPatch):
            strategic_merge(case["original"], case["patch"], schema)
    else:
        assert tidy(strategic_merge(case["original"], case["patch"], schema)) == case["result"]


def test_containers_meet_by_name() -> None:
    spec = merged(pod({"name": "a", "image": "1"}, {"name": "b"}), pod({"name": "a", "image": "2"}))
    assert spec["containers"] == [{"name": "a", "image": "2"}, {"name": "b"}]


def test_an_item_can_be_deleted_by_its_key() -> None:
    spec = merged(pod({"name": "a"}, {"name": "b"}), pod({"name": "a", "$patch": "delete"}))
    assert spec["containers"] == [{"name": "b"}]


def test_a_list_can_be_replaced_as_a_whole() -> None:
    spec = merged(pod({"name": "a"}, {"name": "b"}), pod({"$patch": "replace"}, {"name": "c"}))
    assert spec["containers"] == [{"name": "c"}]


def test_retain_keys_drops_the_fields_of_the_other_alternative() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert DEPLOYMENT is not None
    out = strategic_merge({"spec": {"strategy": rolling}}, patch, DEPLOYMENT)
    assert out == {"spec": {"strategy": {"type": "Recreate"}}}


def test_retain_keys_must_name_what_the_patch_sets() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}}
    assert DEPLOYMENT is not None
    with pytest.raises(BadPatch):
        strategic_merge({"spec": {"strategy": {"type": "x"}}}, patch, DEPLOYMENT)


def test_set_element_order_orders_the_merged_list() -> None:
    names = [{"name": name} for name in "cab"]
    spec = merged(
        pod({"name": "a"}, {"name": "b"}, {"name": "x"}),
        pod({"name": "c"}, **{"$setElementOrder/containers": names}),
    )
    assert [item["name"] for item in spec["containers"]] == ["c", "a", "b", "x"]


def test_a_patch_against_its_own_order_is_refused() -> None:
    names = [{"name": "a"}, {"name": "b"}]
    patch = pod({"name": "b"}, {"name": "a"}, **{"$setElementOrder/containers": names})
    with pytest.raises(BadPatch):
        merged(pod({"name": "a"}, {"name": "b"}), patch)


def test_env_can_be_reordered_without_a_change() -> None:
    env = [{"name": name, "value": name} for name in "abc"]
    order = [{"name": name} for name in "cba"]
    spec = merged(pod({"name": "x", "env": env}), pod({"name": "x", "$setElementOrder/env": order}))
    assert [item["name"] for item in spec["containers"][0]["env"]] == ["c", "b", "a"]


def test_scalars_can_be_taken_from_a_list() -> None:
    original = {"metadata": {"finalizers": ["a", "b", "c"]}}
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c", "z"]}}
    assert DEPLOYMENT is not None
    assert strategic_merge(original, patch, DEPLOYMENT) == {"metadata": {"finalizers": ["b"]}}


def test_service_ports_of_one_number_meet_whatever_their_protocol() -> None:
    original = {"spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}
    patch = {"spec": {"ports": [{"port": 53, "protocol": "TCP"}]}}
    assert SERVICE is not None
    assert strategic_merge(original, patch, SERVICE) == patch
    both = strategic_merge(original, patch, SERVICE, merge_keys="apply", new_items="append")
    assert both["spec"]["ports"] == [
        {"port": 53, "protocol": "UDP"},
        {"port": 53, "protocol": "TCP"},
    ]


@pytest.mark.parametrize(
    ("where", "names"), [("merge", "acb"), ("append", "abc"), ("prepend", "cab")]
)
def test_new_items_go_where_they_are_wanted(where: Any, names: str) -> None:
    original = pod({"name": "a"}, {"name": "b"})
    spec = merged(original, pod({"name": "a"}, {"name": "c"}), new_items=where)
    assert [item["name"] for item in spec["containers"]] == list(names)


def test_without_a_schema_lists_are_replaced() -> None:
    original = {"spec": {"rules": [{"name": "a"}], "keep": 1, "gone": 1}}
    patch = {"spec": {"rules": [{"name": "b"}], "gone": None}}
    assert strategic_merge(original, patch, UNTYPED) == {
        "spec": {"rules": [{"name": "b"}], "keep": 1}
    }


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"$patch": "explode"}}},
        {"metadata": {"$retainKeys": "name"}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
        {"metadata": {"$setElementOrder/finalizers": "a"}},
        pod({"image": "no-name"}),
        pod({"name": "a", "$patch": "merge"}),
        pod("a"),  # type: ignore[arg-type]  # the mistake under test
    ],
)
def test_a_directive_that_makes_no_sense_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(BadPatch):
        merged({"metadata": {"labels": {}, "finalizers": []}, **pod({"name": "a"})}, patch)
