"""FieldSet: its spelling, its order and the laws of sets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.objects.managed import BadElement, FieldSet, display_path
from trimtab.objects.managed.elements import sorted_elements

ELEMENTS = st.sampled_from(
    [
        "f:a",
        "f:b",
        "f:c",
        'k:{"name":"x"}',
        'k:{"port":80,"protocol":"TCP"}',
        'v:"s"',
        "v:1",
        "i:0",
    ]
)
PATHS = st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple)
SETS = st.lists(PATHS, max_size=12).map(FieldSet.of)


@given(SETS)
def test_a_set_reads_back(x: FieldSet) -> None:
    text = orjson.dumps(x.to_v1())
    again = FieldSet.from_v1(orjson.loads(text))
    assert again == x
    assert orjson.dumps(again.to_v1()) == text


@given(st.lists(PATHS, max_size=12))
def test_a_set_holds_its_paths_and_no_others(paths: list[Any]) -> None:
    x = FieldSet.of(paths)
    assert set(x.paths()) == set(paths)
    assert len(x) == len(set(paths))
    assert all(path in x for path in paths)
    assert ("f:z",) not in x


@given(SETS, SETS)
def test_the_algebra_is_that_of_sets_of_paths(x: FieldSet, y: FieldSet) -> None:
    a, b = set(x.paths()), set(y.paths())
    assert set(x.union(y).paths()) == a | b
    assert set(x.intersection(y).paths()) == a & b
    assert set(x.difference(y).paths()) == a - b
    below = {p for p in a if any(p[:n] in b for n in range(1, len(p) + 1))}
    assert set(x.recursive_difference(y).paths()) == a - below
    assert x.issubset(y) is (a <= b)
    assert x.difference(y).union(x.intersection(y)) == x
    assert x.union(y) == y.union(x)


@given(SETS)
def test_leaves_have_nothing_below_them(x: FieldSet) -> None:
    paths = set(x.paths())
    leaves = {p for p in paths if not any(q[: len(p)] == p and q != p for q in paths)}
    assert set(x.leaves().paths()) == leaves


@given(SETS, SETS)
def test_an_unchanged_set_is_the_same_set(x: FieldSet, y: FieldSet) -> None:
    assert x.difference(y.difference(x)) is x
    assert x.union(FieldSet()) is x


def test_the_order_is_fields_keys_values_indices() -> None:
    mixed = [
        "i:10",
        "i:9",
        'v:"b"',
        "v:true",
        "v:3",
        'k:{"port":443}',
        'k:{"port":80}',
        "f:b",
        "f:B",
    ]
    assert sorted_elements(mixed) == [
        "f:B",
        "f:b",
        'k:{"port":80}',
        'k:{"port":443}',
        "v:3",
        'v:"b"',
        "v:true",
        "i:9",
        "i:10",
    ]


def test_a_key_has_one_spelling() -> None:
    loose = {'k:{ "protocol":"TCP", "containerPort":80.0 }': {".": {}, 'v:"a<b"': {}}}
    assert list(FieldSet.from_v1(loose).to_v1()) == ['k:{"containerPort":80,"protocol":"TCP"}']
    assert FieldSet.from_v1({'v:"a<b"': {}}).to_v1() == {r'v:"a\u003cb"': {}}


@pytest.mark.parametrize(
    "fields",
    [{"x:a": {}}, {"k:{": {}}, {"k:[]": {}}, {"i:x": {}}, {"": {}}, {"f:a": {"a": {}}}, []],
)
def test_what_is_no_set_is_refused(fields: Any) -> None:
    with pytest.raises(BadElement):
        FieldSet.from_v1(fields)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:containers", 'k:{"name":"c"}', "f:image"), '.containers[name="c"].image'),
        (
            ("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}'),
            '.ports[containerPort=80,protocol="TCP"]',
        ),
        (("f:finalizers", 'v:"a/b"'), '.finalizers[="a/b"]'),
        (("f:l", "i:3"), ".l[3]"),
        (("f:l", "v:true"), ".l[=true]"),
        (("f:annotations", "f:a.b/c"), ".annotations.a.b/c"),
    ],
)
def test_a_path_reads_as_in_messages_of_kubernetes(path: Any, text: str) -> None:
    assert display_path(path) == text
