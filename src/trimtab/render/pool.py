"""Worker processes: started when needed, one job each at a time, killed when they misbehave."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from trimtab.render.errors import LimitExceeded, RenderTimeout, WorkerDied
from trimtab.render.limits import Limits
from trimtab.render.process import worker_command, worker_environment
from trimtab.render.wire import Answer, Job

__all__ = ["WorkerPool"]

_RECYCLE_JOBS = 500
_RECYCLE_BYTES = 300 * 1024 * 1024
_LOOK_S = 0.1
_MAX_ANSWER = 256 * 1024 * 1024


class _Worker:
    """One process and what we know of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.jobs = 0
        self.idle_since = 0.0

    @classmethod
    async def start(cls) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            *worker_command(),
            env=worker_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            limit=1024 * 1024,
        )
        return cls(process)

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def resident_bytes(self) -> int:
        """0 where the platform does not tell."""
        if sys.platform != "linux":
            return 0
        try:
            fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        except OSError:
            return 0
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    async def ask(self, body: bytes) -> bytes:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(len(body).to_bytes(4, "big") + body)
            await stdin.drain()
            size = int.from_bytes(await stdout.readexactly(4), "big")
            if size > _MAX_ANSWER:
                raise LimitExceeded("a worker's answer is too large", why=f"limit {_MAX_ANSWER}")
            return await stdout.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await self.process.wait()
            raise WorkerDied(
                "the worker process ended during the render", why=f"exit status {code}"
            ) from error

    def end(self) -> None:
        """Kill its process group; the event loop collects it."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def kill(self) -> None:
        if self.alive:
            self.end()
            await asyncio.shield(self.process.wait())


class WorkerPool:
    """At most `size` workers; another one is started only while all others are busy.

    After `idle_s` without work all but one end again: each holds up to 100 MB once it has
    rendered a chart.
    """

    def __init__(self, size: int, *, idle_s: float = 60.0) -> None:
        self._idle_s = idle_s
        self._shrinking: asyncio.TimerHandle | None = None
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False
        self._decoder = msgspec.msgpack.Decoder(Answer)

    @property
    def alive(self) -> int:
        return len(self._idle) + len(self._busy)

    @property
    def pids(self) -> list[int]:
        return [worker.process.pid for worker in (*self._idle, *self._busy)]

    async def warm(self) -> None:
        """Have one worker ready, so that the first job does not wait for its start."""
        async with self._free:
            if not self._idle and not self._busy and not self._closed:
                self._idle.append(await _Worker.start())

    async def run(self, job: Job, limits: Limits) -> Answer:
        """One answer. After RenderTimeout, WorkerDied or LimitExceeded the worker is gone."""
        body = msgspec.msgpack.encode(job)
        async with self._free:
            worker = await self._take()
            self._busy.add(worker)
            keep = False
            try:
                answer: Answer = self._decoder.decode(await _watched(worker, body, limits))
                keep = True
                return answer
            finally:
                self._busy.discard(worker)
                await self._give_back(worker, keep=keep)

    async def close(self) -> None:
        self._closed = True
        if self._shrinking is not None:
            self._shrinking.cancel()
        for worker in (*self._idle, *self._busy):
            await worker.kill()
        self._idle.clear()

    async def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
        return await _Worker.start()

    async def _give_back(self, worker: _Worker, *, keep: bool) -> None:
        worker.jobs += 1
        worn = worker.jobs >= _RECYCLE_JOBS or worker.resident_bytes() > _RECYCLE_BYTES
        if keep and not worn and worker.alive and not self._closed:
            worker.idle_since = time.monotonic()
            self._idle.append(worker)
            if len(self._idle) > 1 and self._shrinking is None:
                loop = asyncio.get_running_loop()
                self._shrinking = loop.call_later(self._idle_s, self._shrink)
        else:
            await worker.kill()

    def _shrink(self) -> None:
        """End those at the bottom of the stack, that no job has reached for a while."""
        self._shrinking = None
        until = time.monotonic() - self._idle_s
        while len(self._idle) > 1 and self._idle[0].idle_since <= until:
            self._idle.pop(0).end()
        if len(self._idle) > 1:
            loop = asyncio.get_running_loop()
            self._shrinking = loop.call_later(self._idle_s, self._shrink)


async def _watched(worker: _Worker, body: bytes, limits: Limits) -> bytes:
    """The answer within the limits of time and memory, looked at every tenth of a second."""
    started = time.monotonic()
    before = worker.resident_bytes()
    asking = asyncio.create_task(worker.ask(body))
    try:
        while True:
            done, _ = await asyncio.wait({asking}, timeout=_LOOK_S)
            if done:
                return asking.result()
            if time.monotonic() - started > limits.time_s:
                raise RenderTimeout(
                    f"the render took longer than {limits.time_s:g} s",
                    why=f"limit time_s={limits.time_s:g}",
                )
            # A worker that just started still loads its own modules: the growth allows for it.
            if worker.resident_bytes() - before > limits.resident_bytes:
                raise LimitExceeded(
                    "the render takes too much memory",
                    why=f"limit resident_bytes={limits.resident_bytes}",
                )
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
