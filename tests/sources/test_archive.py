"""Archives become trees within limits, or errors that name what is wrong (SEC-02)."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from trimtab.sources import ArchiveInvalid, GitObjects, GitTree, LimitExceeded
from trimtab.sources.archive import ArchiveLimits, unpack_tgz


def member(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tgz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return plain.getvalue()


def test_files_become_a_tree_with_their_modes(tmp_path: Path) -> None:
    data = tgz(
        member("web/Chart.yaml", b"name: web"),
        member("web/templates/", b"", type=tarfile.DIRTYPE),
        member("./web/bin/run", b"#!", mode=0o755),
    )
    store = tmp_path / "s.git"
    tree = GitTree(GitObjects(store), unpack_tgz(data, store, strip=1))
    assert tree.read("Chart.yaml") == b"name: web"
    assert tree.list("bin")[0].executable
    assert [entry.name for entry in tree.list("")] == ["Chart.yaml", "bin"]


def test_the_same_files_give_the_same_tree_whatever_their_order_and_times(tmp_path: Path) -> None:
    one = tgz(member("a", b"1"), member("b", b"2", mtime=5))
    other = tgz(member("b", b"2"), member("a", b"1", uid=7))
    assert unpack_tgz(one, tmp_path / "s.git") == unpack_tgz(other, tmp_path / "s.git")


@pytest.mark.parametrize(
    "bad",
    [
        member("../x"),
        member("a/../../x"),
        member("a/../b"),
        member("/etc/x"),
        member("a\\..\\x"),
        member("l", b"", type=tarfile.SYMTYPE, linkname="../../etc/passwd"),
        member("l", b"", type=tarfile.LNKTYPE, linkname="good"),
        member("d", b"", type=tarfile.CHRTYPE),
        member("d", b"", type=tarfile.BLKTYPE),
        member("p", b"", type=tarfile.FIFOTYPE),
        member("good"),
        member("good/inside"),
        member(".git/config"),
        member("x/.git"),
    ],
    ids=lambda item: item[0].name + str(item[0].type),
)
def test_an_entry_that_could_do_harm_refuses_the_archive(tmp_path: Path, bad) -> None:
    with pytest.raises(ArchiveInvalid):
        unpack_tgz(tgz(member("good"), bad), tmp_path / "s.git")


@pytest.mark.parametrize(
    ("data", "limits", "named"),
    [
        (tgz(member("a", b"\0" * 5_000_000)), ArchiveLimits(), "ratio=200"),
        (tgz(member("a", b"\0" * 5_000_000)), ArchiveLimits(bytes=1000), "bytes=1000"),
        (tgz(member("a", b"12345")), ArchiveLimits(file_bytes=4), "file_bytes=4"),
        (tgz(member("a"), member("b")), ArchiveLimits(files=1), "files=1"),
        (tgz(member("a")), ArchiveLimits(packed_bytes=10), "packed_bytes=10"),
        (tgz(member("a/b/c")), ArchiveLimits(depth=2), "depth=2"),
    ],
)
def test_each_limit_names_itself(tmp_path: Path, data, limits, named) -> None:
    with pytest.raises(LimitExceeded) as caught:
        unpack_tgz(data, tmp_path / "s.git", limits=limits)
    assert named in caught.value.why


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", gzip.compress(b"not a tar" * 200), tgz(member("a" * 9))[:-12], tgz()],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, data) -> None:
    with pytest.raises(ArchiveInvalid):
        unpack_tgz(data, tmp_path / "s.git")
