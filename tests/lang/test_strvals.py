"""Helm's `--set` language."""

from __future__ import annotations

import pytest

from trimtab.lang.strvals import StrvalsError, set_value, set_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a=1,b=x", {"a": 1, "b": "x"}),
        ("a.b.c=true", {"a": {"b": {"c": True}}}),
        ("a=null", {"a": None}),
        ("a=", {"a": ""}),
        ("a=01", {"a": "01"}),
        ("a=1.5", {"a": "1.5"}),
        ("a=-3", {"a": -3}),
        ("a={x,y,1}", {"a": ["x", "y", 1]}),
        ("a={}", {"a": []}),
        ("a[0]=x,a[2]=z", {"a": ["x", None, "z"]}),
        ("a[0].b=x", {"a": [{"b": "x"}]}),
        ("a[0][1]=x", {"a": [[None, "x"]]}),
        (r"a\.b=1", {"a.b": 1}),
        (r"a=x\,y", {"a": "x,y"}),
        (r"n.k8s\.io/x=1", {"n": {"k8s.io/x": 1}}),
        ("a=b=c", {"a": "b=c"}),
        ("a=99999999999999999999", {"a": "99999999999999999999"}),
        ("", {}),
    ],
)
def test_assignments_build_values(text, expected) -> None:
    assert set_values(text, {}) == expected


def test_assignments_change_a_copy_of_what_is_there() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}}
    assert set_values("a.c[1]=5", base) == {"a": {"b": 1, "c": [1, 5]}}
    assert base == {"a": {"b": 1, "c": [1, 2]}}


def test_forced_text_stays_text() -> None:
    assert set_value("a.b", "1", {}, force_string=True) == {"a": {"b": "1"}}
    assert set_value("a", "true", {}, force_string=True) == {"a": "true"}


@pytest.mark.parametrize("text", ["a", "=1", "a[x]=1", "a[999999]=1", "a[-1]=1", "a={x", ".a=1"])
def test_what_cannot_be_assigned_is_an_error(text) -> None:
    with pytest.raises(StrvalsError):
        set_values(text, {})


def test_depth_is_bounded() -> None:
    with pytest.raises(StrvalsError, match="too deep"):
        set_values(".".join("a" * 100) + "=1", {})
