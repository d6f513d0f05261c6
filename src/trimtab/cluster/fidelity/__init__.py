"""Fidelity cases: what an API server has to answer, as data, run over HTTP against any server.

Source: spec/embedded-cluster.md 14. Nothing here looks inside the embedded cluster.
"""

from __future__ import annotations

from trimtab.cluster.fidelity.api import Server
from trimtab.cluster.fidelity.case import Case, Known, Suite, load_suite
from trimtab.cluster.fidelity.runner import Outcome, run_case

__all__ = ["Case", "Known", "Outcome", "Server", "Suite", "load_suite", "run_case"]
