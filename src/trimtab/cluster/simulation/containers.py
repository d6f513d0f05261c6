"""One simulated container: what state it is in, what happens next and when.

A `ContainerRun` is the kubelet's memory of a container. `step` moves it along when its time has
come and tells what happened; `status_of` writes it as a containerStatus.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.faults import Fault
from trimtab.cluster.simulation.kit import Delays

__all__ = ["ContainerRun", "Told", "Turn", "restored", "status_of", "step"]

NEVER = float("inf")
_BACKOFF_BASE_S = 10.0
_BACKOFF_CAP_S = 300.0

Told = Callable[[str, str, str], None]
"""Told(type, reason, message) of something worth an Event."""


class ContainerRun(msgspec.Struct):
    """A container's life so far. Times `due` are cluster seconds; stamps are RFC 3339.

    `state`: created (not pulled), pulling-failed, backing-off (pull), pulled, running,
    crashed (CrashLoopBackOff), ended.
    """

    name: str
    image: str
    init: bool = False
    sidecar: bool = False
    state: str = "created"
    due: float = 0.0
    reason: str = "ContainerCreating"
    message: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    restarts: int = 0
    failures: int = 0
    ready: bool = False
    last: Object | None = None

    @property
    def started(self) -> bool:
        return self.state == "running"

    @property
    def ended(self) -> bool:
        return self.state == "ended"


class Turn(msgspec.Struct, frozen=True):
    """What a step needs to know of the moment and of the Pod."""

    now: float
    stamp: str
    delays: Delays
    fault: Fault | None
    restart_policy: str
    run_s: float
    exit_code: int
    tell: Told
    where: str  # pod_namespace(uid), as messages name it

    @property
    def failing(self) -> str:
        return self.fault.name if self.fault else ""


def _backoff(failures: int) -> float:
    return float(min(_BACKOFF_CAP_S, _BACKOFF_BASE_S * 2 ** min(failures, 8)))


def step(run: ContainerRun, turn: Turn) -> None:
    """Moves a container through every transition that is due."""
    while run.due <= turn.now:
        before = (run.state, run.due, run.ready)
        _STEPS[run.state](run, turn)
        if (run.state, run.due, run.ready) == before:
            return


def _pull(run: ContainerRun, turn: Turn) -> None:
    if turn.failing == "image-pull":
        run.state, run.reason = "pulling-failed", "ErrImagePull"
        run.message = (
            f'failed to pull and unpack image "{run.image}": failed to resolve reference '
            f'"{run.image}": {run.image}: not found'
        )
        turn.tell("Warning", "Failed", f'Failed to pull image "{run.image}": {run.message}')
        turn.tell("Warning", "Failed", "Error: ErrImagePull")
        run.due = turn.now + turn.delays.pull
        return
    turn.tell("Normal", "Pulled", f'Successfully pulled image "{run.image}"')
    run.state, run.failures = "pulled", 0
    run.due = turn.now + turn.delays.start


def _back_off_pull(run: ContainerRun, turn: Turn) -> None:
    run.state, run.reason = "backing-off", "ImagePullBackOff"
    run.message = f'Back-off pulling image "{run.image}"'
    turn.tell("Normal", "BackOff", run.message)
    turn.tell("Warning", "Failed", "Error: ImagePullBackOff")
    run.due = turn.now + _backoff(run.failures)
    run.failures += 1


def _start(run: ContainerRun, turn: Turn) -> None:
    turn.tell("Normal", "Created", f"Container created: {run.name}")
    turn.tell("Normal", "Started", f"Started container {run.name}")
    run.state, run.reason, run.message = "running", "", ""
    run.started_at, run.finished_at, run.ready = turn.stamp, "", False
    if run.init and not run.sidecar:
        run.due = turn.now + (turn.delays.start if turn.failing != "crash" else 0)
    elif turn.failing in {"crash", "oom"}:
        run.due = turn.now + turn.delays.start
    elif turn.failing == "never-ready":
        run.due = NEVER
    elif turn.failing == "slow-ready" and turn.fault is not None:
        run.due = turn.now + turn.fault.seconds
    else:
        run.due = turn.now + turn.delays.ready


def _run(run: ContainerRun, turn: Turn) -> None:
    """A running container's time has come: it fails, ends, becomes ready or flaps."""
    if turn.failing in {"crash", "oom"}:
        _end(run, turn, 137 if turn.failing == "oom" else 1)
    elif run.init and not run.sidecar:
        _end(run, turn, 0)
    elif not run.ready and turn.failing != "never-ready":
        run.ready = True
        run.due = _next_after_ready(run, turn)
    elif turn.failing == "flap" and turn.fault is not None:
        run.ready = False
        run.due = turn.now + turn.fault.seconds
    elif turn.restart_policy != "Always" and not run.sidecar:
        _end(run, turn, turn.exit_code)
    else:
        run.due = NEVER


def _next_after_ready(run: ContainerRun, turn: Turn) -> float:
    if turn.failing == "flap" and turn.fault is not None:
        return turn.now + turn.fault.seconds
    if turn.restart_policy != "Always" and not run.sidecar:
        return turn.now + turn.run_s
    return NEVER


def _end(run: ContainerRun, turn: Turn, code: int) -> None:
    """The process ended. It is restarted, after a back-off, when the policy says so."""
    run.exit_code, run.finished_at, run.ready = code, turn.stamp, False
    run.reason = "OOMKilled" if code == 137 else "Error" if code else "Completed"
    policy = "Always" if run.sidecar else turn.restart_policy
    if run.init and not run.sidecar:
        again = code != 0 and policy != "Never"
    else:
        again = policy == "Always" or (policy == "OnFailure" and code != 0)
    if not again:
        run.state, run.due = "ended", NEVER
        return
    run.last = _terminated(run)
    run.state, run.reason = "crashed", "CrashLoopBackOff"
    wait = _backoff(run.restarts)
    run.message = f"back-off {wait:.0f}s restarting failed container={run.name} pod={turn.where}"
    tail = f"Back-off restarting failed container {run.name} in pod {turn.where}"
    turn.tell("Warning", "BackOff", tail)
    run.due = turn.now + wait


def _restart(run: ContainerRun, turn: Turn) -> None:
    run.restarts += 1
    _start(run, turn)


def _rest(run: ContainerRun, turn: Turn) -> None:
    del turn
    run.due = NEVER


_STEPS: dict[str, Callable[[ContainerRun, Turn], None]] = {
    "created": _pull,
    "pulling-failed": _back_off_pull,
    "backing-off": _pull,
    "pulled": _start,
    "running": _run,
    "crashed": _restart,
    "ended": _rest,
}


def _container_id(run: ContainerRun, uid: str) -> str:
    text = f"{uid}/{run.name}/{run.restarts}"
    return "containerd://" + hashlib.sha256(text.encode()).hexdigest()


def _terminated(run: ContainerRun) -> Object:
    return {
        "terminated": {
            "exitCode": run.exit_code,
            "reason": run.reason,
            "startedAt": run.started_at,
            "finishedAt": run.finished_at,
        }
    }


def _state(run: ContainerRun, *, initialising: bool) -> Object:
    if run.state == "running":
        return {"running": {"startedAt": run.started_at}}
    if run.state == "ended":
        return _terminated(run)
    reason = run.reason
    if run.state in {"created", "pulled"} and reason == "ContainerCreating" and initialising:
        reason = "PodInitializing"
    waiting: Object = {"reason": reason}
    if run.message:
        waiting["message"] = run.message
    return {"waiting": waiting}


def status_of(run: ContainerRun, *, uid: str, initialising: bool) -> Object:
    """The containerStatus. `initialising`: init containers have not all succeeded yet."""
    digest = hashlib.sha256(run.image.encode()).hexdigest()
    known = run.state in {"running", "ended", "crashed"}
    status: Object = {
        "name": run.name,
        "state": _state(run, initialising=initialising),
        "lastState": run.last or {},
        "ready": run.ended and run.exit_code == 0 if run.init and not run.sidecar else run.ready,
        "restartCount": run.restarts,
        "image": run.image,
        "imageID": f"{run.image.partition('@')[0]}@sha256:{digest}" if known else "",
        "started": run.started,
    }
    if known:
        status["containerID"] = _container_id(run, uid)
    return status


def restored(
    container: Object, status: Object | None, *, init: bool, sidecar: bool
) -> ContainerRun:
    """A container's memory from what its status says, after a restart of the simulation."""
    run = ContainerRun(
        name=container["name"], image=container.get("image") or "", init=init, sidecar=sidecar
    )
    if status is None:
        return run
    state: dict[str, Any] = status.get("state") or {}
    run.restarts = status.get("restartCount", 0)
    run.last = status.get("lastState") or None
    if "running" in state:
        run.state, run.reason = "running", ""
        run.started_at = state["running"].get("startedAt", "")
        run.ready = bool(status.get("ready"))
    elif "terminated" in state:
        ended = state["terminated"]
        run.state, run.reason = "ended", ended.get("reason", "")
        run.exit_code = ended.get("exitCode", 0)
        run.started_at, run.finished_at = ended.get("startedAt", ""), ended.get("finishedAt", "")
    return run
