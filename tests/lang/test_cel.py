"""Rules in CEL: what they find, what is refused, and what is said not to be supported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trimtab.lang.cel import ABSENT, CelError, CelUnsupported, EvaluationError, Shape, compile_rule
from trimtab.lang.cel.shape import escape, to_cel

ROWS = yaml.safe_load((Path(__file__).parent / "cel_rules.yaml").read_text())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_rule_finds_what_a_server_would_find(row: list[Any]) -> None:
    text, value, expected, *rest = row
    if isinstance(expected, bool):
        assert compile_rule(text).evaluate(value, *rest) is expected
        return
    if expected.startswith("not a rule: "):
        with pytest.raises(CelError, match=expected.removeprefix("not a rule: ")):
            compile_rule(text)
        return
    with pytest.raises(EvaluationError) as caught:
        compile_rule(text).evaluate(value, *rest)
    assert expected in caught.value.message


def test_the_table_is_worth_its_name() -> None:
    assert len(ROWS) >= 60


def _object(**fields: Shape) -> Shape:
    shape = Shape("object")
    shape.fields = fields
    return shape


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("self.a ==", 1, 10, "Syntax error"),
        ("self.a == 1 &&\n  self.b == 2", 2, 7, "undefined field 'b'"),
        ("has(self.b)", 1, 4, "undefined field 'b'"),
        ("self.?b.hasValue()", 1, 5, "undefined field 'b'"),
        ("self.a.c == 1", 1, 7, "type 'int' does not support field selection"),
        ("self.l.all(x, x.y == 1)", 1, 16, "undefined field 'y'"),
        ("self.m.k.y == 1", 1, 9, "undefined field 'y'"),
        ("self.m.all(k, v, v.y == 1)", 1, 19, "undefined field 'y'"),
        ("nothing(1)", 1, 8, "undeclared reference to 'nothing'"),
        ("quantity('1').isLessThan(1)", 1, 25, "no matching overload"),
        ("authorizer.group('a')", 1, 1, "undeclared reference to 'authorizer'"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    inner = _object(x=Shape("integer"))
    items, values = Shape("list"), Shape("map")
    items.items = values.items = inner
    shape = _object(a=Shape("integer"), l=items, m=values)
    with pytest.raises(CelError) as caught:
        compile_rule(text, shape=shape)
    assert not isinstance(caught.value, CelUnsupported)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 < 1.5", "does not compare numbers of different types"),
        ("!format.dns1123Label().validate(self.a).hasValue()", "no library of named formats"),
        ("self.m.transformMap(k, v, v).size() > 0", "no comprehensions that make maps"),
        ("{'a': 1}.transformMap(k, v, v).size() > 0", "no comprehensions that make maps"),
        ("string(quantity('1')) == '1'", "no text of such a value"),
        ("self.at > timestamp('2020-01-01T00:00:00Z')", "a timestamp on a real server"),
        ("self.at.getFullYear() > 2020", "a timestamp on a real server"),
        ("self.wait < duration('1h')", "a duration on a real server"),
        ("+".join(["self.a"] * 60) + " > 1", "does not parse expressions nested as deeply"),
    ],
)
def test_what_the_engine_cannot_run_is_said(text: str, reason: str) -> None:
    moments = {"at": Shape("moment", "timestamp"), "wait": Shape("moment", "duration")}
    shape = _object(a=Shape(), m=Shape(), **moments)
    with pytest.raises(CelUnsupported) as caught:
        compile_rule(text, shape=shape)
    assert reason in caught.value.message


def test_moments_can_be_read_by_their_function_and_compared_with_each_other() -> None:
    shape = _object(at=Shape("moment", "timestamp"))
    late = compile_rule("timestamp(self.at) > timestamp('2020-01-01T00:00:00Z')", shape=shape)
    assert late.evaluate({"at": "2021-01-01T00:00:00Z"}) is True
    assert late.evaluate({"at": "2019-01-01T00:00:00Z"}) is False
    fixed = compile_rule("has(self.at) && self.at == oldSelf.at", shape=shape)
    assert fixed.evaluate({"at": "x"}, {"at": "x"}) is True
    assert fixed.evaluate({"at": "x"}, {"at": "y"}) is False


def test_only_rules_that_read_the_old_value_are_transitions() -> None:
    assert compile_rule("self == oldSelf").transition
    assert not compile_rule("self == 'oldSelf'").transition


def test_the_old_value_may_be_optional() -> None:
    rule = compile_rule("!oldSelf.hasValue() || oldSelf.value() <= self", optional_old=True)
    assert rule.transition
    assert [rule.evaluate(2, old) for old in (ABSENT, 1, 3)] == [True, True, False]


def test_a_message_is_a_text() -> None:
    rule = compile_rule("'not ' + self", result="string")
    assert rule.evaluate("so") == "not so"
    with pytest.raises(CelError, match="must evaluate to a string"):
        compile_rule("1 == 1", result="string")
    with pytest.raises(EvaluationError, match="no bool"):
        compile_rule("self.a").evaluate({"a": 1})


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain", "plain"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
        ("in", "__in__"),
        ("namespace", "__namespace__"),
    ],
)
def test_declared_names_are_escaped_and_keys_of_maps_are_not(name: str, written: str) -> None:
    assert escape(name) == written
    inner = Shape("map")
    inner.items = Shape("integer")
    shape = _object(**{name: inner})
    assert to_cel({name: {name: 1}}, shape) == {written: {name: 1}}
    assert compile_rule(f"self.{written}['{name}'] == 1", shape=shape).evaluate({name: {name: 1}})


def test_numbers_have_the_type_of_their_schema() -> None:
    shape = _object(n=Shape("number"), i=Shape("integer"))
    rule = compile_rule("self.n * 1.5 == 3.0 && self.i + 1 == 2", shape=shape)
    assert rule.evaluate({"n": 2, "i": 1.0}) is True


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(value=_JSON)
def test_every_json_value_is_itself(value: Any) -> None:
    assert compile_rule("self == oldSelf").evaluate(value, value) is True


@given(left=st.integers(-(10**12), 10**12), right=st.integers(-(10**12), 10**12))
def test_quantities_are_ordered_as_their_numbers(left: int, right: int) -> None:
    rule = compile_rule("quantity(self.a).compareTo(quantity(self.b)) == self.c")
    order = (left > right) - (left < right)
    assert rule.evaluate({"a": f"{left}m", "b": f"{right}m", "c": order}) is True
