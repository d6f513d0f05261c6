"""Failures on request: by an image's tag or the annotation `embedded.sim/fail`.

`image-pull`, `crash`, `oom`, `never-ready`, `slow-ready=30s`, `unschedulable`, `pending-lb`,
`flap=60s` (spec/embedded-cluster.md 11). In a tag, which cannot hold `=`, an argument follows a
dash: `app:slow-ready-30s`.
"""

from __future__ import annotations

import re

import msgspec

from trimtab.cluster.simulation.api import Object

__all__ = ["FAIL", "Fault", "duration_s", "fault_of", "fault_of_image"]

FAIL = "embedded.sim/fail"
_NAMES = (
    "image-pull",
    "crash",
    "oom",
    "never-ready",
    "slow-ready",
    "unschedulable",
    "pending-lb",
    "flap",
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong; `seconds` is the argument of slow-ready and flap."""

    name: str
    seconds: float = 0.0


def duration_s(text: str, default: float) -> float:
    """Seconds of `30s`, `2m`, `1h30m` or a bare number; `default` when it is none of these."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        return default
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _parse(text: str) -> Fault | None:
    for name in _NAMES:
        if text.startswith(name):
            argument = text[len(name) :].lstrip("=-")
            return Fault(name, duration_s(argument, 60.0 if name == "flap" else 30.0))
    return None


def fault_of(obj: Object) -> Fault | None:
    """The fault an object's annotation asks for."""
    return _parse((obj["metadata"].get("annotations") or {}).get(FAIL, ""))


def fault_of_image(image: str) -> Fault | None:
    """The fault an image's tag asks for."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    return _parse(tag) if name and "/" not in tag else None
