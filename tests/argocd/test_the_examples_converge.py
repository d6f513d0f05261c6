"""The repository's own examples, Kustomize overlays and a Helm chart, become Synced and Healthy."""

from __future__ import annotations

from pathlib import Path

from trimtab.lang import yaml

from .harness import DEPLOYMENT, World, with_world

ROOT = Path(__file__).parents[2] / "examples"


def _files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_example_application_becomes_synced_and_healthy(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        names = []
        for path in sorted((ROOT / "argocd").glob("*.yaml")):
            app = yaml.load(path.read_bytes(), source=path.name)
            app["spec"]["source"]["repoURL"] = world.repository.url
            names.append(app["metadata"]["name"])
            await world.create(app)
        for name in names:
            await world.until(lambda n=name: world.state(n) == ("Synced", "Healthy"), seconds=40)
        assert set(world.conditions("my-app-production")) <= {"RenderWarning"}
        kinds = {name: world.status(name)["sourceType"] for name in names}
        assert kinds == {
            "my-app-development": "Kustomize",
            "my-app-helm": "Helm",
            "my-app-production": "Kustomize",
            "my-app-staging": "Kustomize",
        }
        deployments = [
            d["metadata"]["namespace"] for d in (await world.client.list(DEPLOYMENT)).items
        ]
        assert {"development", "staging", "production", "helm-production"} <= set(deployments)

    files = _files(ROOT / "config-repo") | _files(ROOT / "helm-charts")
    with_world(tmp_path, files, body, seconds=90)
