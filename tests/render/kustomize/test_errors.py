"""Refusals say where, through which files, why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.errors import Location
from trimtab.render.errors import RenderError
from trimtab.render.kustomize import build
from trimtab.render.model import KustomizeOptions
from trimtab.sources import LocalTree

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"


def tree(root: Path, files: dict[str, str]) -> LocalTree:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return LocalTree(root)


def refusal(
    root: Path, files: dict[str, str], path: str = "", options: KustomizeOptions | None = None
) -> RenderError:
    with pytest.raises(RenderError) as caught:
        build(tree(root, files), path, options)
    return caught.value


def test_an_unknown_field_is_named_with_line_and_column(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"kustomization.yaml": "resources: []\nimages:\n- tag: x\n"})
    assert str(error.where) == "kustomization.yaml:3:3"
    assert "`tag`" in error.message
    assert "newTag" in error.hint


def test_all_bad_fields_of_a_file_are_reported(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"kustomization.yaml": "nope: 1\nresources: x\nnamespace: 3\n"})
    assert [str(e.where) for e in (error, *error.others)] == [
        "kustomization.yaml:1:1",
        "kustomization.yaml:2:1",
        "kustomization.yaml:3:1",
    ]


def test_bad_yaml_in_a_base_names_the_chain_of_files(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        {
            "overlay/kustomization.yaml": "resources: [../base]\n",
            "base/kustomization.yaml": "resources: [bad.yaml]\n",
            "base/bad.yaml": "apiVersion: v1\nkind: [\n",
        },
        "overlay",
    )
    assert isinstance(error.where, Location)
    assert (error.where.file, error.where.line) == ("base/bad.yaml", 3)
    assert error.where.via == ("overlay/kustomization.yaml", "base/kustomization.yaml")


def test_a_missing_file_is_answered_with_what_is_there(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        {
            "kustomization.yaml": "resources:\n- deploymnt.yaml\n",
            "deployment.yaml": CONFIG_MAP,
        },
    )
    assert error.reason == "FileNotFound"
    assert str(error.where) == "kustomization.yaml:2:3"
    assert "deployment.yaml" in error.hint


def test_a_patch_without_its_object_names_the_near_ones(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        {
            "kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
            "a.yaml": CONFIG_MAP.format(name="config"),
            "p.yaml": CONFIG_MAP.format(name="confg"),
        },
    )
    assert error.reason == "PatchTargetNotFound"
    assert "v1 ConfigMap config" in error.message
    assert str(error.where) == "kustomization.yaml:2:11"


def test_the_same_object_twice_names_both_origins(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        {
            "kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
            "a.yaml": "---\n" + CONFIG_MAP.format(name="x"),
            "b.yaml": CONFIG_MAP.format(name="x"),
        },
    )
    assert error.reason == "DuplicateResource"
    assert "a.yaml:2" in error.message
    assert "b.yaml:1" in error.message


def test_a_cycle_shows_the_loop(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        {
            "a/kustomization.yaml": "resources: [../b]\n",
            "b/kustomization.yaml": "resources: [../a]\n",
        },
        "a",
    )
    assert error.reason == "Cycle"
    assert "a -> b -> a" in error.message


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/acme/repo//deploy?ref=v1",
        "git@github.com:acme/repo.git//deploy",
        "github.com/acme/repo?ref=main",
        "https://example.com/manifest.yaml",
        "ssh://git@example.com/repo.git",
    ],
)
def test_remote_bases_are_refused_unless_allowed(tmp_path: Path, remote: str) -> None:
    files = {"kustomization.yaml": f"resources: ['{remote}']\n"}
    assert refusal(tmp_path, files).reason == "RemoteRefused"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../x"])
def test_paths_do_not_leave_the_tree(tmp_path: Path, path: str) -> None:
    error = refusal(tmp_path, {"kustomization.yaml": f"resources: ['{path}']\n"})
    assert error.reason == "PathEscapes"


def test_a_link_out_of_the_tree_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text(CONFIG_MAP.format(name="secret"))
    root = tmp_path / "tree"
    root.mkdir()
    (root / "in.yaml").symlink_to(outside)
    error = refusal(root, {"kustomization.yaml": "resources: [in.yaml]\n"})
    assert error.reason == "PathEscapes"


def test_files_above_the_kustomization_need_the_wider_restriction(tmp_path: Path) -> None:
    files = {
        "shared.yaml": CONFIG_MAP.format(name="a"),
        "app/kustomization.yaml": "resources: [../shared.yaml]\n",
    }
    assert refusal(tmp_path, files, "app").reason == "LoadRestricted"
    manifests, _ = build(LocalTree(tmp_path), "app", KustomizeOptions(load_restriction="tree"))
    assert [m.origin.file for m in manifests] == ["shared.yaml"]


@pytest.mark.parametrize(
    "field", ["helmCharts", "generators", "transformers", "validators", "crds", "openapi"]
)
def test_what_is_not_supported_is_said_aloud(tmp_path: Path, field: str) -> None:
    value = "{path: x}" if field == "openapi" else "[x]"
    error = refusal(tmp_path, {"kustomization.yaml": f"resources: []\n{field}: {value}\n"})
    assert error.reason == "FieldUnsupported"
    assert f"`{field}`" in error.message
    assert str(error.where) == "kustomization.yaml:2:1"


def test_a_deep_nest_of_bases_hits_a_limit(tmp_path: Path) -> None:
    files = {f"d{i}/kustomization.yaml": f"resources: [../d{i + 1}]\n" for i in range(80)}
    assert refusal(tmp_path, files, "d0").reason == "LimitExceeded"


def test_a_field_that_is_no_list_does_not_end_in_a_traceback(tmp_path: Path) -> None:
    for text in ("resources: {a: b}\n", "- a\n", "just text\n", "patches: [1]\n", "labels: [x]\n"):
        assert refusal(tmp_path, {"kustomization.yaml": text}).reason == "KustomizationInvalid"
