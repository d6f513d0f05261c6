"""The error tree of `sources`.

SourceError               something could not be read from where it comes from
├── PathNotFound          a path is not in the tree, or is a directory where a file is needed
├── PathEscapes           a path or symlink leaves its tree; both ends are named
├── Unreachable           the host does not answer, answers badly, or too slowly
├── AuthFailed            the host wants other credentials, or its own key is not known
├── RevisionNotFound      the repository answers but has no such branch, tag, commit, version
│   └── ChartNotFound     a Helm repository's index has no such chart, or no version in the range
├── LimitExceeded         a size, count, depth or time limit; `why` names the limit
├── ArchiveInvalid        an archive holds what is refused (links, devices, names that escape)
├── UrlInvalid            an address that is not allowed or not understood
├── StoreCorrupt          an object the local store should have cannot be read
└── Unsupported           a kind of source that trimtab cannot read yet

Messages name the URL without credentials.
"""

from __future__ import annotations

from trimtab.errors import TrimtabError

__all__ = [
    "ArchiveInvalid",
    "AuthFailed",
    "ChartNotFound",
    "LimitExceeded",
    "PathEscapes",
    "PathNotFound",
    "RevisionNotFound",
    "SourceError",
    "StoreCorrupt",
    "Unreachable",
    "Unsupported",
    "UrlInvalid",
]


class SourceError(TrimtabError):
    reason = "SourceFailed"


class PathNotFound(SourceError):
    reason = "PathNotFound"


class PathEscapes(SourceError):
    reason = "PathEscapes"


class Unreachable(SourceError):
    reason = "Unreachable"


class AuthFailed(SourceError):
    reason = "AuthenticationFailed"


class RevisionNotFound(SourceError):
    reason = "RevisionNotFound"


class ChartNotFound(RevisionNotFound):
    """Asking again does not help before the index changes."""


class LimitExceeded(SourceError):
    reason = "LimitExceeded"


class ArchiveInvalid(SourceError):
    reason = "ArchiveInvalid"


class UrlInvalid(SourceError):
    reason = "URLInvalid"


class StoreCorrupt(SourceError):
    reason = "StoreCorrupt"


class Unsupported(SourceError):
    reason = "Unsupported"
