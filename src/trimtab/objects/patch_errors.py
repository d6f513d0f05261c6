"""Why a patch was refused: the tree of errors of every patch type.

TrimtabError
  PatchError
    BadPatch        the patch itself makes no sense: the API answers 400
      TooManyOperations   more operations than a server accepts: 413
    PatchFailed     the patch is well-formed but does not fit the document: 422

Source: spec/embedded-cluster.md 8.
"""

from __future__ import annotations

from trimtab.errors import TrimtabError

__all__ = ["BadPatch", "PatchError", "PatchFailed", "TooManyOperations"]


class PatchError(TrimtabError):
    """A patch that could not be applied."""

    reason = "PatchError"


class BadPatch(PatchError):
    """The patch is not a patch: wrong type, unknown operation or directive, missing member."""

    reason = "BadRequest"


class TooManyOperations(BadPatch):
    """A JSON Patch longer than the server's limit."""

    reason = "RequestEntityTooLarge"


class PatchFailed(PatchError):
    """The document does not have what the patch needs. `pointer` is the JSON pointer at fault."""

    reason = "Invalid"

    def __init__(self, message: str, *, pointer: str, why: str = "") -> None:
        super().__init__(message, why=why)
        self.pointer = pointer
