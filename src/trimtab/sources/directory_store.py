"""A directory of this machine, written as a tree into a store of its own."""

from __future__ import annotations

import os
from pathlib import Path

from trimtab.sources.errors import LimitExceeded
from trimtab.sources.linked_tree import MAX_FILE_BYTES
from trimtab.sources.tree_writer import TreeWriter

__all__ = ["MAX_FILES", "import_directory"]

MAX_FILES = 100_000


def import_directory(directory: Path, store: Path) -> str:
    """Tree id of everything below `directory` but `.git`. Links stay links; sockets and devices
    are left out. Raises LimitExceeded."""
    writer = TreeWriter(store)
    count = 0
    for place, directories, files in os.walk(directory):
        if ".git" in directories:
            directories.remove(".git")
        links = [name for name in directories if (Path(place) / name).is_symlink()]
        for name in (*files, *links):
            path = Path(place) / name
            count += 1
            if count > MAX_FILES:
                raise LimitExceeded(
                    f"{directory} has too many files", why=f"limit files={MAX_FILES}"
                )
            _add(writer, path, path.relative_to(directory).as_posix())
    return writer.write()


def _add(writer: TreeWriter, place: Path, path: str) -> None:
    if place.is_symlink():
        writer.add_link(path, os.fspath(place.readlink()))
    elif place.is_file():
        status = place.stat()
        if status.st_size > MAX_FILE_BYTES:
            raise LimitExceeded(
                f"{path} has {status.st_size} bytes", why=f"limit file_bytes={MAX_FILE_BYTES}"
            )
        writer.add(path, place.read_bytes(), executable=bool(status.st_mode & 0o100))
