"""When an automated sync begins: one test for each rule, in their order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from trimtab.argocd.application_spec import Automated, Retry
from trimtab.argocd.autosync import decide, heal_delay_s
from trimtab.argocd.compare import Comparison, Resource
from trimtab.argocd.operation import begin, finish, retry_state
from trimtab.objects import ObjectKey

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ON = Automated(prune=True, self_heal=True)


class Live(msgspec.Struct, frozen=True):
    obj: dict[str, Any] = {}
    uid: str = "u"

    def owned(self, manager: str) -> dict[str, Any] | None:
        return None


def resource(name: str, *, missing: bool = False, extra: bool = False) -> Resource:
    return Resource(
        key=ObjectKey("", "ConfigMap", "ns", name),
        version="v1",
        desired=None if extra else {"kind": "ConfigMap"},
        live=None if missing else Live(),
        differences=None if missing or extra else (),
    )


def comparison(*resources: Resource) -> Comparison:
    return Comparison("rev1", "Directory", resources, ())


OUT = comparison(resource("a", missing=True), resource("b"))


def app(**more: Any) -> dict[str, Any]:
    state = more.pop("state", None)
    status = {"operationState": state} if state else {}
    return {"metadata": {"name": "a", **more.pop("meta", {})}, "spec": {}, "status": status, **more}


def tried(phase: str, *, ago_s: float = 1, attempts: int = 0, message: str = "") -> dict[str, Any]:
    return {
        "phase": phase,
        "message": message,
        "finishedAt": (NOW - timedelta(seconds=ago_s)).isoformat(),
        "operation": {"sync": {"autoHealAttemptsCount": attempts}},
        "syncResult": {"revision": "rev1"},
    }


def test_it_begins_when_something_is_out_of_sync() -> None:
    assert decide(app(), ON, OUT, now=NOW).start


@pytest.mark.parametrize(
    ("obj", "found", "automated", "skip"),
    [
        (app(operation={"sync": {}}), OUT, ON, "another operation is in progress"),
        (app(state={"phase": "Running"}), OUT, ON, "another operation is in progress"),
        (app(meta={"deletionTimestamp": "x"}), OUT, ON, "the application is being deleted"),
        (app(), comparison(resource("b")), ON, "it is synced"),
        (
            app(),
            comparison(resource("b"), resource("x", extra=True)),
            Automated(),
            "only objects to prune, and pruning is off",
        ),
        (
            app(state=tried("Succeeded")),
            OUT,
            Automated(prune=True),
            "it succeeded before, and self-heal is off",
        ),
        (app(state=tried("Succeeded", attempts=2)), OUT, ON, "self-heal waits"),
        (app(), comparison(resource("x", extra=True)), ON, "everything would be pruned"),
    ],
)
def test_it_does_not_begin(
    obj: dict[str, Any], found: Comparison, automated: Automated, skip: str
) -> None:
    decision = decide(obj, automated, found, now=NOW)
    assert (decision.start, decision.skip) == (False, skip)


def test_a_revision_that_failed_is_not_tried_again_and_the_condition_says_so() -> None:
    decision = decide(app(state=tried("Failed", message="boom")), ON, OUT, now=NOW)
    assert not decision.start
    assert decision.error == "Failed last sync attempt to [rev1]: boom"


def test_another_revision_is_tried_after_a_failure() -> None:
    state = tried("Failed")
    state["syncResult"]["revision"] = "rev0"
    assert decide(app(state=state), ON, OUT, now=NOW).start


def test_wiping_out_everything_is_an_error_unless_it_is_allowed() -> None:
    found = comparison(resource("x", extra=True))
    assert "auto-sync will wipe out" in decide(app(), ON, found, now=NOW).error
    allowed = Automated(prune=True, allow_empty=True)
    assert decide(app(), allowed, found, now=NOW).start


def test_self_heal_names_only_what_is_out_of_sync_and_counts_its_attempts() -> None:
    decision = decide(app(state=tried("Succeeded", ago_s=100, attempts=3)), ON, OUT, now=NOW)
    assert decision.heal_attempts == 4
    assert decision.resources == ({"kind": "ConfigMap", "name": "a", "namespace": "ns"},)


def test_self_heal_counts_anew_after_a_calm_time() -> None:
    state = tried("Succeeded", ago_s=400, attempts=3)
    assert decide(app(state=state), ON, OUT, now=NOW).heal_attempts == 1


def test_self_heal_backs_off_by_three_up_to_five_minutes() -> None:
    assert [heal_delay_s(n) for n in (1, 2, 3, 4, 5, 6)] == [2, 6, 18, 54, 162, 300]


def test_a_failed_operation_is_retried_as_often_as_allowed() -> None:
    state = finish(begin({"sync": {}}, {}, "rev1", NOW), "Failed", "boom", NOW)
    retry = Retry(limit=2)
    pauses = []
    while (again := retry_state(state, retry, NOW)) is not None:
        running, pause = again
        assert running["phase"] == "Running"
        assert f"Retrying attempt #{len(pauses) + 1} at " in running["message"]
        pauses.append(pause)
        state = finish(running, "Failed", "boom", NOW)
    assert pauses == [5, 10]
    assert retry_state(state, None, NOW) is None
