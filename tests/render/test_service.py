"""Renders in workers: made once, made again only when what they read changed, killed alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from trimtab.render import (
    HelmError,
    HelmOptions,
    KustomizeOptions,
    LimitExceeded,
    Limits,
    ManifestError,
    Quarantined,
    RenderRequest,
    RenderService,
    RenderTimeout,
    WorkerDied,
)
from trimtab.render.pool import WorkerPool
from trimtab.render.wire import RenderJob

CHART = {"c/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"}
ENDLESS = {
    "c/Chart.yaml": CHART["c/Chart.yaml"],
    "c/templates/x.yaml": "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}",
}


def using(place: Path, work: Callable[[RenderService], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        service = RenderService(place, **options)
        try:
            return await work(service)
        finally:
            await service.close()

    return asyncio.run(run())


@pytest.fixture
def fleet(config_map):
    """Three overlays of one base, a plain directory and a chart."""
    files = {
        "base/cm.yaml": config_map("base"),
        "base/kustomization.yaml": "resources: [cm.yaml]\n",
        "plain/a.yaml": config_map("plain"),
        **CHART,
        "c/templates/cm.yaml": config_map("chart"),
    }
    for name in ("one", "two", "three"):
        files[f"apps/{name}/kustomization.yaml"] = f"resources: [../../base]\nnamePrefix: {name}-\n"
    return files


PATHS = ("apps/one", "apps/two", "apps/three", "plain", "c")


@pytest.mark.parametrize(
    ("change", "affected"),
    [
        ({"apps/one/kustomization.yaml": "resources: [../../base]\n"}, {"apps/one"}),
        ({"base/cm.yaml": "MAP"}, {"apps/one", "apps/two", "apps/three"}),
        ({"plain/new.yaml": "MAP"}, {"plain"}),
        ({"c/values.yaml": "a: 1\n"}, {"c"}),
        ({"README.md": "x"}, set()),
    ],
)
def test_only_renders_that_read_something_changed_are_made_again(
    tmp_path, snap, fleet, config_map, change, affected
) -> None:
    change = {key: config_map("new") if text == "MAP" else text for key, text in change.items()}
    before, after = snap(fleet), snap(fleet | change)
    request = {
        path: RenderRequest(path, kustomize=KustomizeOptions(load_restriction="tree"))
        for path in PATHS
    }

    async def work(service: RenderService) -> set[str]:
        for path in PATHS:
            await service.render(request[path], before)
        assert service.stats.renders == len(PATHS)
        again = set()
        for path in PATHS:
            count = service.stats.renders
            await service.render(request[path], after)
            again |= {path} if service.stats.renders > count else set()
        assert service.stats.invalidations == len(again)
        assert service.stats.hits == len(PATHS) - len(again)
        return again

    assert using(tmp_path / "cache", work, workers=1) == affected


def test_many_who_ask_for_the_same_at_once_cause_one_render(tmp_path, snap, fleet) -> None:
    snapshot = snap(fleet)

    async def work(service: RenderService) -> int:
        found = await asyncio.gather(
            *(service.render(RenderRequest("plain"), snapshot) for _ in range(10))
        )
        assert all(item == found[0] for item in found)
        return service.stats.renders

    assert using(tmp_path / "cache", work) == 1


def test_a_restart_finds_renders_on_disk_but_never_one_with_a_secret(
    tmp_path, snap, config_map
) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {p: canary-1}\n"
    snapshot = snap({"a/x.yaml": config_map("x"), "s/x.yaml": secret})

    async def work(service: RenderService) -> tuple[int, int]:
        for path in ("a", "s"):
            await service.render(RenderRequest(path), snapshot)
        return service.stats.renders, service.stats.disk_hits

    assert using(tmp_path / "cache", work) == (2, 0)
    assert using(tmp_path / "cache", work) == (1, 1)
    rows = sqlite3.connect(tmp_path / "cache" / "renders.sqlite").execute(
        "SELECT body FROM renders"
    )
    bodies = [zlib.decompress(row[0]) for row in rows]
    assert len(bodies) == 1
    assert b"canary-1" not in bodies[0]


def test_a_damaged_cache_file_is_only_a_slow_start(tmp_path, snap, config_map) -> None:
    snapshot = snap({"a.yaml": config_map("x")})
    place = tmp_path / "cache"
    place.mkdir()
    (place / "renders.sqlite").write_bytes(b"not a database " * 1000)

    async def work(service: RenderService) -> int:
        await service.render(RenderRequest(""), snapshot)
        return service.stats.renders

    assert using(place, work) == 1
    assert using(place, work) in (0, 1)
    assert using(place, work) == 0


def test_errors_come_back_whole_from_a_worker(tmp_path, snap) -> None:
    bad = "apiVersion: v1\nkind: ConfigMap\n"
    snapshot = snap({"d/a.yaml": bad, "d/b.yaml": bad, **CHART, "c/templates/x.yaml": "{{ nope }}"})

    async def work(service: RenderService) -> None:
        with pytest.raises(ManifestError) as caught:
            await service.render(RenderRequest("d"), snapshot)
        assert str(caught.value.where) == "d/a.yaml:1"
        assert [str(error.where) for error in caught.value.others] == ["d/b.yaml:1"]
        with pytest.raises(HelmError) as helm:
            await service.render(RenderRequest("c"), snapshot)
        assert str(helm.value.where) == "c/templates/x.yaml:1"

    using(tmp_path / "cache", work)


def test_an_endless_template_is_killed_alone_and_quarantined_after_two_workers(
    tmp_path, snap, config_map
) -> None:
    """SEC-04, REL-10."""
    bad = snap(ENDLESS | {"good/x.yaml": config_map("x")})
    changed = snap(ENDLESS | {"c/templates/x.yaml": config_map("x")})

    async def work(service: RenderService) -> None:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(RenderTimeout, match="longer than"):
                await service.render(RenderRequest("c"), bad)
            assert time.monotonic() - started < 10
            await service.render(RenderRequest("good"), bad)
        with pytest.raises(Quarantined):
            await service.render(RenderRequest("c"), bad)
        await service.render(RenderRequest("c"), changed)
        assert service.stats.killed == 2

    using(tmp_path / "cache", work, limits=Limits(time_s=1.0))


def test_a_worker_that_dies_fails_its_request_and_is_replaced(tmp_path, snap, config_map) -> None:
    snapshot = snap(ENDLESS | {"good/x.yaml": config_map("x")})

    async def work(service: RenderService) -> None:
        running = asyncio.create_task(service.render(RenderRequest("c"), snapshot))
        while not service.worker_pids:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        os.kill(service.worker_pids[0], signal.SIGKILL)
        with pytest.raises(WorkerDied):
            await running
        assert (await service.render(RenderRequest("good"), snapshot)).objects

    using(tmp_path / "cache", work)


def test_a_render_that_eats_memory_is_ended(tmp_path, snap) -> None:
    bomb = '{{ $s := "x" }}{{ range until 34 }}{{ $s = printf "%s%s" $s $s }}{{ end }}'
    snapshot = snap(CHART | {"c/templates/x.yaml": bomb})

    async def work(service: RenderService) -> None:
        with pytest.raises((LimitExceeded, WorkerDied)):
            await service.render(RenderRequest("c"), snapshot)

    using(tmp_path / "cache", work, limits=Limits(resident_bytes=300 * 1024 * 1024))


def test_no_worker_outlives_its_service(tmp_path, snap, fleet) -> None:
    snapshot = snap(fleet)

    async def work(service: RenderService) -> list[int]:
        await service.warm()
        await service.render(RenderRequest("c"), snapshot)
        return service.worker_pids

    pids = using(tmp_path / "cache", work)
    assert len(pids) == 1
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_extra_workers_end_when_the_load_is_gone(snap, config_map) -> None:
    snapshot = snap({"a.yaml": config_map("x")})

    async def run() -> None:
        pool = WorkerPool(3, idle_s=0.2)
        job = RenderJob(RenderRequest(""), snapshot.store, snapshot.tree)
        await asyncio.gather(*(pool.run(job, Limits()) for _ in range(3)))
        assert pool.alive == 3
        async with asyncio.timeout(5):
            while pool.alive > 1:
                await asyncio.sleep(0.02)
        await pool.run(job, Limits())
        assert pool.alive == 1
        await pool.close()

    asyncio.run(run())


def test_a_volatile_chart_is_not_kept(tmp_path, snap, config_map) -> None:
    text = config_map("x") + "data: {x: '{{ randAlphaNum 12 }}'}\n"
    snapshot = snap(CHART | {"c/templates/x.yaml": text})

    async def work(service: RenderService) -> int:
        for _ in range(2):
            result = await service.render(RenderRequest("c", helm=HelmOptions()), snapshot)
            assert result.volatile
        return service.stats.renders

    assert using(tmp_path / "cache", work) == 2
