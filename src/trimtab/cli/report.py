"""How the command line speaks: errors, tables, progress. Plain text without a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from trimtab.errors import TrimtabError

__all__ = ["colour_wanted", "print_error", "table"]


def colour_wanted(stream: TextIO) -> bool:
    """Colour only on a terminal that did not refuse it (NO_COLOR, TERM=dumb)."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def print_error(error: TrimtabError, stream: TextIO | None = None) -> None:
    """The four lines of spec/experience.md 3; a line without content is left out."""
    out = stream or sys.stderr
    label = "\x1b[31merror\x1b[0m" if colour_wanted(out) else "error"
    print(f"{label}: {error.message}", file=out)
    if error.where:
        print(f"  where: {_where(error)}", file=out)
    why = error.why or _cause(error)
    if why:
        print("  why: " + why.strip().replace("\n", "\n       "), file=out)
    if error.hint:
        print(f"  try: {error.hint}", file=out)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns padded as kubectl pads them: three spaces apart, no trailing blanks."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _where(error: TrimtabError) -> str:
    via = getattr(error.where, "via", ())
    return f"{error.where} (from {' -> '.join(via)})" if via else str(error.where)


def _cause(error: TrimtabError) -> str:
    return str(error.__cause__) if error.__cause__ else ""
