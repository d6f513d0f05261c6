"""Every fidelity case against an embedded cluster, and the machine that runs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from trimtab.cluster.fidelity import Case, Server, load_suite, run_case
from trimtab.cluster.fidelity.api import Answer
from trimtab.cluster.fidelity.embedded import embedded_server
from trimtab.cluster.fidelity.match import differences
from trimtab.cluster.fidelity.normal import normalised
from trimtab.cluster.fidelity.runner import Outcome
from trimtab.cluster.fidelity.values import fill, pick

SUITE = load_suite()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with embedded_server() as found:
        yield found


@pytest.mark.parametrize("case", SUITE.cases, ids=lambda case: case.key)
def test_the_embedded_cluster_answers_as_the_contract_says(server: Server, case: Case) -> None:
    outcome = run_case(server, SUITE, case)
    if case.key in SUITE.known:
        assert outcome.problems, f"{case.key} passes now: take it out of known.yaml"
        pytest.xfail(SUITE.known[case.key])
    assert not outcome.problems, "\n".join(outcome.problems)


def test_the_suite_covers_most_ids_of_the_specification() -> None:
    assert len({case.id for case in SUITE.cases}) >= 140
    assert len(SUITE.known) <= len(SUITE.cases) // 8


def test_a_server_that_answers_otherwise_fails(server: Server) -> None:
    (case,) = SUITE.chosen("027")
    wrong = {"$use": "map", "metadata": {"name": "other"}}
    steps = [case.steps[0], *[_with_body(step, wrong) for step in case.steps[1:]]]
    outcome = run_case(server, SUITE, _with_steps(case, steps))
    assert "expected 409, got 201" in outcome.problems[0]


def _with_body(step: Any, body: Any) -> Any:
    return msgspec.structs.replace(step, body=body)


def _with_steps(case: Case, steps: Any) -> Case:
    return msgspec.structs.replace(case, steps=steps)


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": {"$absent": True}}, {}, True),
        ({"a": {"$absent": True}}, {"a": None}, False),
        ({"a": {"$any": True}}, {}, False),
        ({"a": {"$is": {"b": 1}}}, {"a": {"b": 1, "c": 1}}, False),
        ([1, 2], [1], False),
        ({"$has": [{"n": 2}]}, [{"n": 1}, {"n": 2}], True),
        ({"$has": [{"n": 3}]}, [{"n": 1}], False),
        ({"$lacks": [1]}, [1], False),
        ({"$lacks": [2]}, [1], True),
        ({"$gt": "9"}, "10", True),
        ({"$gt": 9}, "9", False),
        ({"$len": 2}, [1, 2], True),
        ({"$match": "^a"}, "ba", False),
        ({"$not": {"$match": "^a"}}, "ba", True),
        ({"$all": [{"$len": 1}, {"$has": [1]}]}, [2], False),
    ],
)
def test_patterns_fit_or_not(pattern: Any, value: Any, fits: bool) -> None:
    assert (not differences(pattern, value)) is fits


def test_values_are_filled_and_picked() -> None:
    objects = {"map": {"metadata": {"name": "m"}, "data": {"a": "${x}", "b": "2"}}}
    body = {"$use": "map", "data": {"b": None}}
    assert fill(body, {"x": "1"}, objects) == {"metadata": {"name": "m"}, "data": {"a": "1"}}
    assert fill({"$patch": "delete"}, {}, {}) == {"$patch": "delete"}
    assert fill({"$repeat": [3, "${x}"]}, {"x": "y"}, {}) == ["y"] * 3
    assert pick({"a": [{"b.c/d": 5}]}, "a[0][b.c/d]") == "5"


def test_a_recording_is_the_same_from_run_to_run() -> None:
    def outcome(uid: str, version: str, run: str) -> Outcome:
        text = (
            f'{{"metadata": {{"uid": "{uid}", "resourceVersion": "{version}", "namespace":'
            f' "f27-{run}", "creationTimestamp": "2026-01-01T00:00:0{run[0]}Z"}}}}'
        )
        return Outcome("027", "name", [], [Answer(201, {"audit-id": run}, text)])

    one = outcome("0e0ffeb0-d63a-4b1b-94b8-1a0cd7b3dd50", "17", "1aaaaaaa")
    two = outcome("7d1c9a31-52cf-4a0c-9a55-b1ad8c0c9d0e", "90", "2bbbbbbb")
    assert normalised(one) == normalised(two)
    assert normalised(one)["steps"][0]["content"]["metadata"]["uid"] == "<uid 1>"
