"""Git, Helm repositories, OCI and local directories -> `Snapshot`: a whole tree at a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.sources.errors import (
    ArchiveInvalid,
    AuthFailed,
    ChartNotFound,
    LimitExceeded,
    PathEscapes,
    PathNotFound,
    RevisionNotFound,
    SourceError,
    StoreCorrupt,
    Unreachable,
    Unsupported,
    UrlInvalid,
)
from trimtab.sources.model import Credentials, GitRef, Snapshot, SourceSpec
from trimtab.sources.paths import join, normalise
from trimtab.sources.tree import (
    ABSENT,
    Entry,
    EntryKind,
    ReadSet,
    RecordingTree,
    Tree,
    listing_id,
)
from trimtab.sources.url import redact

if TYPE_CHECKING:
    from trimtab.sources.git import GitProgram
    from trimtab.sources.git_tree import GitObjects, GitTree
    from trimtab.sources.local_tree import LocalTree
    from trimtab.sources.service import SourceService

__all__ = [
    "ABSENT",
    "ArchiveInvalid",
    "AuthFailed",
    "ChartNotFound",
    "Credentials",
    "Entry",
    "EntryKind",
    "GitObjects",
    "GitProgram",
    "GitRef",
    "GitTree",
    "LimitExceeded",
    "LocalTree",
    "PathEscapes",
    "PathNotFound",
    "ReadSet",
    "RecordingTree",
    "RevisionNotFound",
    "Snapshot",
    "SourceError",
    "SourceService",
    "SourceSpec",
    "StoreCorrupt",
    "Tree",
    "Unreachable",
    "Unsupported",
    "UrlInvalid",
    "join",
    "listing_id",
    "normalise",
    "redact",
]

_LATE = {
    "GitObjects": "git_tree",
    "GitProgram": "git",
    "GitTree": "git_tree",
    "LocalTree": "local_tree",
    "SourceService": "service",
}


def __getattr__(name: str) -> Any:
    """The parts that need pygit2 or aiohttp are imported when first named: a render of a local
    directory starts without them."""
    if name not in _LATE:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"trimtab.sources.{_LATE[name]}"), name)
