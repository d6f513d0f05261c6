"""What can go wrong with a rule: it is wrong, nobody here can run it, or it fails on a value."""

from __future__ import annotations

from trimtab.errors import Location, TrimtabError

__all__ = ["CelError", "CelUnsupported", "EvaluationError"]


class CelError(TrimtabError):
    """A rule that does not compile. `where` has its line and column, both from 1."""

    reason = "InvalidRule"

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message, where=Location("<input>", line, column) if line else None)
        self.line = line
        self.column = column


class CelUnsupported(CelError):
    """A rule a real server may take and this engine cannot run. Say so; never take it as true."""

    reason = "UnsupportedRule"


class EvaluationError(TrimtabError):
    """A compiled rule that has no result for a value. `kind` tells the causes apart."""

    reason = "EvaluationFailed"

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind
