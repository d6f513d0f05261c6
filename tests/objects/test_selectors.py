"""Label and field selectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.objects.selectors import (
    InvalidSelector,
    Requirement,
    Selector,
    from_label_selector,
    parse_field_selector,
    parse_label_selector,
)

LABELS = {"app": "web", "tier": "front", "example.com/team": "a", "blank": "", "n": "5"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app=db", False),
        ("app!=db", True),
        ("absent!=db", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("absent in (db)", False),
        ("app notin (db,cache)", True),
        ("absent notin (db)", True),
        ("app notin (web)", False),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("!app", False),
        ("blank=", True),
        ("blank in (,x)", True),
        ("app=,tier=front", False),
        ("n>4,n<6", True),
        ("example.com/team=a", True),
    ],
)
def test_label_selectors_match_as_kubectl_does(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text",
    [
        "app=web,",
        ",",
        "app in web",
        "app in (web",
        "=x",
        "app in ()x",
        "a b",
        "-x=1",
        "a=b=c",
        "x=-",
        "!",
        "a>b",
    ],
)
def test_broken_label_selectors_are_refused(text: str) -> None:
    with pytest.raises(InvalidSelector):
        parse_label_selector(text)


def test_an_absent_label_selector_matches_nothing_and_an_empty_one_everything() -> None:
    assert not from_label_selector(None).matches(LABELS)
    assert from_label_selector({}).matches({})
    assert from_label_selector({}).empty


def test_label_selector_objects_combine_labels_and_expressions() -> None:
    selector = from_label_selector(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "absent", "operator": "DoesNotExist"},
            ],
        }
    )
    assert selector.matches(LABELS)
    assert not selector.matches({"app": "web"})
    with pytest.raises(InvalidSelector):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "In"}]})


WORDS = st.from_regex(r"[a-z]([a-z0-9]{0,5})", fullmatch=True).filter(
    lambda word: word not in ("in", "notin")
)
REQUIREMENTS = st.one_of(
    st.builds(lambda key: Requirement(key, "Exists"), WORDS),
    st.builds(lambda key: Requirement(key, "DoesNotExist"), WORDS),
    st.builds(
        lambda key, operator, values: Requirement(key, operator, tuple(sorted(values))),
        WORDS,
        st.sampled_from(["In", "NotIn"]),
        st.sets(WORDS, min_size=1, max_size=3),
    ),
)


@given(st.lists(REQUIREMENTS, max_size=4))
def test_a_selector_is_read_back_from_its_text(requirements: list[Requirement]) -> None:
    selector = Selector(tuple(requirements))
    assert parse_label_selector(str(selector)) == selector


def test_field_selectors_compare_dotted_paths() -> None:
    pod = {"metadata": {"name": "a"}, "status": {"phase": "Running"}, "spec": {"hostNetwork": True}}
    assert parse_field_selector("status.phase=Running,metadata.name!=b").matches_object(pod)
    assert parse_field_selector("spec.nodeName=").matches_object(pod)
    assert parse_field_selector("spec.hostNetwork==true").matches_object(pod)
    assert not parse_field_selector("status.phase!=Running").matches_object(pod)
    assert parse_field_selector(r"a=x\,y\=z").matches({"a": "x,y=z"})
    assert parse_field_selector("").terms == ()
    with pytest.raises(InvalidSelector):
        parse_field_selector("status.phase")
