"""The root of every expected failure, and the place it points to.

A package draws its own tree of errors in its `errors.py`; all of them stand on
`TrimtabError`, so that the command line, a condition and a log can say the same four
things: what happened, where, why, and what to do (spec/experience.md 3).
"""

from __future__ import annotations

import msgspec

__all__ = ["Location", "TrimtabError"]


class Location(msgspec.Struct, frozen=True):
    """A place in a file. `line` and `column` count from 1; 0 means not known.

    `via` is the chain of files that led there, outermost first (overlay, base, file).
    """

    file: str
    line: int = 0
    column: int = 0
    via: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.file
        if self.line:
            text += f":{self.line}"
            if self.column:
                text += f":{self.column}"
        return text


class TrimtabError(Exception):
    """An expected failure: a stable `reason`, a message for people, a place, a cause, a hint.

    `reason` is CamelCase and never changes meaning; programs match on it. `message` is one
    line. `why` adds the cause in other words (a tool's own output, a limit's name).
    """

    reason: str = "Failed"

    def __init__(
        self,
        message: str,
        *,
        where: Location | str | None = None,
        why: str = "",
        hint: str = "",
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.why = why
        self.hint = hint
        if reason is not None:
            self.reason = reason

    def __str__(self) -> str:
        """One line: place first when it is known, as compilers print it."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}: {self.why}" if self.why else text
