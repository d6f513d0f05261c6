"""`EmbeddedCluster`: a Kubernetes API server with simulated controllers, in the caller's loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import uvicorn

from trimtab.cluster import simulation
from trimtab.cluster.app import App
from trimtab.cluster.auth import Auth
from trimtab.cluster.bootstrap import bootstrap
from trimtab.cluster.certificates import ensure_identity, write_private
from trimtab.cluster.control import Control
from trimtab.cluster.kubeconfig import kubeconfig_text, write_kubeconfig
from trimtab.cluster.lifecycle import Lifecycle
from trimtab.cluster.metrics import RequestMetrics
from trimtab.cluster.process import process_file
from trimtab.cluster.rbac import Authorizer
from trimtab.cluster.registry import Registry
from trimtab.cluster.routes import Routes
from trimtab.cluster.storage import Storage
from trimtab.cluster.store import Store
from trimtab.cluster.tokens import Tokens
from trimtab.cluster.world import StoreWorld
from trimtab.cluster.writer import Deletion, Writer
from trimtab.errors import TrimtabError
from trimtab.objects import SchemaSet
from trimtab.objects.identity import GroupKind

__all__ = ["EmbeddedCluster"]

STOP_S: Final = 5
EVENTS_LOOK_S: Final = 30.0
EVENTS_LIVE: Final = timedelta(hours=1)


class EmbeddedCluster:
    """Use as an async context manager.

    `data_dir` None keeps nothing: state lives in memory and a temporary directory. `clock` is
    real, manual, or a factor. Raises `TrimtabError` when the port or the database cannot be used.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int = 0,
        kube_version: str = "",
        clock: str | float = "real",
        controllers: bool = True,
        seed: int | None = None,
        name: str = "trimtab",
        allow_unenforced_admission: bool = False,
    ) -> None:
        self._given = data_dir
        self._unenforced = allow_unenforced_admission
        self._port = port
        self._name = name
        self._with_controllers = controllers
        self._rng = Random(seed)  # noqa: S311 - names and jitter, no secrets
        self._clock = simulation.clock_of(clock)
        self._schemas = SchemaSet.load(kube_version)
        self._stack = contextlib.AsyncExitStack()
        self.store = Store()
        self.simulation: simulation.Simulation | None = None
        self.url = ""
        self.token = ""
        self.ca_pem = ""
        self.kubeconfig_path = Path()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End watches, controllers, then the listener; everything written is on disk."""
        await self._stack.aclose()

    @property
    def kubeconfig_text(self) -> str:
        return self.kubeconfig_path.read_text()

    @property
    def manual(self) -> bool:
        """Does time move only when it is told to?"""
        return isinstance(self._clock, simulation.ManualClock)

    async def settle(self) -> int:
        """Run the simulated controllers until nothing is due (manual clock)."""
        total = 0
        while True:
            await self.store.settled()
            await asyncio.sleep(0)
            done = self.simulation.settle() if self.simulation else 0
            total += done
            await self.store.settled()
            if not done:
                return total

    async def advance(self, seconds: float) -> int:
        """Move a manual clock; what falls due is done."""
        done = self.simulation.advance(seconds) if self.simulation else 0
        return done + await self.settle()

    async def _start(self) -> None:
        folder = self._folder()
        identity = ensure_identity(folder)
        self.token, self.ca_pem = identity.token, identity.ca_pem
        registry = Registry(self._schemas)
        writer = Writer(
            self.store,
            registry,
            clock=self._clock,
            rng=self._rng,
            allow_unenforced_admission=self._unenforced,
        )
        with _collector_at_rest():
            await self._open_storage(folder)
            lifecycle = Lifecycle(self.store, registry, writer, clock=self._clock)
            self._stack.callback(lifecycle.start())
            self.store.forget_decoded()
        bootstrap(writer, registry)
        world = StoreWorld(self.store, registry, writer, clock=self._clock)
        if self._with_controllers:
            self.simulation = simulation.start(
                world, clock=self._clock, rng=self._rng, ca_pem=self.ca_pem
            )
            self._stack.callback(self.simulation.close)
            self._own(self.simulation.run(), "simulation")
        self._own(_forget_events(self.store, registry, writer, self._clock), "cluster events")
        listener = self._listen()
        self.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        metrics = RequestMetrics()
        authorizer = Authorizer(self.store)
        self._stack.callback(authorizer.start())
        tokens = Tokens(identity.key.read_bytes())
        auth = Auth(self.store, authorizer, tokens, admin_token=self.token, clock=self._clock)
        routes = Routes(
            self.store,
            registry,
            writer,
            clock=self._clock,
            rng=self._rng,
            version=_version(self._schemas.minor),
            address=lambda: self.url.removeprefix("https://"),
            control=Control(self, _capabilities()),
            metrics=metrics,
            auth=auth,
            authorizer=authorizer,
            tokens=tokens,
        )
        await self.store.settled()
        await self._serve(
            App(routes.handle, auth=auth, metrics=metrics),
            listener,
            identity.cert,
            identity.key,
        )
        self.kubeconfig_path = folder / "kubeconfig"
        write_kubeconfig(
            self.kubeconfig_path,
            kubeconfig_text(self._name, self.url, self.ca_pem, self.token),
        )
        routes.ready = True
        if self._given is not None:
            self._announce(process_file(self._given))

    def _announce(self, file: Path) -> None:
        """Tell other commands who serves this data directory, as long as we do."""
        write_private(file, json.dumps({"pid": os.getpid(), "url": self.url}))
        self._stack.callback(lambda: file.unlink(missing_ok=True))

    def _folder(self) -> Path:
        if self._given is None:
            temporary = self._stack.enter_context(TemporaryDirectory(prefix="trimtab-cluster-"))
            return Path(temporary)
        folder = self._given / "cluster"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        return folder

    async def _open_storage(self, folder: Path) -> None:
        if self._given is None:
            return
        storage = Storage(folder / "state.db", self.store)
        self._stack.callback(storage.close)
        storage.load()
        task = asyncio.create_task(storage.run(), name="cluster storage")

        async def finish() -> None:
            storage.close_when_written()
            await asyncio.wait([task], timeout=STOP_S)

        self._stack.push_async_callback(finish)

    async def _serve(self, app: App, listener: socket.socket, cert: Path, key: Path) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ssl_certfile=str(cert),
            ssl_keyfile=str(key),
            timeout_graceful_shutdown=STOP_S,
            timeout_keep_alive=75,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]), name="cluster http")

        async def finish() -> None:
            app.end_streams()
            server.should_exit = True
            await asyncio.wait([task], timeout=STOP_S * 2)

        self._stack.push_async_callback(finish)
        while not server.started:
            if task.done():
                await task
                raise TrimtabError("the embedded cluster's server did not start")
            await asyncio.sleep(0.002)

    def _own(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = asyncio.create_task(work, name=name)

        async def finish() -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        self._stack.push_async_callback(finish)

    def _listen(self) -> socket.socket:
        # The loop switches Nagle's delay off for sockets that name TCP; without, every answer of
        # two segments waits 40 ms for the client's acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
        except OSError as error:
            listener.close()
            raise TrimtabError(
                f"port {self._port} cannot be used",
                why=str(error.strerror),
                hint="--port 0 takes a free one",
                reason="PortInUse",
            ) from error
        return listener


async def _forget_events(
    store: Store, registry: Registry, writer: Writer, clock: simulation.Clock
) -> None:
    """Events live for an hour of the cluster's time (spec/embedded-cluster.md 7.8)."""
    gk = GroupKind("", "Event")
    resource = registry.of_kind(gk)
    assert resource is not None
    while True:
        await asyncio.sleep(EVENTS_LOOK_S)
        for record in list(store.iterate(gk)):
            seen = record.obj.get("lastTimestamp") or record.obj["metadata"]["creationTimestamp"]
            if clock.now() - datetime.fromisoformat(seen) > EVENTS_LIVE:
                writer.delete(resource, record.namespace, record.name, Deletion())


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Loading makes many objects and no garbage; the collector would look at all of them again
    and again (spec/embedded-cluster.md 13)."""
    ran = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if ran:
            gc.enable()


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one server in it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _version(minor: str) -> dict[str, str]:
    major, _, number = minor.partition(".")
    return {
        "major": major,
        "minor": number,
        "gitVersion": f"v{minor}.0+embedded",
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _capabilities() -> dict[str, Any]:
    return {
        "simulated": sorted(str(kind) for kind in simulation.SIMULATED),
        "notImplemented": [
            "pods/exec",
            "pods/attach",
            "pods/portforward",
            "pods/proxy",
            "services/proxy",
            "admission webhooks",
            "validating admission policies",
            "enforcement of ResourceQuota, LimitRange and NetworkPolicy",
            "conversion webhooks of CustomResourceDefinitions",
            "openapi/v2",
        ],
    }
