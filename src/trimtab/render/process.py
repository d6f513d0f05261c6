"""How a worker process is started."""

from __future__ import annotations

import os
import sys

__all__ = ["worker_command", "worker_environment"]

# No credentials and no proxies reach a worker.
_KEPT = ("PATH", "LANG", "TMPDIR", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")


def worker_command() -> list[str]:
    return [sys.executable, "-m", "trimtab.render.worker"]


def worker_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {"GOMAXPROCS": "2", "GOGC": "50", "PYTHONHASHSEED": "0"}
