"""An Application on the embedded cluster, from a real Git repository."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from .harness import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    World,
    application,
    config,
    deployment,
    job,
    text,
    with_world,
)

GOOD = ("Synced", "Healthy")


def test_a_push_is_live_within_a_second_and_equal_objects_are_not_written(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        status = world.status()
        assert status["operationState"]["phase"] == "Succeeded"
        assert status["operationState"]["message"] == "successfully synced (all tasks run)"
        assert status["sourceType"] == "Directory"
        assert status["summary"]["images"] == ["web:1"]
        assert [entry["id"] for entry in status["history"]] == [0]
        live = await world.get(DEPLOYMENT, "web")
        assert live is not None
        assert live["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] == (
            "web:apps/Deployment:demo/web"
        )
        untouched = await world.get(CONFIG_MAP, "settings")
        commit = await world.push({"app/web.yaml": text(deployment(image="web:2"))})
        took = await world.until(
            lambda: (
                world.status()["sync"]["revision"] == commit
                and world.phase() == "Succeeded"
                and world.status()["operationState"]["syncResult"]["revision"] == commit
            )
        )
        assert took < 2.0
        live = await world.get(DEPLOYMENT, "web")
        assert live is not None
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
        again = await world.get(CONFIG_MAP, "settings")
        assert again is not None
        assert untouched is not None
        assert again["metadata"]["resourceVersion"] == untouched["metadata"]["resourceVersion"]
        results = world.status()["operationState"]["syncResult"]["resources"]
        assert {r["message"] for r in results} == {
            "configmap/settings unchanged",
            "deployment.apps/web configured",
        }

    files = {
        "app/web.yaml": text(deployment()),
        "app/settings.yaml": text(config("settings", key="value")),
    }
    with_world(tmp_path, files, body)


def test_a_settled_application_is_left_alone(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await asyncio.sleep(0.5)
        before = world.app()["metadata"]["resourceVersion"]
        await asyncio.sleep(1.0)
        assert world.app()["metadata"]["resourceVersion"] == before

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_drift_is_healed_and_what_git_does_not_mention_stays(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        def heals() -> int:
            state = world.status().get("operationState") or {}
            return int(
                (state.get("operation", {}).get("sync") or {}).get("autoHealAttemptsCount", 0)
            )

        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await world.client.patch(
            CONFIG_MAP,
            "demo",
            "a",
            {"data": {"k": "changed", "other": "mine"}},
            kind="merge",
            manager="somebody",
        )
        await world.until(lambda: heals() == 1 and world.state() == GOOD)
        live = await world.get(CONFIG_MAP, "a")
        assert live is not None
        assert live["data"] == {"k": "v", "other": "mine"}
        await world.client.delete(CONFIG_MAP, "demo", "a")
        await world.until(lambda: heals() == 2 and world.state() == GOOD)

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_what_leaves_git_is_pruned_and_an_empty_render_is_not_obeyed(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await world.push({"app/b.yaml": None})
        await world.until(lambda: len(world.status().get("resources", [])) == 1)
        assert await world.get(CONFIG_MAP, "b") is None
        await world.push({"app/a.yaml": None, "app/README.md": "nothing here"})
        await world.until(lambda: "SyncError" in world.conditions())
        assert "auto-sync will wipe out all resources" in world.conditions()["SyncError"]
        assert await world.get(CONFIG_MAP, "a") is not None

    files = {"app/a.yaml": text(config("a", k="v")), "app/b.yaml": text(config("b", k="v"))}
    with_world(tmp_path, files, body)


def test_a_broken_template_prunes_nothing_and_others_go_on(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.create(application(world.repository.url, name="other", path="other"))
        await world.until(lambda: world.state() == GOOD and world.state("other") == GOOD)
        await world.push(
            {"app/a.yaml": "kind: [broken\n", "other/o.yaml": text(config("o", k="2"))}
        )
        await world.until(lambda: "ComparisonError" in world.conditions())
        assert world.state()[0] == "Unknown"
        assert "app/a.yaml:" in world.conditions()["ComparisonError"]
        assert await world.get(CONFIG_MAP, "a") is not None

        def other() -> Any:
            results = world.status("other")["operationState"]["syncResult"]["resources"]
            return any(r["message"] == "configmap/o configured" for r in results)

        await world.until(other)
        await world.push({"app/a.yaml": text(config("a", k="v"))})
        await world.until(lambda: world.state() == GOOD and not world.conditions())

    files = {"app/a.yaml": text(config("a", k="v")), "other/o.yaml": text(config("o", k="1"))}
    with_world(tmp_path, files, body)


def test_specs_that_cannot_be_honoured_say_why(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        url = world.repository.url
        cases: dict[str, tuple[dict[str, Any], str, str]] = {
            "project": ({"project": "nope"}, "InvalidSpecError", "nope which does not exist"),
            "server": (
                {"destination": {"server": "https://other", "namespace": "demo"}},
                "InvalidSpecError",
                "https://other",
            ),
            "path": (
                {"source": {"repoURL": url, "path": "missing"}},
                "ComparisonError",
                "missing",
            ),
            "revision": (
                {"source": {"repoURL": url, "path": "app", "targetRevision": "v9"}},
                "ComparisonError",
                "v9",
            ),
            "several": (
                {"sources": [{"repoURL": url, "path": "a"}, {"repoURL": url, "path": "b"}]},
                "InvalidSpecError",
                "more than one source",
            ),
        }
        for name, (spec, _, _) in cases.items():
            await world.create(application(url, name=name, **spec))
        for name, (_, kind, part) in cases.items():
            await world.until(lambda name=name: world.conditions(name))  # type: ignore[misc]
            assert part in world.conditions(name)[kind], name
            assert world.state(name)[0] == "Unknown"

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_a_manual_sync_runs_once_and_its_operation_is_taken_away(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        policy = {"syncOptions": ["CreateNamespace=true", "Wings=true"]}
        await world.create(application(world.repository.url, syncPolicy=policy))
        await world.until(lambda: world.state() == ("OutOfSync", "Missing"))
        assert "Wings=true" in world.conditions()["UnsupportedFieldWarning"]
        assert await world.get(NAMESPACE, "demo", "") is None
        await world.edit({"operation": {"sync": {}, "initiatedBy": {"username": "ada"}}})
        await world.until(lambda: world.state() == GOOD and world.phase() == "Succeeded")
        assert "operation" not in world.app()
        assert world.status()["history"][0]["initiatedBy"] == {"username": "ada"}

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_a_refresh_is_consumed_and_answered(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        commit = world.repository.commit({"app/a.yaml": text(config("a", k="2"))})
        note = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        await world.edit(note)
        await world.until(lambda: world.status()["sync"]["revision"] == commit)
        await world.until(lambda: not world.app()["metadata"].get("annotations"))
        await world.until(lambda: world.state() == GOOD)

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_hooks_and_waves_run_in_order_and_wait(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.phase() == "Succeeded" and world.state() == GOOD)
        results = world.status()["operationState"]["syncResult"]["resources"]
        assert [(r["name"], r["syncPhase"]) for r in results] == [
            ("migrate", "PreSync"),
            ("early", "Sync"),
            ("web", "Sync"),
            ("late", "Sync"),
            ("notify", "PostSync"),
        ]
        assert [r["hookPhase"] for r in results if r.get("hookType")] == ["Succeeded"] * 2
        early, late = await world.get(CONFIG_MAP, "early"), await world.get(CONFIG_MAP, "late")
        migrate = await world.get(type(CONFIG_MAP)("batch", "Job"), "migrate")
        assert early
        assert late
        assert migrate
        assert migrate["status"]["completionTime"] <= early["metadata"]["creationTimestamp"]
        assert {r["name"] for r in world.status()["resources"]} == {"early", "web", "late"}

    hook = "argocd.argoproj.io/hook"
    wave = "argocd.argoproj.io/sync-wave"
    files = {
        "app/all.yaml": text(
            job("notify", {hook: "PostSync"}),
            config("late", {wave: "5"}, k="v"),
            deployment(),
            config("early", {wave: "-1"}, k="v"),
            job("migrate", {hook: "PreSync"}),
        )
    }
    with_world(tmp_path, files, body)


def test_deleting_an_application_takes_its_objects_with_it(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        app = application(world.repository.url)
        app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
        await world.create(app)
        await world.create(application(world.repository.url, name="kept", path="kept"))
        await world.until(lambda: world.state() == GOOD and world.state("kept") == GOOD)
        gk = type(CONFIG_MAP)("argoproj.io", "Application")
        await world.client.delete(gk, "argocd", "web")
        await world.client.delete(gk, "argocd", "kept")
        await world.until(lambda: not world.app())
        assert await world.get(CONFIG_MAP, "a") is None
        assert await world.get(DEPLOYMENT, "web") is None
        assert await world.get(CONFIG_MAP, "k") is not None

    files = {
        "app/a.yaml": text(config("a", k="v"), deployment()),
        "kept/k.yaml": text(config("k", k="v")),
    }
    with_world(tmp_path, files, body)


def test_an_object_of_two_applications_is_warned_of(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await world.create(application(world.repository.url, name="twin", syncPolicy={}))
        await world.until(lambda: "SharedResourceWarning" in world.conditions("twin"))
        message = world.conditions("twin")["SharedResourceWarning"]
        assert message == "ConfigMap/a is part of applications twin and web"

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_a_failing_hook_fails_the_sync_and_nothing_after_it_is_written(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        retry = {"automated": {}, "syncOptions": ["CreateNamespace=true"], "retry": {"limit": 0}}
        await world.create(application(world.repository.url, syncPolicy=retry))
        await world.until(lambda: world.phase() == "Failed", seconds=30)
        message = world.status()["operationState"]["message"]
        assert message.startswith("one or more synchronization tasks completed unsuccessfully")
        assert await world.get(CONFIG_MAP, "a") is None
        await world.until(lambda: "SyncError" in world.conditions())
        assert world.conditions()["SyncError"].startswith("Failed last sync attempt to [")

    failing = job("migrate", {"argocd.argoproj.io/hook": "PreSync"})
    failing["spec"]["backoffLimit"] = 0
    failing["spec"]["template"]["metadata"] = {"annotations": {"embedded.sim/fail": "crash"}}
    files = {"app/a.yaml": text(config("a", k="v"), failing)}
    with_world(tmp_path, files, body)
