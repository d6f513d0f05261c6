"""How long ago: `5d3h`, as kubectl prints ages."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["age", "duration"]


def age(stamp: str | None, now: datetime) -> str:
    """`5d3h`, as kubectl prints ages."""
    if not stamp:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(stamp)
    except ValueError:
        return "<invalid>"
    seconds = int((now - then.astimezone(UTC)).total_seconds())
    if seconds < 0:
        return "0s" if seconds > -2 else "<invalid>"
    return duration(seconds)


def duration(seconds: int) -> str:
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"
