"""Waiting for live objects: woken by their changes, looking anew at least once a second."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from trimtab.engine.model import LiveLike
from trimtab.engine.ports import ClockPort, LivePort
from trimtab.objects import ObjectKey

__all__ = ["wait_for", "wait_gone"]

T = TypeVar("T")
LOOK_S = 1.0


async def wait_for(
    live: LivePort,
    keys: Iterable[ObjectKey],
    judge: Callable[[LiveLike | None], T],
    settled: Callable[[T], bool],
    *,
    clock: ClockPort,
    timeout_s: float,
    hopeless: Callable[[T], bool] | None = None,
) -> dict[ObjectKey, T]:
    """Judge each object until all are settled, one is hopeless, or time is over.

    Returns the judgements that are not settled: empty means success.
    """
    wanted = tuple(dict.fromkeys(keys))
    deadline = clock.monotonic() + timeout_s
    change = asyncio.Event()
    seen = set(wanted)

    def listen(old: object, new: object) -> None:
        key = getattr(new or old, "key", None)
        if key in seen:
            change.set()

    stop = live.subscribe(listen)
    try:
        while True:
            change.clear()
            open_ = {key: verdict for key in wanted if not settled(verdict := judge(live.get(key)))}
            left = deadline - clock.monotonic()
            stuck = hopeless is not None and any(hopeless(each) for each in open_.values())
            if not open_ or stuck or left <= 0:
                return open_
            await _either(change, clock, min(LOOK_S, left))
    finally:
        stop()


async def wait_gone(
    live: LivePort, key: ObjectKey, *, uid: str, clock: ClockPort, timeout_s: float
) -> bool:
    """Until the object with this uid is gone; False when time is over."""
    left = await wait_for(
        live,
        [key],
        lambda found: found is None or found.uid != uid,
        bool,
        clock=clock,
        timeout_s=timeout_s,
    )
    return not left


async def _either(change: asyncio.Event, clock: ClockPort, seconds: float) -> None:
    """Until something changed or the clock says so."""
    tasks = [asyncio.ensure_future(change.wait()), asyncio.ensure_future(clock.sleep(seconds))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
