"""Helm's messages to errors with a place."""

from __future__ import annotations

import re

from trimtab.errors import Location
from trimtab.render.errors import HelmError

__all__ = ["failure"]

_VALUES = -22
_CHART = (-20, -21)
_PLACE = re.compile(
    r"(?:template: |execution error at |parse error at )?"
    r"\(?(?P<file>[^\s():]+/[^\s():]+):(?P<line>\d+)(?::(?P<column>\d+))?\)?:?\s*"
)
_SCHEMA_LINE = re.compile(r"- at '(?P<path>[^']*)': (?P<what>.*)")
_MAX = 2000


def failure(message: str, code: int | None, chart: str) -> HelmError:
    """The HelmError for one message of the engine. File names keep the chart's name in front."""
    if code == _VALUES:
        return _values_failure(message, chart)
    if code in _CHART:
        return HelmError(
            "the chart cannot be loaded", where=f"{chart}/Chart.yaml", why=_line(message)
        )
    place = _PLACE.search(message)
    if place is None:
        return HelmError("the chart cannot be rendered", where=f"{chart}/", why=_line(message))
    where = Location(place["file"], int(place["line"]), int(place["column"] or 0))
    rest = _line(message[: place.start()] + message[place.end() :])
    return HelmError(rest or "the template fails", where=where, hint=_hint(rest))


def _values_failure(message: str, chart: str) -> HelmError:
    problems = [
        f"{found['path'].strip('/').replace('/', '.') or '.'}: {found['what']}"
        for found in _SCHEMA_LINE.finditer(message)
    ]
    if not problems:
        return HelmError(
            "the values cannot be used", where=f"{chart}/values.yaml", why=_line(message)
        )
    return HelmError(
        "the values do not fit the chart's schema",
        reason="ValuesInvalid",
        where=f"{chart}/values.schema.json",
        why="; ".join(problems)[:_MAX],
    )


def _hint(text: str) -> str:
    if "nil pointer" in text:
        return "a value on the way there is not set: check the values, or test it with `with`"
    if "no template" in text:
        return "is the library chart that defines it in charts/?"
    return ""


def _line(text: str) -> str:
    return " ".join(text.split())[:_MAX].strip(": ")
