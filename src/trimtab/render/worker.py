"""A render worker: `python -m trimtab.render.worker` serves jobs from its standard input.

One frame in, one frame out: four bytes of length, then msgpack. It has no credentials, no
network to speak of and little address space; killing it hurts nothing else (spec/rendering.md 10).
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import OrderedDict
from typing import BinaryIO

import msgspec

from trimtab.errors import TrimtabError
from trimtab.render.dispatch import render
from trimtab.render.errors import RenderError
from trimtab.render.helm.engine import Chart, ChartEngine, Release, Rendered
from trimtab.render.wire import Answer, ChartDone, ChartJob, Job, RenderDone, as_failure
from trimtab.sources import GitObjects, GitTree

__all__ = ["main", "serve"]

_ADDRESS_SPACE = 4 * 1024**3
_OPEN_STORES = 64
_PR_SET_PDEATHSIG = 1


class LateEngine:
    """Helm's library, loaded when the first chart comes."""

    def __init__(self) -> None:
        self._engine: ChartEngine | None = None

    def render(self, chart: Chart, values: dict[str, object], release: Release) -> Rendered:
        if self._engine is None:
            from trimtab.render.helm.engine_sdk import SdkEngine

            self._engine = SdkEngine()
        return self._engine.render(chart, values, release)


def main() -> None:
    _limit_resources()
    _end_with_parent()
    # What a library prints must not get between the frames.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.freeze()
    serve(sys.stdin.buffer, out)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer jobs until the other side closes."""
    decoder = msgspec.msgpack.Decoder(Job)
    encoder = msgspec.msgpack.Encoder()
    engine = LateEngine()
    stores: OrderedDict[str, GitObjects] = OrderedDict()
    while head := requests.read(4):
        job = decoder.decode(requests.read(int.from_bytes(head, "big")))
        body = encoder.encode(_answer(job, engine, stores))
        answers.write(len(body).to_bytes(4, "big") + body)
        answers.flush()


def _answer(job: Job, engine: ChartEngine, stores: OrderedDict[str, GitObjects]) -> Answer:
    try:
        if isinstance(job, ChartJob):
            return ChartDone(engine.render(job.chart, job.values, job.release))
        objects = stores.get(job.store)
        if objects is None:
            objects = stores[job.store] = GitObjects(job.store)
            if len(stores) > _OPEN_STORES:
                stores.popitem(last=False)
        tree = GitTree(objects, job.tree)
        return RenderDone(render(job.request, tree, charts=engine, limits=job.limits))
    except TrimtabError as error:
        return as_failure(error)
    except (RecursionError, MemoryError) as error:
        return as_failure(RenderError("the render needs too much", why=type(error).__name__))
    except Exception as error:  # noqa: BLE001 - a defect of ours must not take the worker with it
        why = f"{type(error).__name__}: {error}"
        return as_failure(RenderError("the render failed inside trimtab", why=why, reason="Defect"))


def _end_with_parent() -> None:
    """On Linux a worker in the middle of an endless template also ends with its service."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_resources() -> None:
    """Windows has no such limits; there the service's watch on time and memory remains."""
    try:
        import resource
    except ImportError:
        return
    for name, value in (
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(name)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (limit, hard))


if __name__ == "__main__":
    main()
