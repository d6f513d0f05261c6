"""One chart in a process of its own: for commands that render once and end."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec

from trimtab.render.errors import HelmError, RenderTimeout, WorkerDied
from trimtab.render.helm.engine import Chart, Release, Rendered

__all__ = ["IsolatedEngine"]


class IsolatedEngine:
    """Starts a worker for each chart; a crash or an endless template ends only that worker."""

    def __init__(self, *, timeout_s: float = 60.0) -> None:
        self._timeout_s = timeout_s

    def render(self, chart: Chart, values: dict[str, Any], release: Release) -> Rendered:
        from trimtab.render.process import worker_command, worker_environment
        from trimtab.render.wire import Answer, ChartDone, ChartJob, Failure, as_error

        body = msgspec.msgpack.encode(ChartJob(chart, values, release))
        try:
            done = subprocess.run(
                worker_command(),
                input=len(body).to_bytes(4, "big") + body,
                env=worker_environment(),
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
                start_new_session=sys.platform != "win32",
            )
        except subprocess.TimeoutExpired as error:
            raise RenderTimeout(
                f"chart {chart.name} took longer than {self._timeout_s:g} s", why="limit time_s"
            ) from error
        if len(done.stdout) < 4:
            why = done.stderr.decode("utf-8", "replace").strip()[-500:]
            raise WorkerDied(f"the worker ended while rendering chart {chart.name}", why=why)
        answer = msgspec.msgpack.decode(done.stdout[4:], type=Answer)
        if isinstance(answer, Failure):
            raise as_error(answer)
        if not isinstance(answer, ChartDone):
            raise HelmError(f"the worker gave no chart for {chart.name}")
        return answer.rendered
