"""Git, Helm repositories, OCI and local directories -> `Snapshot`: a whole tree at a revision."""

from trimtab.sources.model import Credentials, GitRef, Snapshot, SourceSpec
from trimtab.sources.tree import ABSENT, Entry, EntryKind, ReadSet, RecordingTree, Tree

__all__ = [
    "ABSENT",
    "Credentials",
    "Entry",
    "EntryKind",
    "GitRef",
    "ReadSet",
    "RecordingTree",
    "Snapshot",
    "SourceSpec",
    "Tree",
]
