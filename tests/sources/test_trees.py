"""Trees: paths stay inside, links are followed inside only, ids are Git's (SEC-01)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pygit2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.sources import (
    ABSENT,
    GitObjects,
    GitTree,
    LimitExceeded,
    LocalTree,
    PathEscapes,
    PathNotFound,
    normalise,
)

FILES = {"a/b/c.txt": "c", "a/x.sh": "#!", "root.txt": "r", "a.b/z": "z", "a-b": "dash"}
LINKS = {
    "in": "a/b",
    "a/up": "../root.txt",
    "chain": "in/../up",
    "dangling": "nowhere",
    "loop": "loop",
    "out": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "sneaky": "a/b/../../../x",
}


@pytest.fixture(params=["git", "local"])
def tree(request, tmp_path: Path):
    directory = tmp_path / "files"
    for name, content in FILES.items():
        place = directory / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    (directory / "a/x.sh").chmod(0o755)
    for name, target in LINKS.items():
        (directory / name).symlink_to(target)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=directory, check=True)
    (directory / "empty").mkdir()
    if request.param == "local":
        return LocalTree(directory)
    repository = pygit2.Repository(str(directory))
    return GitTree(GitObjects(directory / ".git"), str(repository.head.peel().tree.id))


def test_files_directories_and_links_inside_are_read(tree) -> None:
    assert tree.read("a/b/c.txt") == tree.read("in/c.txt") == tree.read("./a//b/../b/c.txt") == b"c"
    assert tree.read("a/up") == tree.read("chain") == b"r"
    kinds = {path: tree.kind(path) for path in ("", "a", "in", "a/up", "dangling", "no/way")}
    assert kinds == {
        "": "dir",
        "a": "dir",
        "in": "dir",
        "a/up": "file",
        "dangling": "absent",
        "no/way": "absent",
    }
    assert tree.oid("dangling") == tree.oid("root.txt/x") == ABSENT
    assert [entry.name for entry in tree.list("a")] == ["b", "up", "x.sh"]
    assert [entry.executable for entry in tree.list("a")] == [False, False, True]


@pytest.mark.parametrize("path", ["out", "absolute", "sneaky", "out/x"])
def test_a_link_that_leaves_names_both_ends(tree, path) -> None:
    with pytest.raises(PathEscapes, match=f"symlink {path.split('/')[0]} leads to"):
        tree.read(path)


def test_links_in_a_circle_end(tree) -> None:
    with pytest.raises(LimitExceeded, match="too many symlinks"):
        tree.read("loop")


@pytest.mark.parametrize(("path", "why"), [("nope", "does not exist"), ("a", "is a directory")])
def test_what_is_no_file_cannot_be_read(tree, path, why) -> None:
    with pytest.raises(PathNotFound, match=why):
        tree.read(path)
    with pytest.raises(PathNotFound):
        tree.list("root.txt")


def test_a_local_directory_has_the_ids_of_its_commit(tmp_path) -> None:
    for name, content in FILES.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    (tmp_path / "a/x.sh").chmod(0o755)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    out = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}", "HEAD:a", "HEAD:root.txt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    tree = LocalTree(tmp_path)
    assert [tree.oid(""), tree.oid("a"), tree.oid("root.txt")] == out.stdout.split()


def test_a_file_over_the_limit_is_refused(tmp_path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 100)
    with pytest.raises(LimitExceeded, match="big"):
        LocalTree(tmp_path, max_file_bytes=99).read("big")


def test_a_directory_is_parsed_once_for_all_trees_of_a_store(tmp_path) -> None:
    repository = pygit2.init_repository(str(tmp_path / "s.git"), bare=True)
    index = pygit2.Index()
    for number in range(100):
        index.add(pygit2.IndexEntry(f"d/f{number}", repository.create_blob(b"x"), 0o100644))
    tree_id = str(index.write_tree(repository))
    objects = GitObjects(tmp_path / "s.git")
    for number in range(100):
        assert GitTree(objects, tree_id).kind(f"d/f{number}") == "file"
    assert objects.reads == 2


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b c", "ä", "...", " "]), max_size=8))
def test_a_normalised_path_never_climbs(parts) -> None:
    try:
        path = normalise("/".join(parts))
    except PathEscapes:
        return
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert normalise(path) == path


@pytest.mark.parametrize("path", ["/etc", "..", "a/../..", "a\0b", "x" * 5000])
def test_paths_that_lead_out_are_refused(path) -> None:
    with pytest.raises(PathEscapes):
        normalise(path)
