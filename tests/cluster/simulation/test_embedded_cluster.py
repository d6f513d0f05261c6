"""The simulation inside the real embedded server, seen by the real kubectl."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import trimtab.cluster

from .fixtures import deployment, service

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
pytestmark = [
    pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed"),
    pytest.mark.skipif(
        not hasattr(trimtab.cluster, "EmbeddedCluster"), reason="there is no embedded server yet"
    ),
]


async def _kubectl(kubeconfig: Path, *arguments: str, stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL), "--kubeconfig", str(kubeconfig), *arguments,
        env={"HOME": str(kubeconfig.parent)}, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate(stdin.encode())
    assert process.returncode == 0, out.decode()
    return out.decode()


def test_kubectl_rolls_out_looks_back_and_deletes():
    async def scenario():
        async with trimtab.cluster.EmbeddedCluster(port=0, clock=5.0) as c:
            config = Path(c.kubeconfig_path)
            await _kubectl(config, "create", "namespace", "demo")
            objects = yaml.safe_dump_all([deployment(), service()])
            await _kubectl(config, "apply", "-f", "-", stdin=objects)
            wait = ("-n", "demo", "rollout", "status", "deployment/web", "--timeout=20s")
            assert "successfully rolled out" in await _kubectl(config, *wait)
            await _kubectl(config, "-n", "demo", "set", "image", "deployment/web", "web=web:2")
            assert "successfully rolled out" in await _kubectl(config, *wait)
            await _kubectl(config, "-n", "demo", "rollout", "undo", "deployment/web")
            assert "successfully rolled out" in await _kubectl(config, *wait)
            pods = json.loads(await _kubectl(config, "-n", "demo", "get", "pods", "-o", "json"))
            live = [p for p in pods["items"] if "deletionTimestamp" not in p["metadata"]]
            assert [p["spec"]["containers"][0]["image"] for p in live] == ["web:1"] * 3
            assert len({p["status"]["podIP"] for p in live}) == 3
            await _kubectl(config, "-n", "demo", "delete", "deployment/web", "--timeout=20s")
            await _kubectl(
                config, "-n", "demo", "wait", "--for=delete", "pods", "-l", "app=web",
                "--timeout=20s",
            )  # fmt: skip

    asyncio.run(scenario())
