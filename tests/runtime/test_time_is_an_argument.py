"""spec/controller-runtime.md 17: the clock a test moves, and deadlines on it."""

from __future__ import annotations

import asyncio

import pytest

from trimtab.runtime import ManualClock, SystemClock, within


def test_sleepers_wake_in_order_and_may_sleep_again_within_one_advance() -> None:
    async def main() -> None:
        clock, log = ManualClock(), []

        async def tick(name: str, seconds: float) -> None:
            for _ in range(3):
                await clock.sleep(seconds)
                log.append((name, clock.monotonic()))

        async with asyncio.TaskGroup() as group:
            group.create_task(tick("slow", 5))
            group.create_task(tick("fast", 2))
            await clock.advance(4.5)
            assert log == [("fast", 2), ("fast", 4)]
            assert clock.next_due() == pytest.approx(0.5)
            await clock.advance(100)
        assert log[2:] == [("slow", 5), ("fast", 6), ("slow", 10), ("slow", 15)]
        assert clock.next_due() is None
        assert clock.now().isoformat() == "2026-01-01T00:01:44.500000+00:00"

    asyncio.run(asyncio.wait_for(main(), 5))


def test_work_that_takes_too_long_is_cancelled_and_cleans_up_first() -> None:
    async def main() -> None:
        clock, log = ManualClock(), []

        async def work() -> str:
            try:
                await clock.sleep(100)
            finally:
                log.append("cleaned up")
            return "late"

        async with asyncio.TaskGroup() as group:
            late = group.create_task(_outcome(within(clock, 10, work())))
            early = group.create_task(_outcome(within(clock, 1000, work())))
            await clock.advance(10)
            assert (late.done(), log) == (True, ["cleaned up"])
            await clock.advance(100)
        assert late.result() == "TimeoutError"
        assert early.result() == "late"

    asyncio.run(asyncio.wait_for(main(), 5))


def test_cancelling_the_caller_cancels_the_work() -> None:
    async def main() -> None:
        log: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = asyncio.create_task(within(SystemClock(), 100, work()))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert log == ["cancelled"]

    asyncio.run(asyncio.wait_for(main(), 5))


async def _outcome(work: object) -> str:
    try:
        return str(await work)  # type: ignore[misc]
    except TimeoutError:
        return "TimeoutError"
