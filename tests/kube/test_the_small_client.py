"""The synchronous client of the command line: same calls, same errors, no aiohttp."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from trimtab.kube import Connection, NotFound, SimpleClient, UnknownKind, Unreachable
from trimtab.objects import GroupKind

from .fault_server import FaultServer, Reply, bookmark, config_map, event, fault_server, status

CM = GroupKind("", "ConfigMap")


def with_client(
    prepare: Callable[[FaultServer], None], body: Callable[[SimpleClient, FaultServer], None]
) -> None:
    async def main() -> None:
        async with fault_server() as server:
            prepare(server)
            connection = Connection(server=server.url, token="t0ken")

            def work() -> None:
                with SimpleClient(connection) as client:
                    body(client, server)

            await asyncio.to_thread(work)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_importing_it_loads_neither_aiohttp_nor_asyncio_clients() -> None:
    code = (
        "import sys, trimtab.kube.simple;"
        "from trimtab.kube import SimpleClient, Connection;"
        "print([name for name in ('aiohttp', 'asyncio', 'multidict', 'prometheus_client', 'yaml')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_lists_every_page_over_one_connection() -> None:
    def prepare(server: FaultServer) -> None:
        first = {
            "metadata": {"resourceVersion": "20", "continue": "more"},
            "items": [{"metadata": {"name": "a"}}],
        }
        second = {"metadata": {"resourceVersion": "20"}, "items": [config_map("b", 4)]}
        server.lists.extend([Reply(body=first), Reply(body=second)])

    def body(client: SimpleClient, server: FaultServer) -> None:
        found = client.list(CM, "default", label_selector="a=b")
        assert [item["metadata"]["name"] for item in found.items] == ["a", "b"]
        assert found.items[0]["kind"] == "ConfigMap"
        assert found.resource_version == "20"
        assert server.requests[-1].query["labelSelector"] == "a=b"
        assert server.requests[-1].headers["authorization"] == "Bearer t0ken"
        assert server.open == 1

    with_client(prepare, body)


def test_it_retries_writes_raises_and_knows_kinds() -> None:
    def body(client: SimpleClient, server: FaultServer) -> None:
        client.discovery()
        replies = [Reply(503, b"away"), Reply(body=config_map("a", 7))]
        server.other = lambda r: replies.pop(0) if "configmaps" in r.path else None
        applied = client.apply(config_map("a", 0), manager="me", force=True)
        assert applied["metadata"]["resourceVersion"] == "7"
        replies.append(Reply(404, status(404, "NotFound", 'configmaps "x" not found', name="x")))
        with pytest.raises(NotFound, match='"x" not found'):
            client.get(CM, "default", "x")
        with pytest.raises(UnknownKind):
            client.get(GroupKind("", "Widget"), "default", "x")
        replies.append(Reply(body={"kind": "Status", "status": "Success"}))
        client.delete(CM, "default", "a", uid="u")
        assert server.requests[-1].method == "DELETE"

    with_client(lambda server: None, body)


def test_it_watches_until_the_stream_ends() -> None:
    def prepare(server: FaultServer) -> None:
        server.watches.append(
            Reply(
                chunks=[
                    event("ADDED", config_map("a", 4)),
                    bookmark(9),
                    event("MODIFIED", config_map("a", 10))[:-20],
                    event("MODIFIED", config_map("a", 10))[-20:],
                ]
            )
        )

    def body(client: SimpleClient, server: FaultServer) -> None:
        seen = list(client.watch(CM, "default", name="a", timeout_s=5))
        assert [(kind, obj["metadata"]["resourceVersion"]) for kind, obj in seen] == [
            ("ADDED", "4"),
            ("MODIFIED", "10"),
        ]
        assert server.requests[-1].query["fieldSelector"] == "metadata.name=a"

    with_client(prepare, body)


def test_a_server_that_is_not_there_is_unreachable_with_a_hint() -> None:
    with (
        SimpleClient(Connection(server="http://127.0.0.1:1")) as client,
        pytest.raises(Unreachable) as caught,
    ):
        client.get(CM, "default", "a")
    assert "running" in caught.value.hint


def test_a_connection_the_server_closed_meanwhile_is_not_written_to() -> None:
    def body(client: SimpleClient, server: FaultServer) -> None:
        server.other = lambda r: Reply(body=config_map("a", 7)) if "maps" in r.path else None
        client.get(CM, "default", "a")
        assert server.open == 1
        for writer in list(server.writers):
            server.loop.call_soon_threadsafe(writer.close)
        deadline = time.monotonic() + 5
        while server.open and time.monotonic() < deadline:
            time.sleep(0.01)
        created = client.create(config_map("a", 0), manager="m")
        assert created["metadata"]["resourceVersion"] == "7"

    with_client(lambda server: None, body)
