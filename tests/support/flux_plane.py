"""The Flux dialect on a real embedded cluster and a real Git server, for tests."""

import asyncio
import contextlib
import subprocess
import time
from pathlib import Path
from random import Random

from trimtab import flux
from trimtab.cli.demo.gitserver import GitServer
from trimtab.cluster import EmbeddedCluster
from trimtab.kube import Client, ClusterCache, load_kubeconfig
from trimtab.lang import yaml
from trimtab.objects import GroupKind, SchemaSet
from trimtab.render import RenderService
from trimtab.runtime import (
    EventRecorder,
    Manager,
    StatusWriter,
    SystemClock,
    install_crds,
    stderr_logger,
)
from trimtab.sources import SourceService

GIT = GroupKind("source.toolkit.fluxcd.io", "GitRepository")
KS = GroupKind("kustomize.toolkit.fluxcd.io", "Kustomization")
HR = GroupKind("helm.toolkit.fluxcd.io", "HelmRelease")


class Repository:
    """A bare repository on the server and a clone to commit from."""

    def __init__(self, git: GitServer, folder: Path, name: str) -> None:
        git.create(name)
        self.url = git.url_of(name)
        self.path = folder / name
        self.path.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", self.url)

    def push(self, files: dict[str, str | None]) -> str:
        """Write (None: delete) these files, commit and push; the commit id."""
        for name, text in files.items():
            file = self.path / name
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        self._git("add", "--all")
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        self._git(*who, "commit", "--quiet", "--allow-empty", "-m", "change")
        self._git("push", "--quiet", "origin", "HEAD:main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=self.path, check=True, capture_output=True, text=True
        ).stdout


class Plane:
    """What a test holds: client, cache, Git server; `stop` and `start` are a process's end and
    the next one's begin."""

    def __init__(self, client, git, folder, kubeconfig) -> None:
        self.client, self.git = client, git
        self.folder, self.kubeconfig = folder, kubeconfig
        self._running = contextlib.AsyncExitStack()

    async def start(self) -> None:
        running = _controllers(self.client, self.folder)
        self.cache, self.renders = await self._running.enter_async_context(running)

    async def stop(self) -> None:
        await self._running.aclose()

    def repository(self, name: str, files: dict[str, str]) -> Repository:
        made = Repository(self.git, self.folder / "clones", name)
        made.push(files)
        return made

    async def apply(self, text: str) -> None:
        for document in yaml.load_all(text.encode()):
            await self.client.apply(document.value, manager="test", force=True)

    async def until(self, gk, namespace, name, holds, limit_s=20.0):
        """The object once `holds(object)`; the test fails with its status otherwise."""
        deadline = time.monotonic() + limit_s
        obj = None
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                obj = await self.client.get(gk, namespace, name)
                if holds(obj):
                    return obj
            await asyncio.sleep(0.05)
        raise AssertionError(f"{gk} {namespace}/{name}: {yaml.dump((obj or {}).get('status'))}")

    async def until_gone(self, gk, namespace, name, limit_s=20.0):
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                await self.client.get(gk, namespace, name)
            except Exception as error:
                if getattr(error, "code", 0) == 404:
                    return
                raise
            await asyncio.sleep(0.05)
        raise AssertionError(f"{gk} {namespace}/{name} is still there")


def ready(status="True", reason=None, message=""):
    """A predicate on the Ready condition."""

    def holds(obj):
        for condition in (obj.get("status") or {}).get("conditions") or ():
            if condition["type"] == "Ready" and condition["status"] == status:
                return (reason in (None, condition["reason"])) and message in condition["message"]
        return False

    return holds


@contextlib.asynccontextmanager
async def _controllers(client, folder: Path):
    """The controllers, as one process runs them: (cache, renders)."""
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        cache = await stack.enter_async_context(ClusterCache(client, clock=clock, index=flux.INDEX))
        sources = SourceService(folder / "sources", clock=clock, poll_s=0.2)
        stack.push_async_callback(sources.close)
        renders = RenderService(folder / "renders", workers=1)
        stack.push_async_callback(renders.close)
        recorder = EventRecorder(client, "flux")
        manager = Manager(client, cache, clock=clock, log=stderr_logger(clock=clock))
        manager.add_service("events", recorder.run)
        deps = flux.Deps(
            client=client,
            cache=cache,
            sources=sources,
            renders=renders,
            artifacts=flux.ArtifactStore(folder / "artifacts", "http://127.0.0.1:1/artifacts"),
            schemas=SchemaSet.load(),
            status=StatusWriter(client, manager="gotk-trimtab", written=cache.note_write),
            events=recorder,
            clock=clock,
        )
        for controller in flux.controllers(deps, rng=Random(1)):
            manager.add(controller)
        stop = asyncio.Event()
        task = asyncio.create_task(manager.run(stop))
        try:
            yield cache, renders
        finally:
            stop.set()
            await task


@contextlib.asynccontextmanager
async def flux_plane(folder: Path):
    async with contextlib.AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(EmbeddedCluster())
        client = await stack.enter_async_context(Client(load_kubeconfig(cluster.kubeconfig_path)))
        await install_crds(client, flux.crds(), clock=SystemClock())
        git = stack.enter_context(GitServer(folder / "git"))
        plane = Plane(client, git, folder, cluster.kubeconfig_path)
        stack.push_async_callback(plane.stop)
        await plane.start()
        yield plane
