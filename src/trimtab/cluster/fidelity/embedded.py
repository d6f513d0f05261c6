"""An embedded cluster in a thread of its own, for runs that name no server."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Final

from trimtab.cluster.fidelity.api import Server
from trimtab.cluster.server import EmbeddedCluster
from trimtab.errors import TrimtabError

__all__ = ["embedded_server"]

START_S: Final = 30.0


@contextlib.contextmanager
def embedded_server(*, clock: float = 20.0) -> Iterator[Server]:
    """Its controllers work `clock` times as fast as real ones. Raises what starting it raises."""
    ready, failures, found = threading.Event(), list[BaseException](), list[Any]()

    async def serve() -> None:
        stop = asyncio.Event()
        async with EmbeddedCluster(clock=clock) as cluster:
            found.extend((cluster, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, daemon=True, name="embedded cluster")
    thread.start()
    if not ready.wait(START_S):
        raise TrimtabError("the embedded cluster did not start in time")
    if failures:
        raise failures[0]
    cluster, loop, stop = found
    try:
        yield Server(cluster.url, cluster.token, cluster.ca_pem)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
