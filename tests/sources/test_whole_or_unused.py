"""REL-02: a fetch that is cut anywhere leaves nothing that is ever read as a snapshot."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from trimtab.sources import GitProgram, SourceError, SourceService, SourceSpec


class CuttingProxy:
    """Forwards TCP to a port and closes each connection after `allow` bytes came back."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.allow: int | None = None
        self.passed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._up, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._down, args=(upstream, client), daemon=True).start()

    @staticmethod
    def _up(client: socket.socket, upstream: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                upstream.sendall(data)
        except OSError:
            return

    def _down(self, upstream: socket.socket, client: socket.socket) -> None:
        try:
            while data := upstream.recv(1024):
                if self.allow is not None:
                    data = data[: max(0, self.allow - self.passed)]
                self.passed += len(data)
                client.sendall(data)
                if self.allow is not None and self.passed >= self.allow:
                    break
        except OSError:
            pass
        for end in (client, upstream):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def files_of(tree: Any, path: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in tree.list(path):
        place = f"{path}/{entry.name}" if path else entry.name
        found |= files_of(tree, place) if entry.kind == "dir" else {place: tree.read(place)}
    return found


def test_a_fetch_cut_at_any_byte_gives_the_whole_tree_or_an_error(
    tmp_path, clock, repository, server
) -> None:
    content = {f"d{n % 7}/f{n}.bin": random.Random(n).randbytes(300) for n in range(40)}
    repository.commit(dict(content))
    proxy = CuttingProxy(int(server.url.rsplit(":", 1)[1]))
    url = f"http://127.0.0.1:{proxy.port}/config.git"

    async def attempt(place: Path, allow: int | None) -> dict[str, bytes] | None:
        proxy.allow, proxy.passed = allow, 0
        service = SourceService(place, clock=clock, git=GitProgram(timeout_s=10))
        try:
            snapshot = await service.snapshot(SourceSpec("git", url))
            return files_of(service.tree(snapshot))
        except SourceError:
            return None
        finally:
            await service.close()

    try:
        assert asyncio.run(attempt(tmp_path / "whole", None)) == content
        total = proxy.passed
        place = tmp_path / "cut"
        points = sorted(random.Random(7).sample(range(total), 20))
        results = [asyncio.run(attempt(place, point)) for point in points]
        assert all(result is None or result == content for result in results)
        assert None in results
        # The same store, after all those cuts, still becomes whole.
        assert asyncio.run(attempt(place, None)) == content
    finally:
        proxy.close()


@pytest.mark.parametrize("damage", ["objects", "head"])
def test_a_damaged_store_is_fetched_anew(tmp_path, clock, repository, damage) -> None:
    repository.commit({"a": "1"})

    async def take() -> bytes:
        service = SourceService(tmp_path / "cache", clock=clock, git=GitProgram())
        try:
            return service.tree(await service.snapshot(SourceSpec("git", repository.url))).read("a")
        finally:
            await service.close()

    assert asyncio.run(take()) == b"1"
    for file in (tmp_path / "cache").rglob("*"):
        packed = damage == "objects" and "objects" in file.parts and file.is_file()
        if packed or (damage == "head" and file.name == "HEAD"):
            file.chmod(0o600)
            file.unlink()
    assert asyncio.run(take()) == b"1"


def test_a_hung_server_is_left_after_the_time_limit(tmp_path, clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"

        async def take() -> None:
            service = SourceService(tmp_path, clock=clock, git=GitProgram(timeout_s=1), timeout_s=1)
            try:
                await service.snapshot(SourceSpec("git", url))
            finally:
                await service.close()

        with pytest.raises(SourceError, match="within 1 s"):
            asyncio.run(take())
