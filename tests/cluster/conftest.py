"""A running embedded cluster, and the real kubectl pointed at it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import trimtab.cluster

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Kubectl:
    """Runs kubectl against one cluster, with a home and a cache of its own."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self.kubeconfig = kubeconfig
        self.home = home

    def command(self, *arguments: str) -> list[str]:
        return [str(KUBECTL), "--kubeconfig", str(self.kubeconfig), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": os.environ.get("PATH", ""), **more}

    def run(self, *arguments: str, stdin: Any = "", **environment: str) -> Ran:
        """`stdin`: text, or objects to send as YAML."""
        if isinstance(stdin, dict):
            stdin = [stdin]
        text = stdin if isinstance(stdin, str) else yaml.safe_dump_all(stdin, sort_keys=False)
        done = subprocess.run(
            self.command(*arguments), input=text, capture_output=True, text=True, timeout=60,
            env=self.environment(**environment), check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str, stdin: Any = "", **environment: str) -> str:
        """The output of a command that has to succeed."""
        ran = self.run(*arguments, stdin=stdin, **environment)
        assert ran.code == 0, f"kubectl {' '.join(arguments)}\n{ran.out}\n{ran.err}"
        return ran.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def refused(self, *arguments: str, stdin: Any = "") -> str:
        """What kubectl says of a command that has to fail."""
        ran = self.run(*arguments, stdin=stdin)
        assert ran.code != 0, f"kubectl {' '.join(arguments)} succeeded\n{ran.out}"
        return ran.err


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Api:
    """Plain HTTPS requests to a cluster, as its administrator unless told otherwise."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self._trust = ssl.create_default_context(cadata=cluster.ca_pem)

    def connect(self) -> http.client.HTTPSConnection:
        host = self.cluster.url.removeprefix("https://")
        return http.client.HTTPSConnection(host, context=self._trust, timeout=20)

    def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """Header names are given with underscores; a body that is no text is sent as JSON."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        token = self.cluster.token if token is None else token
        if token:
            names["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body)
            names.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=names)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())
        finally:
            connection.close()

    def watch(self, path: str) -> Iterator[Any]:
        """The events of a watch; close the generator to end it."""
        connection = self.connect()
        headers = {"Authorization": f"Bearer {self.cluster.token}"}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()


class Running:
    """A cluster on an event loop in a thread of its own."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._failure: BaseException | None = None
        self.cluster: Any = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        assert self._ready.wait(20), "the cluster did not start"
        if self._failure is not None:
            raise self._failure
        return self.cluster

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the cluster did not stop"

    def _work(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with trimtab.cluster.EmbeddedCluster(**self._settings) as cluster:
            self.cluster = cluster
            self._ready.set()
            await self._stop.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster whose controllers work twenty times as fast as real ones."""
    with Running(clock=20.0) as found:
        yield found


@pytest.fixture(scope="module")
def api(cluster: Any) -> Api:
    return Api(cluster)


@pytest.fixture(scope="module")
def kubectl(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    if KUBECTL is None:
        pytest.skip("kubectl is not installed")
    return Kubectl(Path(cluster.kubeconfig_path), tmp_path_factory.mktemp("home"))


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> str:
    """A namespace of this test alone."""
    import hashlib

    name = "t-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]
    kubectl("create", "namespace", name)
    return name
