"""One poll of one repository, shared by everything that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from trimtab.errors import TrimtabError
from trimtab.sources.model import Snapshot, SourceSpec

__all__ = ["Poll"]

Answer = Snapshot | TrimtabError


class _Clock(Protocol):
    async def sleep(self, seconds: float) -> None: ...


class _Take(Protocol):
    def __call__(self, spec: SourceSpec, *, fresh: bool = False) -> Awaitable[Snapshot]: ...


class _Follower(msgspec.Struct, eq=False):
    spec: SourceSpec
    listener: Callable[[Answer], None]
    told: str | None = None


class Poll:
    """Asks every `interval_s`, at once when poked, while anybody follows.

    The first follower of a round asks the remote; the others use that answer. A failed round
    tells each follower the error and tries again sooner, with growing pauses up to the interval.
    """

    def __init__(self, url: str, take: _Take, *, clock: _Clock, interval_s: float) -> None:
        self.url = url
        self.closed = False
        self._take = take
        self._clock = clock
        self._interval_s = interval_s
        self._followers: list[_Follower] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, spec: SourceSpec, listener: Callable[[Answer], None]) -> Callable[[], None]:
        follower = _Follower(spec, listener)
        self._followers.append(follower)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        else:
            self._wake.set()

        def remove() -> None:
            if follower in self._followers:
                self._followers.remove(follower)
            if not self._followers and self._task is not None:
                self.closed = True
                self._task.cancel()

        return remove

    def poke(self) -> None:
        self._wake.set()

    async def close(self) -> None:
        self.closed = True
        self._followers.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            failures = 0 if await self._round() else failures + 1
            pause = self._interval_s
            if failures:
                pause = min(self._interval_s, 2.0 ** min(failures, 10))
            await self._pause(pause)

    async def _round(self) -> bool:
        """Whether the remote answered."""
        answered = True
        fresh = True
        for follower in list(self._followers):
            try:
                snapshot = await self._take(follower.spec, fresh=fresh)
            except TrimtabError as error:
                # Without a known answer, asking again for each follower would only wait again.
                unreachable = error.reason in ("Unreachable", "AuthenticationFailed")
                answered = answered and not unreachable
                if unreachable and fresh:
                    self._tell_all(error)
                    return False
                self._tell(follower, error, f"{error.reason} {error}")
            else:
                self._tell(follower, snapshot, snapshot.revision)
            fresh = False
        return answered

    def _tell_all(self, error: TrimtabError) -> None:
        for follower in list(self._followers):
            self._tell(follower, error, f"{error.reason} {error}")

    @staticmethod
    def _tell(follower: _Follower, answer: Answer, what: str) -> None:
        if follower.told != what:
            follower.told = what
            follower.listener(answer)

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            await asyncio.gather(sleeping, waking, return_exceptions=True)
