"""When the rules of custom resources run, with a language of this test's own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from trimtab.objects import MISSING, InvalidRule, RuleFailed, Schema, UnsupportedRule
from trimtab.objects.crd import structural_schema
from trimtab.objects.rules import check_rules, compile_rules
from trimtab.objects.validation import unenforced_rules


class Odd:
    """The rule `odd` (also `odd once`, a transition): whether numbers are odd, lists long."""

    def __init__(self, text: str) -> None:
        self.transition = text == "odd once"

    def evaluate(self, value: Any, old: Any = MISSING) -> bool | str:
        if not isinstance(value, int):
            raise RuleFailed("no number", kind="overload")
        return value % 2 == 1


class Language:
    def compile(self, text: str, schema: Schema, **_: Any) -> Odd:
        if text == "later":
            raise UnsupportedRule("not yet")
        if not text.startswith("odd"):
            raise InvalidRule("no word of this language")
        return Odd(text)


def _schema(*rules: dict[str, Any], **more: Any) -> Schema:
    number = {"type": "integer", "x-kubernetes-validations": list(rules), **more}
    mapped = {"type": "object", "additionalProperties": number}
    listed = {"type": "array", "items": number}
    return structural_schema({"type": "object", "properties": {"m": mapped, "l": listed}})


def _found(schema: Schema, obj: Any, **more: Any) -> list[str]:
    rules = compile_rules(schema, Language())
    assert not rules.problems
    return [str(each) for each in check_rules(rules, obj, **more)]


def test_rules_run_on_every_value_of_their_place() -> None:
    assert _found(_schema({"rule": "odd"}), {"m": {"a": 1, "b": 2}, "l": [4, 5]}) == [
        'm[b]: Invalid value: "integer": failed rule: odd',
        'l[0]: Invalid value: "integer": failed rule: odd',
    ]


def test_unchanged_values_pass_on_update() -> None:
    old = {"m": {"a": 2}, "l": [2]}
    assert _found(_schema({"rule": "odd"}), {"m": {"a": 2, "b": 4}}, old=old) == [
        'm[b]: Invalid value: "integer": failed rule: odd'
    ]


def test_transition_rules_need_an_old_value() -> None:
    number = {"type": "integer", "x-kubernetes-validations": [{"rule": "odd once"}]}
    schema = structural_schema({"type": "object", "properties": {"a": number}})
    assert _found(schema, {"a": 2}) == []
    assert _found(schema, {"a": 2}, old={}) == []
    assert _found(schema, {"a": 2}, old={"a": 2}) == [
        'a: Invalid value: "integer": failed rule: odd once'
    ]
    under_a_list = compile_rules(_schema({"rule": "odd once"}), Language())
    assert ["uncorrelatable" in each.detail for each in under_a_list.problems] == [True]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"message": " must be odd "}, 'm[a]: Invalid value: "integer": must be odd'),
        ({"reason": "FieldValueRequired", "message": "x"}, "m[a]: Required value: x"),
        ({"reason": "FieldValueDuplicate"}, 'm[a]: Duplicate value: "integer"'),
        (
            {"messageExpression": "odd message", "message": "other"},
            'm[a]: Invalid value: "integer": False',
        ),
    ],
)
def test_a_failure_has_the_rule_s_message_and_reason(rule: dict[str, Any], said: str) -> None:
    assert _found(_schema({"rule": "odd", **rule}), {"m": {"a": 2}}) == [said]


def test_what_does_not_compile_is_told_by_its_path() -> None:
    schema = _schema({"rule": "even"}, {"rule": "odd", "fieldPath": ".x", "reason": "Bad"})
    found = [str(each) for each in compile_rules(schema, Language()).problems]
    first = "openAPIV3Schema.properties[m].additionalProperties.x-kubernetes-validations"
    assert found[0] == (
        f'{first}[0].rule: Invalid value: "even": compilation failed: no word of this language'
    )
    assert found[1].startswith(f'{first}[1].reason: Unsupported value: "Bad"')
    assert found[2].startswith(f'{first}[1].fieldPath: Invalid value: ".x"')


def test_only_what_cannot_be_compiled_is_not_enforced() -> None:
    schema = structural_schema(
        {
            "type": "object",
            "x-kubernetes-validations": [{"rule": "odd"}, {"rule": "later"}],
        }
    )
    rules = compile_rules(schema, Language())
    assert unenforced_rules(schema, rules) == [
        "validation rule not enforced at the object: later (not yet)"
    ]
    assert len(unenforced_rules(schema)) == 2


def test_an_object_that_takes_too_long_is_refused() -> None:
    ticks = itertools.count(0, 0.3)
    found = _found(
        _schema({"rule": "odd"}),
        {"l": [2, 2, 2, 2, 2, 2]},
        monotonic=lambda: next(ticks),
        budget_s=1.0,
    )
    assert len(found) == 4
    assert "running out of cost budget" in found[-1]
    assert sum("failed rule" in each for each in found) == 3
