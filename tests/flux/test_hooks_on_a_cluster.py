"""Charts with hooks on the embedded cluster, whose Jobs run and fail as they are told to."""

import asyncio

from tests.flux.test_helm_releases_on_a_cluster import (
    CHART,
    CM,
    CRD,
    message,
    on_plane,
    records,
    release,
)
from tests.support.flux_plane import HR, ready

from trimtab.objects import GroupKind

JOB = GroupKind("batch", "Job")


def job(name, events, *, run="0s", code=0, weight=0, policy=""):
    notes = [f"helm.sh/hook: '{events}'", f"helm.sh/hook-weight: '{weight}'"]
    if policy:
        notes.append(f"helm.sh/hook-delete-policy: '{policy}'")
    return f"""
apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  annotations: {{{", ".join(notes)}}}
spec:
  backoffLimit: 0
  template:
    metadata:
      annotations: {{embedded.sim/run: "{run}", embedded.sim/exit-code: "{code}"}}
    spec:
      restartPolicy: Never
      containers: [{{name: c, image: "busybox:1"}}]
"""


def chart(*hooks, **more):
    files = dict(CHART)
    for number, text in enumerate(hooks):
        files[f"charts/web/templates/hook{number}.yaml"] = text
    return {**files, **more}


def condition(obj, type_):
    return next((c for c in obj["status"]["conditions"] if c["type"] == type_), {"message": ""})


async def made_at(plane, gk, name):
    return (await plane.client.get(gk, "default", name))["metadata"]["uid"]


def runs(record):
    return {
        h["name"]: (h["last_run"].get("event", ""), h["last_run"]["phase"]) for h in record.hooks
    }


def waits_for(text):
    return lambda obj: text in condition(obj, "Ready")["message"]


async def absent(plane, gk, name):
    found = await plane.client.list(gk, "default")
    return name not in [each["metadata"]["name"] for each in found.items]


def test_hooks_run_in_order_around_the_release(tmp_path):
    first = job("one", "pre-install", weight=-1, run="700ms")
    second = job("two", "pre-install")
    last = job("three", "post-install,post-upgrade")

    async def body(plane, _repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", waits_for("waiting for pre-install hook Job/one"))
        assert await absent(plane, JOB, "two")
        assert await absent(plane, CM, "web")
        await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        kept = (await records(plane))[0]
        assert runs(kept) == {
            "one": ("pre-install", "Succeeded"),
            "two": ("pre-install", "Succeeded"),
            "three": ("post-install", "Succeeded"),
        }
        times = {h["name"]: h["last_run"] for h in kept.hooks}
        assert times["one"]["completed_at"] <= times["two"]["started_at"]
        assert times["two"]["completed_at"] <= times["three"]["started_at"]
        assert "kind: Job" not in kept.manifest
        former = {name: await made_at(plane, JOB, name) for name in ("one", "three")}
        await plane.apply(release(values="{color: green}"))
        await plane.until(HR, "default", "web", ready(reason="UpgradeSucceeded"))
        assert await made_at(plane, JOB, "one") == former["one"], "no hook of an upgrade"
        assert await made_at(plane, JOB, "three") != former["three"], "made anew for the upgrade"
        assert runs((await records(plane))[1])["three"] == ("post-upgrade", "Succeeded")

    on_plane(tmp_path, body, chart(first, second, last))


def test_a_failed_hook_fails_the_action_and_nothing_else_is_applied(tmp_path):
    files = chart(job("migrate", "pre-install,pre-upgrade", code=3), job("after", "post-install"))

    async def body(plane, _repo):
        await plane.apply(release())
        failed = await plane.until(HR, "default", "web", ready("False", "InstallFailed"))
        assert "pre-install hook Job/migrate failed: BackoffLimitExceeded" in message(failed)
        await plane.until(HR, "default", "web", ready("False", "RetriesExceeded"))
        assert await absent(plane, CM, "web")
        assert await absent(plane, JOB, "after")
        kept = (await records(plane))[0]
        assert kept.status == "failed"
        phases = {h["name"]: h["last_run"]["phase"] for h in kept.hooks}
        assert phases == {"migrate": "Failed", "after": ""}

    on_plane(tmp_path, body, files)


def test_a_failed_install_is_tried_again_as_an_install_with_its_hooks(tmp_path):
    async def body(plane, repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", ready("False", "RetriesExceeded"))
        good = CHART["charts/web/Chart.yaml"].replace("1.0.0", "1.0.1")
        repo.push(
            {
                "charts/web/Chart.yaml": good,
                "charts/web/templates/hook0.yaml": job("migrate", "pre-install"),
            }
        )
        await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        kept = await records(plane)
        assert [(r.version, r.status) for r in kept] == [(1, "failed"), (2, "deployed")]
        assert runs(kept[1]) == {"migrate": ("pre-install", "Succeeded")}

    on_plane(tmp_path, body, chart(job("migrate", "pre-install", code=1)))


def test_delete_policies_clear_what_succeeded_and_what_failed(tmp_path):
    config = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: needed\n  annotations:\n"
        "    helm.sh/hook: pre-install\n    helm.sh/hook-weight: '-5'\n"
        "    helm.sh/hook-delete-policy: hook-succeeded\n"
    )
    slow = job("slow", "pre-install", run="700ms", policy="hook-succeeded")
    bad = job("bad", "post-install", code=1, policy="hook-failed")

    async def body(plane, _repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", waits_for("waiting for pre-install hook Job/slow"))
        assert not await absent(plane, CM, "needed"), "it is deleted when its event is over"
        failed = await plane.until(HR, "default", "web", ready("False", "InstallFailed"))
        assert "post-install hook Job/bad failed" in message(failed)
        await plane.until_gone(CM, "default", "needed")
        await plane.until_gone(JOB, "default", "slow")
        await plane.until_gone(JOB, "default", "bad")
        assert not await absent(plane, CM, "web"), "it was applied before the post hook"

    on_plane(tmp_path, body, chart(config, slow, bad))


def test_a_restart_goes_on_with_the_hook_that_was_running(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", waits_for("waiting for pre-install hook Job/long"))
        before = await made_at(plane, JOB, "long")
        await plane.stop()
        await asyncio.sleep(1.5)  # the Job ends while nobody looks
        await plane.start()
        await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        assert await made_at(plane, JOB, "long") == before
        assert [(r.version, r.status) for r in await records(plane)] == [(1, "deployed")]

    on_plane(tmp_path, body, chart(job("long", "pre-install", run="1s")))


def test_a_hook_that_does_not_end_fails_after_the_timeout_of_its_action(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release("  install: {timeout: 1s}\n"))
        failed = await plane.until(HR, "default", "web", ready("False", "InstallFailed"))
        assert "pre-install hook Job/stuck did not finish within 1 s" in message(failed)

    on_plane(tmp_path, body, chart(job("stuck", "pre-install", run="60s")))


def test_hooks_that_are_not_run_are_named_and_those_switched_off_do_not_run(tmp_path):
    files = chart(job("farewell", "pre-delete"), job("hello", "pre-install", code=1))

    async def body(plane, _repo):
        await plane.apply(release("  install: {disableHooks: true}\n"))
        done = await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        named = condition(done, "FieldsNotHonoured")["message"]
        assert "hook Job/farewell (pre-delete)" in named
        assert await absent(plane, JOB, "hello")

    on_plane(tmp_path, body, files)


def test_waiting_says_that_post_hooks_come_only_after_it(tmp_path):
    stuck = """
apiVersion: v1
kind: Pod
metadata: {name: needs-hook, annotations: {embedded.sim/fail: never-ready}}
spec: {containers: [{name: c, image: "busybox:1"}]}
"""

    async def body(plane, _repo):
        await plane.apply(release())
        await plane.until(
            HR,
            "default",
            "web",
            waits_for("post-install hooks run only after that: Job/seed"),
        )

    on_plane(tmp_path, body, chart(job("seed", "post-install"), stuck))


def test_a_failing_hook_is_run_once_for_each_attempt_that_is_allowed(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release("  install: {remediation: {retries: 1}}\n"))
        stalled = await plane.until(HR, "default", "web", ready("False", "RetriesExceeded"))
        assert message(stalled) == "Failed to install after 2 attempt(s)"
        kept = await records(plane)
        assert [(r.version, r.status) for r in kept] == [(1, "failed"), (2, "failed")]

    on_plane(tmp_path, body, chart(job("migrate", "pre-install", code=1)))


def test_an_object_in_the_way_fails_a_hook_whose_policy_does_not_delete_it(tmp_path):
    hook = job("mine", "pre-install", policy="hook-succeeded")

    async def body(plane, _repo):
        await plane.apply(
            job("mine", "none").replace("  name: mine", "  name: mine\n  namespace: default")
        )
        await plane.apply(release())
        failed = await plane.until(HR, "default", "web", ready("False", "InstallFailed"))
        assert "Job/mine exists already" in message(failed)

    on_plane(tmp_path, body, chart(hook))


def test_a_change_while_a_hook_runs_starts_anew_and_leaves_no_pending_record(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", waits_for("waiting for pre-install hook Job/long"))
        await plane.apply(release("  install: {disableHooks: true}\n", values="{color: green}"))
        await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        kept = await records(plane)
        assert [(r.version, r.status) for r in kept] == [(1, "failed"), (2, "deployed")]
        assert "stale 'pending-install'" in kept[0].description

    on_plane(tmp_path, body, chart(job("long", "pre-install", run="60s")))


def test_a_hook_may_need_the_namespace_and_the_definitions_of_its_release(tmp_path):
    toy = (
        "apiVersion: example.com/v1\nkind: Toy\nmetadata:\n  name: bear\n"
        "  annotations: {helm.sh/hook: pre-install}\n"
    )

    async def body(plane, _repo):
        extra = "  targetNamespace: fresh\n  install: {createNamespace: true}\n"
        await plane.apply(release(extra))
        await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        await plane.client.get(GroupKind("example.com", "Toy"), "fresh", "bear")

    on_plane(tmp_path, body, chart(toy, **{"charts/web/crds/toys.yaml": CRD}))
