"""Confirmation, takeover, termination, restart and secrets, on the embedded cluster."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trimtab.objects import GroupKind

from .harness import APPLICATION, CONFIG_MAP, World, application, config, job, text, with_world

GOOD = ("Synced", "Healthy")
OPTIONS = "argocd.argoproj.io/sync-options"
EVENT = GroupKind("", "Event")
JOB = GroupKind("batch", "Job")


def _approval() -> dict[str, object]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": now}}}


def test_pruning_waits_for_confirmation(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await world.push({"app/b.yaml": None})
        message = "waiting for pruning confirmation of /ConfigMap/b"
        await world.until(
            lambda: world.status().get("operationState", {}).get("message") == message
        )
        await asyncio.sleep(0.3)
        assert await world.get(CONFIG_MAP, "b") is not None
        await world.edit(_approval())
        await world.until(lambda: world.state() == GOOD and world.phase() == "Succeeded")
        assert await world.get(CONFIG_MAP, "b") is None

    files = {
        "app/a.yaml": text(config("a", k="v")),
        "app/b.yaml": text(config("b", {OPTIONS: "Prune=confirm"}, k="v")),
    }
    with_world(tmp_path, files, body)


def test_deleting_waits_for_confirmation_and_says_so(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        policy = {"automated": {}, "syncOptions": ["CreateNamespace=true", "Delete=confirm"]}
        app = application(world.repository.url, syncPolicy=policy)
        app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
        await world.create(app)
        await world.until(lambda: world.state() == GOOD)
        await world.client.delete(APPLICATION, "argocd", "web")
        await world.until(lambda: "DeletionError" in world.conditions())
        assert world.conditions()["DeletionError"] == (
            "waiting for deletion confirmation of /ConfigMap/a"
        )
        assert await world.get(CONFIG_MAP, "a") is not None
        await world.edit(_approval())
        await world.until(lambda: not world.app())
        assert await world.get(CONFIG_MAP, "a") is None

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)


def test_prune_and_delete_false_of_the_application_keep_its_objects(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        options = ["CreateNamespace=true", "Prune=false", "Delete=false"]
        policy = {"automated": {"prune": True}, "syncOptions": options}
        app = application(world.repository.url, syncPolicy=policy)
        app["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
        await world.create(app)
        await world.until(lambda: world.state() == GOOD)
        commit = await world.push({"app/b.yaml": None})
        await world.until(
            lambda: (
                world.status()["operationState"]["syncResult"]["revision"] == commit
                and world.phase() == "Succeeded"
            )
        )
        results = world.status()["operationState"]["syncResult"]["resources"]
        assert [r["message"] for r in results if r["name"] == "b"] == ["ignored (no prune)"]
        await world.client.delete(APPLICATION, "argocd", "web")
        await world.until(lambda: not world.app())
        assert await world.get(CONFIG_MAP, "a") is not None
        assert await world.get(CONFIG_MAP, "b") is not None

    files = {"app/a.yaml": text(config("a", k="v")), "app/b.yaml": text(config("b", k="v"))}
    with_world(tmp_path, files, body)


def test_a_restart_in_the_middle_of_a_hook_runs_nothing_twice(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(
            lambda: (
                (world.status().get("operationState") or {})
                .get("message", "")
                .startswith("waiting for completion of hook")
                or world.phase() == "Succeeded"
            )
        )
        before = await world.get(JOB, "migrate")
        await world.restart()
        await world.until(lambda: world.phase() == "Succeeded" and world.state() == GOOD)
        after = await world.get(JOB, "migrate")
        assert before
        assert after
        assert before["metadata"]["uid"] == after["metadata"]["uid"]
        assert len(world.status()["history"]) == 1

    hook = job("migrate", {"argocd.argoproj.io/hook": "PreSync"})
    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"), hook)}, body)


def test_a_running_operation_is_terminated_by_its_phase(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await world.push({"app/b.yaml": None})
        await world.until(
            lambda: "confirmation" in world.status()["operationState"].get("message", "")
        )
        await world.edit({"status": {"operationState": {"phase": "Terminating"}}})
        await world.until(lambda: world.phase() == "Failed", seconds=4)
        assert world.status()["operationState"]["message"] == "Operation terminated"
        assert await world.get(CONFIG_MAP, "b") is not None

    files = {
        "app/a.yaml": text(config("a", k="v")),
        "app/b.yaml": text(config("b", {OPTIONS: "Prune=confirm"}, k="v")),
    }
    with_world(tmp_path, files, body)


def test_credentials_open_the_repository_and_are_told_to_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "c4n4ry-p4ssw0rd"

    def secret(name: str, password: str, kind: str, url: str) -> dict[str, object]:
        label = {"argocd.argoproj.io/secret-type": kind}
        data = {"url": url, "username": "ada", "password": password}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "argocd", "labels": label},
            "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
        }

    async def body(world: World) -> None:
        url = world.repository.url
        await world.create(application(url))
        await world.until(lambda: "ComparisonError" in world.conditions())
        await world.create(secret("wrong", canary + "-wrong", "repo-creds", url.rpartition("/")[0]))
        await asyncio.sleep(0.5)
        await world.create(secret("right", canary, "repository", url))
        await world.until(lambda: world.state() == GOOD, seconds=25)
        events = (await world.client.list(EVENT)).items
        assert canary not in json.dumps([world.app(), events])

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body, basic=("ada", canary))
    out, err = capfd.readouterr()
    assert canary not in out + err


def test_an_application_that_asks_for_deletion_hooks_is_not_deleted_without_them(
    tmp_path: Path,
) -> None:
    async def body(world: World) -> None:
        app = application(world.repository.url)
        app["metadata"]["finalizers"] = [
            "resources-finalizer.argocd.argoproj.io",
            "pre-delete-finalizer.argocd.argoproj.io",
        ]
        await world.create(app)
        await world.until(lambda: world.state() == GOOD)
        await world.client.delete(APPLICATION, "argocd", "web")
        await world.until(lambda: "DeletionError" in world.conditions())
        assert "its hooks would not be run" in world.conditions()["DeletionError"]
        assert await world.get(CONFIG_MAP, "a") is not None

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)
