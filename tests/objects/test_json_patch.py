"""JSON Patch: spec/embedded-cluster.md 8, cases 55, 56, 67."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.objects.json_patch import apply_json_patch, parse_pointer
from trimtab.objects.patch_errors import BadPatch, PatchFailed, TooManyOperations

DOC: dict[str, Any] = {"a": {"b": 1}, "list": [1, 2, 3], "x/y": 1, "m~n": 2, "": 0}

WORKS: list[tuple[str, list[dict[str, Any]], Any]] = [
    ("add a member", [{"op": "add", "path": "/a/c", "value": None}], {"a": {"b": 1, "c": None}}),
    ("add over a member", [{"op": "add", "path": "/a/b", "value": 2}], {"a": {"b": 2}}),
    ("add into a list", [{"op": "add", "path": "/list/1", "value": 9}], {"list": [1, 9, 2, 3]}),
    ("add at the end", [{"op": "add", "path": "/list/3", "value": 9}], {"list": [1, 2, 3, 9]}),
    ("append", [{"op": "add", "path": "/list/-", "value": 9}], {"list": [1, 2, 3, 9]}),
    ("remove an item", [{"op": "remove", "path": "/list/0"}], {"list": [2, 3]}),
    ("replace an item", [{"op": "replace", "path": "/list/2", "value": {}}], {"list": [1, 2, {}]}),
    ("escaped slash", [{"op": "replace", "path": "/x~1y", "value": 5}], {"x/y": 5}),
    ("escaped tilde", [{"op": "replace", "path": "/m~0n", "value": 5}], {"m~n": 5}),
    ("empty key", [{"op": "replace", "path": "/", "value": 5}], {"": 5}),
    ("move", [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
    ("move in a list", [{"op": "move", "from": "/list/0", "path": "/list/2"}], {"list": [2, 3, 1]}),
    ("copy", [{"op": "copy", "from": "/a", "path": "/c"}], {"c": {"b": 1}}),
    ("test then add", [
        {"op": "test", "path": "/a", "value": {"b": 1.0}},
        {"op": "add", "path": "/ok", "value": True},
    ], {"ok": True}),
]  # fmt: skip

FAILS: list[tuple[str, dict[str, Any], str]] = [
    ("remove what is absent", {"op": "remove", "path": "/zz"}, "/zz"),
    ("replace what is absent", {"op": "replace", "path": "/a/zz", "value": 1}, "/a/zz"),
    ("add below what is absent", {"op": "add", "path": "/zz/b", "value": 1}, "/zz/b"),
    ("add below a number", {"op": "add", "path": "/a/b/c", "value": 1}, "/a/b/c"),
    ("index past the end", {"op": "add", "path": "/list/4", "value": 1}, "/list/4"),
    ("leading zero", {"op": "remove", "path": "/list/01"}, "/list/01"),
    ("the end is no item", {"op": "remove", "path": "/list/-"}, "/list/-"),
    ("empty index", {"op": "remove", "path": "/list/"}, "/list/"),
    ("a test that fails", {"op": "test", "path": "/a/b", "value": 2}, "/a/b"),
    ("true is not one", {"op": "test", "path": "/a/b", "value": True}, "/a/b"),
    ("a test of nothing", {"op": "test", "path": "/zz", "value": None}, "/zz"),
    ("move into itself", {"op": "move", "from": "/a", "path": "/a/c"}, "/a/c"),
    ("copy from nowhere", {"op": "copy", "from": "/zz", "path": "/c"}, "/zz"),
]


@pytest.mark.parametrize(("ops", "change"), [case[1:] for case in WORKS], ids=[c[0] for c in WORKS])
def test_operations_do_what_the_standard_says(ops: Any, change: dict[str, Any]) -> None:
    before = deepcopy(DOC)
    moved = {op["from"][1:] for op in ops if op["op"] == "move" and op["from"].count("/") == 1}
    expected = {k: v for k, v in {**DOC, **change}.items() if k not in moved}
    assert apply_json_patch(DOC, ops) == expected
    assert before == DOC


@pytest.mark.parametrize(("op", "pointer"), [c[1:] for c in FAILS], ids=[c[0] for c in FAILS])
def test_a_path_or_test_that_does_not_hold_names_its_pointer(op: Any, pointer: str) -> None:
    with pytest.raises(PatchFailed) as caught:
        apply_json_patch(DOC, [op])
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    "ops",
    [
        {},
        "[]",
        None,
        [1],
        [{"op": "jump", "path": "/a"}],
        [{"path": "/a"}],
        [{"op": "add", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "move", "path": "/a"}],
        [{"op": "test", "path": 3, "value": 1}],
    ],
)
def test_what_is_no_patch_is_refused(ops: Any) -> None:
    with pytest.raises(BadPatch):
        apply_json_patch(DOC, ops)


def test_more_than_ten_thousand_operations_are_refused() -> None:
    op = {"op": "test", "path": "/a/b", "value": 1}
    assert apply_json_patch(DOC, [op] * 10_000) is DOC
    with pytest.raises(TooManyOperations):
        apply_json_patch(DOC, [op] * 10_001)


def test_the_whole_document_can_be_replaced() -> None:
    assert apply_json_patch(DOC, [{"op": "replace", "path": "", "value": [1]}]) == [1]
    assert apply_json_patch(DOC, [{"op": "add", "path": "", "value": None}]) is None


@given(st.lists(st.text()))
def test_a_pointer_reads_back(tokens: list[str]) -> None:
    text = "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in tokens)
    assert parse_pointer(text) == tuple(tokens)


@given(st.dictionaries(st.text(), st.integers(), min_size=1), st.data())
def test_remove_undoes_add(doc: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.text().filter(lambda text: text not in doc))
    path = "/" + key.replace("~", "~0").replace("/", "~1")
    ops = [{"op": "add", "path": path, "value": 1}, {"op": "remove", "path": path}]
    assert apply_json_patch(doc, ops) == doc
