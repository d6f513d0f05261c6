"""Following a repository: one question for all who follow, outages survived (REL-08)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from trimtab.sources import (
    GitProgram,
    GitRef,
    RevisionNotFound,
    Snapshot,
    SourceService,
    SourceSpec,
    Unreachable,
)


def using(tmp_path: Path, clock: Any, work: Callable[[SourceService], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        service = SourceService(
            tmp_path / "cache", clock=clock, git=GitProgram(), poll_s=60, timeout_s=20
        )
        try:
            return await work(service)
        finally:
            await service.close()

    return asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_push_reaches_every_follower_with_one_question_per_interval(
    tmp_path, clock, repository
) -> None:
    first = repository.commit({"a": "1"})
    repository.commit({"a": "1"}, branch="side")

    async def work(service: SourceService) -> None:
        seen: dict[int, list[Snapshot]] = {number: [] for number in range(5)}
        for number, heard in seen.items():
            branch = "side" if number == 4 else "main"
            service.subscribe(
                SourceSpec("git", repository.url, GitRef(branch=branch)), heard.append
            )
        await until(lambda: all(len(heard) == 1 for heard in seen.values()))
        assert seen[0][0].revision == first
        assert service.stats.listings == 1
        second = repository.commit({"a": "2"})
        clock.advance(61)
        await until(lambda: all(len(seen[number]) == 2 for number in range(4)))
        assert {seen[number][1].revision for number in range(4)} == {second}
        assert len(seen[4]) == 1
        assert service.stats.listings == 2

    using(tmp_path, clock, work)


def test_a_poke_asks_now_however_the_address_is_written(tmp_path, clock, repository) -> None:
    repository.commit({"a": "1"})

    async def work(service: SourceService) -> None:
        heard: list[Snapshot] = []
        service.subscribe(SourceSpec("git", repository.url), heard.append)
        await until(lambda: len(heard) == 1)
        second = repository.commit({"a": "2"})
        service.poke("https://example.org/other.git")
        service.poke(repository.url.removesuffix(".git").upper().replace("HTTP", "http"))
        await until(lambda: len(heard) == 2)
        assert heard[1].revision == second

    using(tmp_path, clock, work)


def test_an_outage_is_told_once_and_ends_without_a_restart(
    tmp_path, clock, repository, server
) -> None:
    repository.commit({"a": "1"})

    async def work(service: SourceService) -> None:
        heard: list[Any] = []
        spec = SourceSpec("git", repository.url)
        service.subscribe(spec, heard.append)
        await until(lambda: len(heard) == 1)
        await asyncio.to_thread(server.stop)
        for _ in range(3):
            listings = service.stats.listings
            clock.advance(61)
            await until(lambda listings=listings: service.stats.listings > listings)
            await asyncio.sleep(0.05)
        assert [type(answer) for answer in heard] == [Snapshot, Unreachable]
        assert service.tree(heard[0]).read("a") == b"1"  # what was good stays readable
        await asyncio.to_thread(server.start)
        second = repository.commit({"a": "2"})
        clock.advance(61)
        await until(lambda: len(heard) == 3)
        assert heard[2].revision == second

    using(tmp_path, clock, work)


def test_one_follower_of_a_missing_branch_does_not_disturb_the_others(
    tmp_path, clock, repository
) -> None:
    repository.commit({"a": "1"})

    async def work(service: SourceService) -> None:
        bad: list[Any] = []
        good: list[Any] = []
        service.subscribe(SourceSpec("git", repository.url, GitRef(branch="no")), bad.append)
        service.subscribe(SourceSpec("git", repository.url, GitRef(branch="main")), good.append)
        await until(lambda: bool(bad and good))
        assert isinstance(bad[0], RevisionNotFound)
        assert isinstance(good[0], Snapshot)

    using(tmp_path, clock, work)


def test_who_left_hears_nothing_and_the_poll_ends_with_the_last(
    tmp_path, clock, repository
) -> None:
    repository.commit({"a": "1"})

    async def work(service: SourceService) -> None:
        heard: list[Any] = []
        leave = service.subscribe(SourceSpec("git", repository.url), heard.append)
        await until(lambda: len(heard) == 1)
        leave()
        repository.commit({"a": "2"})
        clock.advance(61)
        await asyncio.sleep(0.1)
        assert len(heard) == 1
        assert service.stats.listings == 1
        again: list[Any] = []
        service.subscribe(SourceSpec("git", repository.url), again.append)
        await until(lambda: len(again) == 1)

    using(tmp_path, clock, work)
