"""Everything in one process: embedded cluster or a real one, all controllers, the HTTP side.

This is where collaborators are made and handed down; nothing below makes its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Final, Self

import msgspec
import uvicorn
from prometheus_client import CollectorRegistry

from trimtab import argocd, flux
from trimtab.errors import TrimtabError
from trimtab.kube import AlreadyExists, Client, ClusterCache, Connection, load_kubeconfig
from trimtab.objects import SchemaSet
from trimtab.render import RenderService
from trimtab.runtime import (
    EventRecorder,
    Logger,
    Manager,
    Metrics,
    StatusWriter,
    SystemClock,
    install_crds,
)
from trimtab.server import READERS, App, Row
from trimtab.sources import SourceService

__all__ = ["Options", "System"]

SYNC_S: Final = 60.0
STOP_S: Final = 5
HOME: Final = "argocd"


class Options(msgspec.Struct, frozen=True):
    """What `trimtab up` was asked for. Without `kubeconfig` an embedded cluster is started.

    `port` is that of the HTTP side, `cluster_port` that of the embedded cluster; 0 takes a free
    one. `poll_s` is how often each repository is asked for its heads.
    """

    data: Path
    kubeconfig: Path | None = None
    port: int = 0
    cluster_port: int = 0
    kube_version: str = ""
    clock: str = "real"
    poll_s: float = 10.0


class System:
    """Use as an async context manager; everything lives inside it and ends in reverse order."""

    def __init__(self, options: Options, *, log: Logger, rng: Random) -> None:
        self.options = options
        self.started_in_s = 0.0
        self.cluster_url = ""
        self.kubeconfig = options.kubeconfig or Path()
        self.server_url = ""
        self.client: Client
        self.cache: ClusterCache
        self._log = log
        self._rng = rng
        self._clock = SystemClock()
        self._registry = CollectorRegistry()
        self._stop = asyncio.Event()
        self._change = asyncio.Event()
        self._stack = AsyncExitStack()
        self._renders: RenderService
        self._manager: Manager

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._stack.aclose()

    def rows(self) -> list[Row]:
        """The state of every custom resource, from the cache."""
        return self._app.rows()

    def render_count(self) -> int:
        """How many renders were done (not answered from the cache) so far."""
        return self._renders.stats.renders

    async def changed(self, at_most_s: float) -> None:
        """Return when anything in the cluster has changed, or after `at_most_s`."""
        self._change.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._change.wait()

    async def _start(self) -> None:
        self.options.data.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        connection = await self._connect()
        self.started_in_s = time.monotonic() - began
        metrics = Metrics(self._registry, log=self._log)
        self.client = await self._stack.enter_async_context(
            Client(connection, user_agent="trimtab", observer=metrics)
        )
        await self._ensure_namespace(HOME)
        await install_crds(self.client, [*argocd.crds(), *flux.crds()], clock=self._clock)
        self.cache = await self._stack.enter_async_context(
            ClusterCache(self.client, clock=self._clock, index={**argocd.INDEX, **flux.INDEX})
        )
        self._stack.callback(self.cache.subscribe(self._changed))
        await self._serve()
        await self._run_controllers(metrics)

    async def _ensure_namespace(self, name: str) -> None:
        """The namespace that Argo CD's settings and Applications live in."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            await self.client.create(namespace, manager="trimtab")
        except AlreadyExists:
            return

    async def _connect(self) -> Connection:
        if self.options.kubeconfig is not None:
            connection = load_kubeconfig(self.options.kubeconfig)
            self.cluster_url = connection.server
            return connection
        from trimtab.cluster import EmbeddedCluster

        cluster = await self._stack.enter_async_context(
            EmbeddedCluster(
                self.options.data,
                port=self.options.cluster_port,
                kube_version=self.options.kube_version,
                clock=self.options.clock,
            )
        )
        self.cluster_url = cluster.url
        self.kubeconfig = cluster.kubeconfig_path
        return load_kubeconfig(cluster.kubeconfig_path)

    async def _run_controllers(self, metrics: Metrics) -> None:
        cache_dir = self.options.data / "cache"
        sources = SourceService(
            cache_dir / "sources", clock=self._clock, poll_s=self.options.poll_s
        )
        self._stack.push_async_callback(sources.close)
        self._renders = RenderService(cache_dir / "renders")
        self._stack.push_async_callback(self._renders.close)
        schemas = SchemaSet.load()
        self._manager = Manager(
            self.client, self.cache, clock=self._clock, log=self._log, metrics=metrics
        )
        recorders = {
            name: EventRecorder(self.client, name)
            for name in ("argocd-application-controller", "flux")
        }
        for name, recorder in recorders.items():
            self._manager.add_service(name, recorder.run)
        for controller in argocd.controllers(
            argocd.Deps(
                client=self.client,
                cache=self.cache,
                sources=sources,
                renders=self._renders,
                schemas=schemas,
                clock=self._clock,
                rng=self._rng,
                events=recorders["argocd-application-controller"],
            )
        ):
            self._manager.add(controller)
        for controller in flux.controllers(
            flux.Deps(
                client=self.client,
                cache=self.cache,
                sources=sources,
                renders=self._renders,
                schemas=schemas,
                clock=self._clock,
                artifacts=flux.ArtifactStore(
                    self.options.data / "artifacts", f"{self.server_url}/artifacts"
                ),
                status=StatusWriter(
                    self.client, manager="gotk-trimtab", written=self.cache.note_write
                ),
                events=recorders["flux"],
            ),
            rng=self._rng,
        ):
            self._manager.add(controller)
        await self._own(self._manager.run(self._stop), "manager")
        await self.cache.ensure(READERS, timeout_s=SYNC_S)

    async def _serve(self) -> None:
        listener = _listen(self.options.port)
        self.server_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._app = App(
            self.cache,
            artifacts=self.options.data / "artifacts",
            registry=self._registry,
            ready=lambda: self._manager.ready,
            extra=self._figures,
        )
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_S,
            server_header=False,
        )
        server = _Server(config)
        task = await self._own(server.serve(sockets=[listener]), "http")

        async def stop() -> None:
            server.should_exit = True
            await asyncio.wait([task], timeout=STOP_S)

        self._stack.push_async_callback(stop)

    async def _own(self, work: Any, name: str) -> asyncio.Task[None]:
        """Run `work` as a task that this system ends: it is awaited on the way out."""
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)

        async def finish() -> None:
            self._stop.set()
            done, _ = await asyncio.wait([task], timeout=30)
            if not done:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self._stack.push_async_callback(finish)
        return task

    def _figures(self) -> Mapping[str, Any]:
        stats = self._renders.stats
        return {"renders": {"done": stats.renders, "reused": stats.hits}}

    def _changed(self, _old: object, _new: object) -> None:
        self._change.set()


class _Server(uvicorn.Server):
    """Signals belong to the process, not to its HTTP side."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise TrimtabError(
            f"port {port} cannot be used",
            why=str(error.strerror),
            hint="--port 0 takes a free one",
            reason="PortInUse",
        ) from error
    return listener
