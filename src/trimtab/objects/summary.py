"""One line about a custom resource, whatever its dialect: what tables and overviews show."""

from __future__ import annotations

import msgspec

__all__ = ["Summary"]


class Summary(msgspec.Struct, frozen=True):
    """`state` and `health` are the dialect's own words (Synced, Ready=True, Progressing ...).

    `settled` says that nothing is left to do and nothing is wrong; `problem` that a person
    should look. Neither holds while work goes on.
    """

    state: str
    health: str
    revision: str
    message: str
    settled: bool
    problem: bool
