"""HTTP: health, metrics and the JSON overview; the API and the page come on top of it.

`App` is loaded when it is first used: a command that only reads rows does not pay for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trimtab.server.overview import READERS, Row, read_row, sort_rows

if TYPE_CHECKING:
    from trimtab.server.app import App

__all__ = ["READERS", "App", "Row", "read_row", "sort_rows"]


def __getattr__(name: str) -> Any:
    if name != "App":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("trimtab.server.app").App
