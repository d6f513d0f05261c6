"""Values of a HelmRelease merge in the order of spec/flux.md 4.2."""

import pytest

from trimtab.flux.errors import NotYet
from trimtab.flux.values import Reference, compose, digest, merge


def ref(text, **changes):
    return Reference(kind="ConfigMap", name="values", data={"values.yaml": text}, **changes)


def test_inline_values_win_over_references_and_maps_merge_deeply():
    values = compose([ref("a: {b: 1, c: 2}\nlist: [1]"), ref("a: {b: 5}")], {"a": {"c": 9}})
    assert values == {"a": {"b": 5, "c": 9}, "list": [1]}


def test_a_target_path_wins_over_inline_values():
    values = compose([ref("7", target_path="a.b")], {"a": {"b": 1, "c": 2}})
    assert values == {"a": {"b": 7, "c": 2}}


@pytest.mark.parametrize(
    ("text", "want"),
    [("true", True), ("1", 1), ("'1'", "1"), ('"true"', "true"), ("{x,y}", ["x", "y"])],
)
def test_a_target_path_types_its_value_as_set_does(text, want):
    assert compose([ref(text, target_path="k")], {}) == {"k": want}


def test_a_literal_is_taken_as_it_stands():
    assert compose([ref("{a,b}\n", target_path="k", literal=True)], {}) == {"k": "{a,b}\n"}


def test_an_index_into_an_inline_list_keeps_its_siblings():
    values = compose(
        [ref("new", target_path="hosts[1].name")], {"hosts": [{"name": "a"}, {"name": "b"}]}
    )
    assert values == {"hosts": [{"name": "a"}, {"name": "new"}]}


def test_an_optional_reference_may_be_missing_whole_or_by_key():
    missing = Reference(kind="Secret", name="s", data=None, optional=True)
    no_key = Reference(kind="Secret", name="s", data={"other": "x"}, optional=True)
    assert compose([missing, no_key], {"a": 1}) == {"a": 1}


@pytest.mark.parametrize("text", ["- a", "just text"])
def test_a_reference_that_is_no_mapping_is_an_error(text):
    with pytest.raises(NotYet) as caught:
        compose([ref(text)], {})
    assert caught.value.reason == "ValuesError"


def test_a_key_that_is_not_there_is_named():
    with pytest.raises(NotYet, match=r"could not find Secret 's' key 'values\.yaml'"):
        compose([Reference(kind="Secret", name="s", data={})], {})


def test_the_digest_ignores_the_order_of_keys_and_of_nothing_is_that_of_the_empty_text():
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({}).endswith("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_merging_changes_neither_side():
    base, over = {"a": {"b": 1}}, {"a": {"c": [1]}}
    merged = merge(base, over)
    merged["a"]["c"].append(2)
    assert base == {"a": {"b": 1}}
    assert over == {"a": {"c": [1]}}
