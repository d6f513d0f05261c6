"""Substitution follows Flux's dialect (spec/flux.md 3.3)."""

import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import Location
from trimtab.lang.envsubst import SubstitutionError, substitute

CASES = yaml.safe_load((Path(__file__).parent / "envsubst.yaml").read_text())
DEFAULT = {"a": "alpha", "b": "beta", "empty": "", "n": "1", "url": "https://x/y/z"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"])
def test_each_form_gives_what_the_reference_gives(case):
    variables = case.get("variables", DEFAULT)
    if "error" in case:
        with pytest.raises(SubstitutionError) as caught:
            substitute(case["text"], variables)
        assert case["error"] in caught.value.message
    else:
        assert substitute(case["text"], variables) == case["want"]


def test_without_strict_mode_an_unset_variable_is_empty():
    assert substitute("[${nope}]", {}, strict=False) == "[]"


def test_a_syntax_error_names_line_and_column():
    with pytest.raises(SubstitutionError) as caught:
        substitute("one\ntwo ${a-b}", {"a": "1"}, where=Location("web.yaml"))
    assert str(caught.value.where) == "web.yaml:2:8"


def test_nesting_is_limited():
    with pytest.raises(SubstitutionError, match="nested deeper"):
        substitute("${a:=" * 50 + "x" + "}" * 50, {})


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_a_dollar_is_untouched(text):
    assert substitute(text, {}) == text


@given(st.text(alphabet="ab${}:=-#%/^,$ \\", max_size=40))
def test_any_text_gives_a_result_or_the_typed_error(text):
    with contextlib.suppress(SubstitutionError):
        assert isinstance(substitute(text, {"a": "x", "b": ""}), str)
