"""kustomize's own strategic merge.

`cases/kustomize_merge.json` holds made-up objects and patches with what `kubectl kustomize`
(kustomize 5.8) made of them, its oddities included.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from trimtab.objects import UNTYPED, gvk_of
from trimtab.objects.kustomize_merge import kustomize_merge
from trimtab.objects.patch_errors import BadPatch
from trimtab.objects.schemas import SchemaSet
from trimtab.objects.strategic import strategic_merge

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "cases" / "kustomize_merge.json").read_text()
)
SCHEMAS = SchemaSet.load()


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_merges_as_kustomize_does(case: dict[str, Any]) -> None:
    schema = SCHEMAS.get(gvk_of(case["original"]))
    assert schema is not None
    before = deepcopy(case)
    if "error" in case:
        with pytest.raises(BadPatch):
            kustomize_merge(case["original"], case["patch"], schema)
    else:
        assert kustomize_merge(case["original"], case["patch"], schema) == case["result"]
    assert case == before


def test_the_result_shares_nothing_with_the_arguments() -> None:
    original: dict[str, Any] = {"metadata": {"name": "a"}, "list": [{"x": 1}]}
    out = kustomize_merge(original, {"metadata": {"labels": {"a": "b"}}}, UNTYPED)
    out["metadata"]["name"] = "changed"
    out["list"][0]["x"] = 2
    assert original == {"metadata": {"name": "a"}, "list": [{"x": 1}]}


def test_a_patch_can_delete_the_whole_object() -> None:
    assert kustomize_merge({"kind": "A"}, {"$patch": "delete"}, UNTYPED) is None
    assert strategic_merge({"kind": "A"}, {"$patch": "delete"}, UNTYPED, port_protocol=True) == {}


def test_lists_of_custom_resources_are_replaced() -> None:
    out = kustomize_merge({"l": [{"name": "a"}]}, {"l": [{"name": "b"}]}, UNTYPED)
    assert out == {"l": [{"name": "b"}]}


@pytest.mark.parametrize("patch", [{"a": 1}, {"a": [1]}, {"a": {"$patch": "explode"}}])
def test_a_patch_of_another_shape_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(BadPatch):
        kustomize_merge({"a": {"b": 1}}, patch, UNTYPED)
