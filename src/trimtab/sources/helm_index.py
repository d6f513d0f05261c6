"""One chart's entries out of an index.yaml, without parsing the others.

An index of a big repository has hundreds of thousands of lines. Helm writes it in one form, so
the lines of a chart are found as text; any other form is parsed whole.
"""

from __future__ import annotations

import re
from typing import Any

from trimtab.errors import Location
from trimtab.lang import yaml
from trimtab.sources.errors import SourceError

__all__ = ["chart_entries", "check_index"]

_LIMITS = yaml.Limits(file_bytes=50 * 1024 * 1024, nodes=5_000_000)
_ENTRIES = re.compile(rb"^entries:[ \t]*\r?$", re.MULTILINE)


def chart_entries(index: bytes, chart: str, *, source: str) -> dict[str, dict[str, Any]]:
    """version -> entry, in the index's order; empty when the chart is not there.

    Raises SourceError for an index that cannot be read. Entries without a version are left out.
    """
    part = _slice(index, chart)
    try:
        whole = yaml.load(index if part is None else part, source=source, limits=_LIMITS)
    except yaml.YamlError as error:
        raise SourceError(
            f"{source} cannot be read", reason="IndexInvalid", why=str(error)
        ) from error
    entries = whole.get("entries") if isinstance(whole, dict) else None
    if not isinstance(entries, dict):
        raise SourceError(
            "not a Helm repository index: it has no `entries`",
            reason="IndexInvalid",
            where=Location(source),
        )
    rows = entries.get(chart) or []
    found: dict[str, dict[str, Any]] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("version"), str):
            found.setdefault(row["version"], row)
    return found


def check_index(index: bytes, *, source: str) -> None:
    """Raises SourceError when this is no index. One in Helm's own form is not parsed for it."""
    if _ENTRIES.search(index) is None:
        chart_entries(index, "", source=source)


def _slice(index: bytes, chart: str) -> bytes | None:
    """`entries:` with this chart only; None when the text has another form than Helm writes."""
    start = _ENTRIES.search(index)
    if start is None:
        return None
    name = re.escape(chart.encode())
    key = re.compile(rb"^  " + name + rb":[ \t]*\r?\n", re.MULTILINE).search(index, start.end())
    if key is None:
        return None
    end = re.compile(rb"^(?:  )?[^\s-]", re.MULTILINE).search(index, key.end())
    return b"entries:\n" + index[key.start() : end.start() if end else len(index)]
