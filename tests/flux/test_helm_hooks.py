"""Hooks of a release record: order, policies, outcome, progress."""

import pytest

from trimtab.flux.errors import Stalled
from trimtab.flux.helm_hooks import (
    begun,
    due,
    hook_of,
    outcome_of,
    phase_of,
    policies_of,
    unrun,
    with_run,
)
from trimtab.flux.helm_storage import Record


def obj(name="h", kind="Job", event="pre-install", **notes):
    annotations = {"helm.sh/hook": event}
    annotations.update({f"helm.sh/hook-{k.replace('_', '-')}": v for k, v in notes.items()})
    version = "batch/v1" if kind == "Job" else "v1"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "annotations": annotations},
    }


def hooks(*objects):
    return tuple(hook_of(each, "templates/h.yaml") for each in objects)


def record(held):
    return Record("r", "ns", 1, "pending-install", "", "", {}, {}, hooks=held)


def test_hooks_of_an_event_run_by_weight_and_otherwise_as_they_were_rendered():
    held = hooks(
        obj("late", weight="5"),
        obj("early", weight="-2"),
        obj("other", event="post-install"),
        obj("a"),
        obj("b", event="post-install, pre-install", weight="none"),
    )
    names = [held[place]["name"] for place in due(held, "pre-install")]
    assert names == ["early", "a", "b", "late"]
    assert [held[place]["name"] for place in due(held, "post-install")] == ["other", "b"]


def test_a_former_object_is_deleted_first_unless_policies_say_something_else():
    bare, named = hooks(obj(), obj(delete_policy="hook-succeeded,hook-failed"))
    assert policies_of(bare) == ("before-hook-creation",)
    assert policies_of(named) == ("hook-succeeded", "hook-failed")


def test_progress_is_of_one_event_and_starts_anew_for_the_next():
    held = record(hooks(obj(event="pre-install,post-install")))
    first = with_run(held, 0, "pre-install", "Running", now="1")
    done = with_run(first, 0, "pre-install", "Succeeded", now="2", ended=True)
    assert phase_of(done.hooks[0], "pre-install") == "Succeeded"
    assert phase_of(done.hooks[0], "post-install") == ""
    assert done.hooks[0]["last_run"]["started_at"] == "1"
    assert not begun(done.hooks, "post-install")
    later = with_run(done, 0, "post-install", "Unknown", now="3")
    assert begun(later.hooks, "post-install")
    assert later.hooks[0]["last_run"] == {
        "started_at": "3",
        "completed_at": "",
        "phase": "Unknown",
        "event": "post-install",
    }
    assert phase_of(held.hooks[0], "pre-install") == "", "a record is never changed in place"


@pytest.mark.parametrize(
    ("kind", "status", "good"),
    [
        ("Job", {}, None),
        ("Job", {"succeeded": 1}, None),
        ("Job", {"conditions": [{"type": "Complete", "status": "True"}]}, True),
        ("Job", {"conditions": [{"type": "Failed", "status": "True", "reason": "r"}]}, False),
        ("Job", {"conditions": [{"type": "Failed", "status": "False"}]}, None),
        ("Pod", {"phase": "Running"}, None),
        ("Pod", {"phase": "Succeeded"}, True),
        ("Pod", {"phase": "Failed"}, False),
        ("ConfigMap", {}, True),
    ],
)
def test_jobs_and_pods_take_their_time_other_kinds_are_done_when_they_exist(kind, status, good):
    assert outcome_of({**obj(kind=kind), "status": status})[0] is good


def test_events_that_are_not_run_and_logs_are_named():
    held = hooks(
        obj("a", event="pre-install,pre-delete"),
        obj("b", event="post-rollback"),
        obj("c", output_log_policy="hook-failed"),
        obj("d", event="test"),
    )
    assert unrun(held) == [
        "hook Job/a (pre-delete)",
        "hook Job/b (post-rollback)",
        "hook Job/c (helm.sh/hook-output-log-policy)",
    ]


def test_a_hook_without_a_name_is_refused():
    nameless = obj()
    nameless["metadata"] = {"annotations": {}, "generateName": "x-"}
    with pytest.raises(Stalled, match=r"metadata\.name"):
        hook_of(nameless, "templates/h.yaml")
