"""A whole system for a test: embedded cluster, a real Git server, the Application controller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pygit2

from trimtab import argocd
from trimtab.cli.demo.gitserver import GitServer
from trimtab.cluster import EmbeddedCluster
from trimtab.kube import Client, ClusterCache, NotFound, load_kubeconfig
from trimtab.lang import yaml
from trimtab.objects import GroupKind, ObjectKey, SchemaSet
from trimtab.render import RenderService
from trimtab.runtime import EventRecorder, Manager, SystemClock
from trimtab.sources import SourceService

APPLICATION = GroupKind("argoproj.io", "Application")
CONFIG_MAP = GroupKind("", "ConfigMap")
DEPLOYMENT = GroupKind("apps", "Deployment")
NAMESPACE = GroupKind("", "Namespace")


class Repository:
    """A bare repository; `commit` writes files on main without a checkout."""

    def __init__(self, path: Path, url: str) -> None:
        self.url = url
        self._git = pygit2.Repository(str(path))

    def commit(self, files: dict[str, str | None]) -> str:
        index = pygit2.Index()
        parents = []
        ref = "refs/heads/main"
        if ref in self._git.references:
            parents = [self._git.references[ref].target]
            index.read_tree(self._git[parents[0]].tree)
        for name, text in files.items():
            if text is None:
                index.remove(name)
                continue
            blob = self._git.create_blob(text.encode())
            index.add(pygit2.IndexEntry(name, blob, pygit2.enums.FileMode.BLOB))
        who = pygit2.Signature("Ada", "ada@example.org", 1_700_000_000, 0)
        commit = self._git.create_commit(
            None, who, who, "change", index.write_tree(self._git), parents
        )
        self._git.references.create(ref, commit, force=True)
        return str(commit)


class World:
    """What a test works with. `writes` counts requests that change something."""

    def __init__(self, client: Client, cache: ClusterCache, sources: SourceService) -> None:
        self.client = client
        self.cache = cache
        self.sources = sources
        self.repository: Repository
        self.restart: Callable[[], Awaitable[None]]

    def app(self, name: str = "web") -> dict[str, Any]:
        live = self.cache.get(ObjectKey("argoproj.io", "Application", "argocd", name))
        return live.obj if live else {}

    def status(self, name: str = "web") -> dict[str, Any]:
        return self.app(name).get("status") or {}

    def state(self, name: str = "web") -> tuple[str, str]:
        status = self.status(name)
        return (
            (status.get("sync") or {}).get("status", ""),
            (status.get("health") or {}).get("status", ""),
        )

    def conditions(self, name: str = "web") -> dict[str, str]:
        return {c["type"]: c["message"] for c in self.status(name).get("conditions") or ()}

    def phase(self, name: str = "web") -> str:
        return str((self.status(name).get("operationState") or {}).get("phase") or "")

    async def create(self, obj: dict[str, Any]) -> None:
        await self.client.create(obj, manager="test")

    async def edit(self, body: dict[str, Any], name: str = "web") -> None:
        await self.client.patch(APPLICATION, "argocd", name, body, kind="merge", manager="test")

    async def get(self, gk: GroupKind, name: str, namespace: str = "demo") -> dict[str, Any] | None:
        try:
            return await self.client.get(gk, namespace, name)
        except NotFound:
            return None

    async def until(self, check: Callable[[], object], *, seconds: float = 15) -> float:
        """Wait for it; how long it took. Fails with the application's status."""
        began = time.monotonic()
        while not check():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"did not happen in {seconds} s: {self.status()}")
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    async def push(self, files: dict[str, str | None]) -> str:
        """Commit and tell the sources, as a webhook does."""
        commit = self.repository.commit(files)
        self.sources.poke(self.repository.url)
        return commit


def application(url: str, *, name: str = "web", path: str = "app", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "targetRevision": "main", "path": path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "demo"},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true"],
            },
            **spec,
        },
    }


def text(*objects: dict[str, Any]) -> str:
    return yaml.dump_all(objects)


def config(name: str, annotations: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name}
    if annotations:
        meta["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def deployment(name: str = "web", image: str = "web:1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
            **spec,
        },
    }


def job(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "c", "image": "migrate:1"}],
                }
            }
        },
    }


def with_world(
    tmp_path: Path,
    files: dict[str, str],
    body: Callable[[World], Awaitable[None]],
    *,
    seconds: float = 60,
    basic: tuple[str, str] | None = None,
) -> None:
    """`body` may call `world.restart()`: the controllers stop and new ones, that remember
    nothing, go on."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            git = stack.enter_context(GitServer(tmp_path / "git", basic=basic))
            repository = Repository(git.create("config"), git.url_of("config"))
            repository.commit(dict(files))
            cluster = await stack.enter_async_context(EmbeddedCluster(data_dir=tmp_path / "k"))
            connection = load_kubeconfig(cluster.kubeconfig_path)
            client = await stack.enter_async_context(Client(connection, qps=None))
            await argocd.install_crds(client)
            await client.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}},
                manager="test",
            )
            clock = SystemClock()
            cache = await stack.enter_async_context(ClusterCache(client, index=argocd.INDEX))
            sources = SourceService(tmp_path / "sources", clock=clock)
            stack.push_async_callback(sources.close)
            renders = RenderService(tmp_path / "renders", workers=1)
            stack.push_async_callback(renders.close)

            def start() -> tuple[asyncio.Event, asyncio.Task[None]]:
                manager = Manager(client, cache, clock=clock)
                deps = argocd.Deps(
                    client=client,
                    cache=cache,
                    sources=sources,
                    renders=renders,
                    schemas=SchemaSet.load(),
                    clock=clock,
                    rng=Random(7),
                    events=EventRecorder(client, "argocd-application-controller"),
                )
                for controller in argocd.controllers(deps):
                    manager.add(controller)
                stop = asyncio.Event()
                return stop, asyncio.create_task(manager.run(stop))

            running = [start()]

            async def restart() -> None:
                stop, task = running.pop()
                stop.set()
                await task
                running.append(start())

            world = World(client, cache, sources)
            world.repository = repository
            world.restart = restart
            try:
                await body(world)
            finally:
                for stop, task in running:
                    stop.set()
                    await task

    asyncio.run(asyncio.wait_for(main(), seconds))
