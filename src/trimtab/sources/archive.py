"""Archives to trees, within limits (SEC-02): nothing leads outside, nothing grows unbounded."""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path

import msgspec

from trimtab.sources.errors import ArchiveInvalid, LimitExceeded, PathEscapes
from trimtab.sources.paths import normalise
from trimtab.sources.tree_writer import TreeWriter

__all__ = ["ArchiveLimits", "unpack_tgz"]


class ArchiveLimits(msgspec.Struct, frozen=True):
    """`packed_bytes` and `bytes` in total, `file_bytes` each, `files` in number, `ratio` of
    unpacked to packed (archives below 1 MiB unpacked are not judged by it), `depth` of names."""

    packed_bytes: int = 10 * 1024 * 1024
    bytes: int = 100 * 1024 * 1024
    file_bytes: int = 5 * 1024 * 1024
    files: int = 10_000
    ratio: int = 200
    depth: int = 32


def unpack_tgz(
    data: bytes,
    store: Path,
    *,
    limits: ArchiveLimits = ArchiveLimits(),  # noqa: B008 - frozen
    strip: int = 0,
    name: str = "archive",
) -> str:
    """Tree id of a gzip tar written into a bare store. `strip` drops leading directories.

    Raises ArchiveInvalid for links, devices, absolute names, `..` and duplicates; LimitExceeded.
    """
    tar = _inflate(data, limits, name)
    writer = TreeWriter(store)
    files = total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
            for member in archive:
                files += 1
                if files > limits.files:
                    raise LimitExceeded(
                        f"{name} has too many entries", why=f"limit files={limits.files}"
                    )
                path = _checked(member, limits, name)
                if member.isdir():
                    continue
                total += member.size
                content = archive.extractfile(member)
                assert content is not None
                _add(writer, path, content.read(), strip, bool(member.mode & 0o100))
    except tarfile.TarError as error:
        raise ArchiveInvalid(f"{name} is not a tar archive", why=str(error)) from error
    if not files:
        raise ArchiveInvalid(f"{name} is empty")
    return writer.write()


def _inflate(data: bytes, limits: ArchiveLimits, name: str) -> bytes:
    """The tar inside of a gzip stream, never more of it than the limits allow."""
    if len(data) > limits.packed_bytes:
        raise LimitExceeded(
            f"{name} has {len(data)} bytes", why=f"limit packed_bytes={limits.packed_bytes}"
        )
    allowed = min(limits.bytes, max(len(data) * limits.ratio, 1024 * 1024))
    inflater = zlib.decompressobj(wbits=31)
    try:
        tar = inflater.decompress(data, allowed + 1)
    except zlib.error as error:
        raise ArchiveInvalid(f"{name} is not a gzip archive", why=str(error)) from error
    if len(tar) > allowed:
        limit = f"bytes={limits.bytes}" if allowed == limits.bytes else f"ratio={limits.ratio}"
        raise LimitExceeded(f"{name} unpacks to too much", why=f"limit {limit}")
    if not inflater.eof:
        raise ArchiveInvalid(f"{name} is cut off")
    return tar


def _checked(member: tarfile.TarInfo, limits: ArchiveLimits, name: str) -> str:
    shown = f"{name}: {member.name[:200]!r}"
    if not (member.isreg() or member.isdir()):
        raise ArchiveInvalid(f"{shown} is a link, device or pipe", hint="only files are allowed")
    if "\\" in member.name:
        raise ArchiveInvalid(f"{shown} has a backslash in its name")
    if member.size > limits.file_bytes:
        raise LimitExceeded(
            f"{shown} has {member.size} bytes", why=f"limit file_bytes={limits.file_bytes}"
        )
    try:
        path = normalise(member.name)
    except PathEscapes as error:
        raise ArchiveInvalid(f"{shown} leads out of the archive", why=error.message) from error
    if ".." in member.name.split("/"):
        raise ArchiveInvalid(f"{shown} has `..` in its name")
    if path.count("/") >= limits.depth:
        raise LimitExceeded(f"{shown} is nested too deep", why=f"limit depth={limits.depth}")
    return path


def _add(writer: TreeWriter, path: str, content: bytes, strip: int, executable: bool) -> None:
    parts = path.split("/")[strip:]
    if parts:
        writer.add("/".join(parts), content, executable=executable)
