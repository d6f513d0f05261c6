"""A project's lists hold for every route to a write, hooks included (SEC-11)."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.objects import GroupKind

from .harness import CONFIG_MAP, World, application, config, job, text, with_world

JOB = GroupKind("batch", "Job")


@pytest.mark.parametrize("phase", ["PreSync", "Sync", "PostSync"])
def test_a_hook_of_a_forbidden_kind_is_not_run_and_nothing_is_applied(
    tmp_path: Path, phase: str
) -> None:
    async def body(world: World) -> None:
        project = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "tight", "namespace": "argocd"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "*", "namespace": "*"}],
                "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
                "namespaceResourceBlacklist": [{"group": "batch", "kind": "Job"}],
            },
        }
        await world.create(project)
        await world.create(application(world.repository.url, project="tight"))
        why = "resource batch:Job is not permitted in project tight"
        await world.until(
            lambda: why in world.status().get("operationState", {}).get("message", "")
        )
        assert await world.get(JOB, "hook") is None
        assert await world.get(CONFIG_MAP, "a") is None

    hook = job("hook", {"argocd.argoproj.io/hook": phase})
    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"), hook)}, body)
