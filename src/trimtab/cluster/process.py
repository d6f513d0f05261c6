"""An embedded cluster as a background process: start, stop, status, reset.

One data directory holds one cluster, whether `trimtab cluster` or `trimtab up` runs it. The file
`cluster/process.json` names the process while it runs; the database's lock keeps a second one out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

import msgspec

from trimtab.errors import TrimtabError

__all__ = [
    "ClusterState",
    "NotRunning",
    "kubeconfig_path",
    "process_file",
    "reset",
    "start",
    "status",
    "stop",
]

START_S: Final = 30.0
STOP_S: Final = 20.0
_PAUSE_S: Final = 0.02
_LOG_LINES: Final = 20


class NotRunning(TrimtabError):
    """No cluster runs on this data directory."""

    reason = "NotRunning"


class ClusterState(msgspec.Struct, frozen=True):
    """What is known of a cluster. `pid` 0 means it does not run."""

    pid: int
    url: str
    kubeconfig: str
    ready: bool
    started_s: float = 0.0


class _Process(msgspec.Struct, frozen=True):
    pid: int
    url: str


def process_file(data: Path) -> Path:
    return data / "cluster" / "process.json"


def kubeconfig_path(data: Path) -> Path:
    """Raises `NotRunning` when no cluster was ever started there."""
    path = data / "cluster" / "kubeconfig"
    if not path.exists():
        raise NotRunning(
            "no cluster was started here", where=str(data), hint="trimtab cluster start"
        )
    return path


def status(data: Path) -> ClusterState:
    """Does it run, and is it ready?"""
    process = _read(data)
    kubeconfig = data / "cluster" / "kubeconfig"
    shown = str(kubeconfig) if kubeconfig.exists() else ""
    if process is None:
        return ClusterState(0, "", shown, ready=False)
    return ClusterState(process.pid, process.url, shown, ready=_is_ready(data, process.url))


def start(
    data: Path,
    *,
    name: str = "trimtab",
    port: int = 0,
    kube_version: str = "",
    clock: str = "real",
) -> ClusterState:
    """Start it in the background and return when it is ready; one that runs already is returned
    as it is. Raises `TrimtabError` with the end of its log when it does not come up."""
    running = status(data)
    if running.pid and running.ready:
        return running
    began = time.monotonic()
    folder = data / "cluster"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / "server.log"
    command = [sys.executable, "-m", "trimtab.cluster", "--data", str(data), "--port", str(port)]
    command += ["--name", name, "--clock", clock]
    if kube_version:
        command += ["--kube-version", kube_version]
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            close_fds=True,
        )
    while time.monotonic() - began < START_S:
        found = _read(data)
        if found is not None and found.pid == child.pid and _is_ready(data, found.url):
            state = status(data)
            return msgspec.structs.replace(state, started_s=time.monotonic() - began)
        if child.poll() is not None:
            raise _failed(log, f"it ended with exit code {child.returncode}")
        time.sleep(_PAUSE_S)
    child.terminate()
    raise _failed(log, f"it was not ready within {START_S:g} s")


def stop(data: Path) -> bool:
    """End it in order, by force after 20 s. False when it did not run."""
    process = _read(data)
    if process is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while _alive(process.pid):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(_PAUSE_S)
    process_file(data).unlink(missing_ok=True)
    return True


def reset(data: Path) -> None:
    """Stop it and delete everything it holds; only the cluster's own folder."""
    stop(data)
    shutil.rmtree(data / "cluster", ignore_errors=True)


def _read(data: Path) -> _Process | None:
    """The process that runs; None when there is none, or only the file of one that died."""
    try:
        found = msgspec.json.decode(process_file(data).read_bytes(), type=_Process)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if _alive(found.pid) else None


def _alive(pid: int) -> bool:
    """Does the process exist, and is it not a child that ended and was not waited for?"""
    with contextlib.suppress(ChildProcessError, OSError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_ready(data: Path, url: str) -> bool:
    try:
        trust = ssl.create_default_context(cafile=str(data / "cluster" / "ca.pem"))
        ready = f"{url}/readyz"
        with urllib.request.urlopen(ready, timeout=2, context=trust) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _failed(log: Path, why: str) -> TrimtabError:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return TrimtabError(
        f"the embedded cluster did not start: {why}",
        where=str(log),
        why="\n".join(lines),
        reason="NotStarted",
    )
