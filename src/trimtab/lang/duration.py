"""Durations as Go writes them (`1h30m`, `0.5s`), which every custom resource of the field uses."""

from __future__ import annotations

import re
from typing import Final

from trimtab.errors import TrimtabError

__all__ = ["DurationError", "format_duration", "parse_duration"]

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


class DurationError(TrimtabError):
    reason = "InvalidDuration"


def parse_duration(text: str) -> float:
    """Seconds. A leading sign is allowed; a bare "0" is zero. Raises `DurationError`."""
    rest = text.strip()
    sign = -1.0 if rest.startswith("-") else 1.0
    rest = rest.lstrip("+-") if rest[:1] in ("+", "-") else rest
    if rest == "0":
        return 0.0
    seconds = 0.0
    at = 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if not match:
            break
        seconds += float(match.group(1)) * _UNITS[match.group(2)]
        at = match.end()
    if not rest or at < len(rest):
        raise DurationError(
            f'invalid duration "{text}"', hint='write it like "30s", "5m" or "1h30m"'
        )
    return sign * seconds


def format_duration(seconds: float) -> str:
    """The way Go prints one: `1h0m5s`, `2m0s`, `1.5s`, `250ms`."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 1:
        return "0s" if seconds == 0 else f"{_trim(seconds * 1000)}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}h" if hours else ""
    if hours or minutes:
        text += f"{int(minutes)}m"
    return text + _trim(rest) + "s"


def _trim(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
