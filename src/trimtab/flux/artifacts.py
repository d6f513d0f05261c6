"""Artifacts of sources: a tree as a reproducible tar.gz, kept on disk and served by URL.

The same tree gives the same bytes: sorted names, modes 0600/0700/0750, owners and times zero;
only regular files and directories (spec/flux.md 2.1). trimtab itself reads trees, not archives:
these are for other consumers of `status.artifact`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Final

import msgspec

from trimtab.flux.errors import NotYet
from trimtab.sources import Tree

__all__ = ["Artifact", "ArtifactStore"]

MAX_BYTES: Final = 100 * 1024 * 1024
_VCS: Final = frozenset({".git", ".gitignore", ".gitmodules", ".gitattributes"})


class Artifact(msgspec.Struct, frozen=True):
    """What `status.artifact` says of a stored archive. `size` in bytes."""

    path: str
    digest: str
    size: int


class ArtifactStore:
    """Archives under `root`, as `<kind>/<namespace>/<name>/<file>`; `base_url` is where they are
    served."""

    def __init__(self, root: Path, base_url: str) -> None:
        self.root = root
        self.base_url = base_url.rstrip("/")

    def url(self, artifact: Artifact) -> str:
        return f"{self.base_url}/{artifact.path}"

    def holds(self, path: str) -> bool:
        return bool(path) and (self.root / path).is_file()

    def store(self, kind: str, namespace: str, name: str, revision: str, tree: Tree) -> Artifact:
        """Archive `tree`, replace what was kept for this object. Whole or not at all.

        Raises `NotYet` (ArchiveOperationFailed) when it exceeds 100 MiB or cannot be written.
        """
        return self.keep(kind, namespace, name, f"{revision}.tar.gz", archive(tree))

    def keep(self, kind: str, namespace: str, name: str, file: str, data: bytes) -> Artifact:
        """Keep `data` as the only file of this object. Whole or not at all.

        Raises `NotYet` (ArchiveOperationFailed) when it cannot be written.
        """
        relative = f"{kind.lower()}/{namespace}/{name}/{file}"
        target = self.root / relative
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.partial")
            partial.write_bytes(data)
            partial.replace(target)
            for other in target.parent.iterdir():
                if other != target:
                    other.unlink()
        except OSError as error:
            raise NotYet(
                f"unable to store artifact: {error.strerror}", reason="ArchiveOperationFailed"
            ) from error
        return Artifact(relative, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))

    def read(self, path: str) -> bytes | None:
        """What is kept at `path`; None when it is not there (another disk, before a restart)."""
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Forget everything of an object."""
        folder = self.root / kind.lower() / namespace / name
        if folder.is_dir():
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


def archive(tree: Tree) -> bytes:
    """The tree as tar.gz bytes."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, tree, "", 0)
    return raw.getvalue()


def _add(tar: tarfile.TarFile, tree: Tree, folder: str, total: int) -> int:
    for entry in sorted(tree.list(folder), key=lambda entry: entry.name):
        path = f"{folder}/{entry.name}" if folder else entry.name
        info = tarfile.TarInfo(path)
        if entry.name in _VCS or entry.kind not in ("file", "dir"):
            continue
        if entry.kind == "dir":
            info.type, info.mode = tarfile.DIRTYPE, 0o750
            tar.addfile(info)
            total = _add(tar, tree, path, total)
            continue
        content = tree.read(path)
        total += len(content)
        if total > MAX_BYTES:
            raise NotYet(
                f"artifact exceeds {MAX_BYTES} bytes",
                reason="ArchiveOperationFailed",
                hint="leave large files out of the repository, or split it",
            )
        info.size, info.mode = len(content), 0o700 if entry.executable else 0o600
        tar.addfile(info, io.BytesIO(content))
    return total
