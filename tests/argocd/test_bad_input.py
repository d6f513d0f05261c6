"""Bad input: the right condition with place and reason; nothing pruned; the others go on."""

from __future__ import annotations

from pathlib import Path

from .harness import CONFIG_MAP, World, application, config, text, with_world

GOOD = ("Synced", "Healthy")


def test_broken_sources_are_named_and_nothing_is_pruned(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        url = world.repository.url
        for name in ("kust", "chart", "other"):
            await world.create(application(url, name=name, path=name))
        for name in ("kust", "chart", "other"):
            await world.until(lambda n=name: world.state(n) == GOOD)  # type: ignore[misc]
        await world.push(
            {
                "kust/kustomization.yaml": "resources:\n- missing.yaml\n",
                "chart/templates/a.yaml": 'a: b\nc: {{ fail "no good" }}\n',
                "other/o.yaml": text(config("o", k="2")),
            }
        )
        for name in ("kust", "chart"):
            await world.until(lambda n=name: "ComparisonError" in world.conditions(n))  # type: ignore[misc]
            assert world.state(name)[0] == "Unknown"
        assert "kust/kustomization.yaml" in world.conditions("kust")["ComparisonError"]
        assert "missing.yaml" in world.conditions("kust")["ComparisonError"]
        assert "templates/a.yaml:2" in world.conditions("chart")["ComparisonError"]
        assert "no good" in world.conditions("chart")["ComparisonError"]
        assert await world.get(CONFIG_MAP, "a") is not None
        assert await world.get(CONFIG_MAP, "c") is not None
        await world.until(
            lambda: "configmap/o configured" in str(world.status("other")["operationState"])
        )

    files = {
        "kust/kustomization.yaml": "resources:\n- a.yaml\n",
        "kust/a.yaml": text(config("a", k="v")),
        "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
        "chart/templates/a.yaml": text(config("c", k="v")),
        "other/o.yaml": text(config("o", k="1")),
    }
    with_world(tmp_path, files, body)


def test_an_unreachable_repository_is_a_comparison_error(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        await world.create(application("http://127.0.0.1:1/none.git", name="far"))
        await world.create(application(world.repository.url))
        await world.until(lambda: world.state() == GOOD)
        await world.until(lambda: "ComparisonError" in world.conditions("far"))
        assert "127.0.0.1:1" in world.conditions("far")["ComparisonError"]
        assert world.state("far")[0] == "Unknown"

    with_world(tmp_path, {"app/a.yaml": text(config("a", k="v"))}, body)
