"""JSON Merge Patch: spec/embedded-cluster.md 8, case 57, and the law of `diff`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.objects.merge_patch import apply_merge_patch, diff, drop_nulls
from trimtab.objects.same import same

# The examples of RFC 7386, appendix A: original, patch, result.
RFC: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(("doc", "patch", "result"), RFC)
def test_the_examples_of_the_standard(doc: Any, patch: Any, result: Any) -> None:
    before = deepcopy((doc, patch))
    assert apply_merge_patch(doc, patch) == result
    assert (doc, patch) == before


def test_a_patch_that_changes_nothing_returns_the_document_itself() -> None:
    doc = {"a": {"b": [1, {"c": 2}]}, "d": None}
    assert apply_merge_patch(doc, {"a": {"b": [1, {"c": 2}]}, "x": None}) is doc


@given(VALUES, VALUES)
def test_the_difference_applied_gives_the_other(a: Any, b: Any) -> None:
    b = drop_nulls(b)
    assert same(apply_merge_patch(a, diff(a, b)), b)


@given(VALUES, VALUES)
def test_a_patch_applied_twice_is_a_patch_applied_once(doc: Any, patch: Any) -> None:
    once = apply_merge_patch(doc, patch)
    assert same(apply_merge_patch(once, patch), once)


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    value = drop_nulls(value)
    assert diff(value, value) == ({} if isinstance(value, dict) else value)
