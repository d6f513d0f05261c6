"""The real kubectl judges rollouts by status, generation and conditions: so do these tests."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
from pathlib import Path

import pytest

from trimtab.cluster.simulation import ScaledClock, start

from .door import Door
from .fixtures import deployment, node, set_image
from .test_workloads import workload
from .world import MemoryWorld

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


async def _rollout_status(url: str, what: str, home: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL), "--server", url, "--namespace", "demo", "--cache-dir", str(home / "cache"),
        "rollout", "status", what, "--timeout=20s",
        env={"HOME": str(home), "KUBECONFIG": str(home / "none")},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


def _watched_rollout(obj, change, home):
    """Creates a workload, lets it settle, changes it, and asks kubectl how that went."""

    async def scenario():
        clock = ScaledClock(5)
        world = MemoryWorld(clock=clock)
        world.create(node(), manager="test")
        simulation = start(world, clock=clock, rng=random.Random(1))
        task = asyncio.create_task(simulation.run())
        world.create(obj, manager="user")
        what = f"{obj['kind'].lower()}/{obj['metadata']['name']}"
        async with Door(world) as url:
            first = await _rollout_status(url, what, home)
            world.change(obj["kind"], obj["metadata"]["name"], change)
            second = await _rollout_status(url, what, home)
        task.cancel()
        return first, second

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("obj", "done"),
    [
        (deployment(), 'deployment "web" successfully rolled out'),
        (
            workload("StatefulSet", replicas=2, updateStrategy={"type": "RollingUpdate"}),
            "statefulset rolling update complete 2 pods at revision web-",
        ),
        (
            workload("DaemonSet", updateStrategy={"type": "RollingUpdate"}),
            'daemon set "web" successfully rolled out',
        ),
    ],
    ids=["deployment", "statefulset", "daemonset"],
)
def test_kubectl_sees_a_rollout_through(obj, done, tmp_path):
    first, second = _watched_rollout(obj, set_image("web:2"), tmp_path)
    assert first[0] == second[0] == 0, (first, second)
    assert done in second[1] or "roll out complete" in second[1]
    assert "Waiting for" in second[1]


def test_kubectl_sees_a_rollout_that_missed_its_deadline(tmp_path):
    obj = deployment(progressDeadlineSeconds=10)
    first, second = _watched_rollout(obj, set_image("web:image-pull"), tmp_path)
    assert first[0] == 0
    assert second[0] == 1
    assert 'deployment "web" exceeded its progress deadline' in second[1]
