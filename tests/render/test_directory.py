"""Plain directories: which files, which documents, which errors."""

from __future__ import annotations

import pytest

from trimtab.errors import Location
from trimtab.lang.yaml import YamlError
from trimtab.render import (
    DirectoryOptions,
    EngineUnsupported,
    LimitExceeded,
    Limits,
    ManifestError,
    RenderError,
    RenderRequest,
    render,
)
from trimtab.render.globs import glob_pattern
from trimtab.sources import PathEscapes, PathNotFound


def names(manifests) -> list[str]:
    return [item["metadata"]["name"] for item in manifests.objects]


def test_files_of_one_directory_come_in_the_order_of_their_names(tree_of, config_map) -> None:
    tree = tree_of(
        {
            "app/b.yml": config_map("b"),
            "app/a.yaml": config_map("a1") + "---\n" + config_map("a2"),
            "app/c.json": '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}',
            "app/deep/d.yaml": config_map("d"),
            "app/README.md": "kind: not\n",
        }
    )
    result = render(RenderRequest("app"), tree)
    assert (result.engine, names(result)) == ("directory", ["a1", "a2", "b", "c"])
    assert [(item.origin.file, item.origin.document) for item in result.items][:2] == [
        ("app/a.yaml", 0),
        ("app/a.yaml", 1),
    ]


def test_recurse_include_and_exclude_choose_files(tree_of, config_map) -> None:
    tree = tree_of({f"app/{name}.yaml": config_map(name[-1]) for name in ("a", "x/b", "x/y/c")})

    def of(**options) -> list[str]:
        request = RenderRequest("app", directory=DirectoryOptions(**options))
        return names(render(request, tree))

    assert of(recurse=True) == ["a", "b", "c"]
    assert of(recurse=True, include="x/*") == ["b", "c"]
    assert of(recurse=True, exclude="{a,x/y/*}.yaml") == ["b"]


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("*.yaml", ["a.yaml", "x/a.yaml"], ["a.yml"]),
        ("{a,b}.yaml", ["a.yaml", "b.yaml"], ["c.yaml"]),
        ("config-[!x].yaml", ["config-a.yaml"], ["config-x.yaml"]),
        ("a?c", ["abc"], ["ac"]),
        (r"\*", ["*"], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
    ],
)
def test_globs_match_as_argo_cd_matches(pattern, inside, outside) -> None:
    compiled = glob_pattern(pattern)
    assert all(compiled.fullmatch(text) for text in inside)
    assert not any(compiled.fullmatch(text) for text in outside)


@pytest.mark.parametrize("pattern", ["{a", "[a", "x" * 2000])
def test_a_glob_that_is_none_is_an_error(pattern) -> None:
    with pytest.raises(RenderError):
        glob_pattern(pattern)


def test_lists_are_unrolled(tree_of) -> None:
    item = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}}"
    text = f"apiVersion: v1\nkind: List\nitems: [{item % 'a'}, {item % 'b'}]\n"
    assert names(render(RenderRequest(""), tree_of({"a.yaml": text}))) == ["a", "b"]


def test_a_skipped_file_and_one_that_is_no_manifest_are_left_out(tree_of, config_map) -> None:
    tree = tree_of(
        {
            "a.yaml": "# +argocd:skip-file-rendering\n" + config_map("a"),
            "values.yaml": "replicas: 2\n",
            "b.yaml": config_map("b"),
        }
    )
    result = render(RenderRequest(""), tree)
    assert names(result) == ["b"]
    assert result.warnings == ("values.yaml is not a Kubernetes manifest and is left out",)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("apiVersion: v1\nmetadata: {name: x}\n", 1, "has no `kind`"),
        ("\n\nkind: ConfigMap\nmetadata: {name: x}\n", 3, "has no `apiVersion`"),
        ("apiVersion: v1\nkind: ConfigMap\n", 1, "has no `metadata`"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", 1, "has no `metadata.name`"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n", 1, "not text"),
        ("kind: A\n---\n- 1\n", 1, "has no `apiVersion`"),
    ],
)
def test_what_is_no_object_is_an_error_with_its_line(tree_of, text, line, message) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        render(RenderRequest("d"), tree_of({"d/a.yaml": text}))
    assert isinstance(caught.value.where, Location)
    assert (caught.value.where.file, caught.value.where.line) == ("d/a.yaml", line)


def test_all_errors_are_told_not_only_the_first(tree_of) -> None:
    bad = "apiVersion: v1\nkind: ConfigMap\n"
    with pytest.raises(ManifestError) as caught:
        render(RenderRequest(""), tree_of({"a.yaml": bad, "b.yaml": "kind: [\n", "c.yaml": bad}))
    assert [str(error.where) for error in caught.value.others] == ["b.yaml:2:1", "c.yaml:1"]


def test_a_helm_template_in_a_plain_directory_says_what_it_is(tree_of) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  {{ x }}\n"
    with pytest.raises(YamlError) as caught:
        render(RenderRequest(""), tree_of({"a.yaml": text}))
    assert "Helm template" in caught.value.hint


def test_a_missing_directory_and_one_above_the_root_are_errors(tree_of) -> None:
    tree = tree_of({"a.yaml": ""})
    with pytest.raises(PathNotFound, match="nope"):
        render(RenderRequest("nope"), tree)
    for path in ("../x", "/etc", "a/../../x"):
        with pytest.raises(PathEscapes):
            render(RenderRequest(path), tree)


def test_a_symlink_out_of_the_tree_is_an_error_naming_both_ends(tree_of) -> None:
    with pytest.raises(PathEscapes, match=r"d/a\.yaml leads to \.\./\.\./etc/passwd"):
        render(RenderRequest("d"), tree_of({"d/a.yaml": "-> ../../etc/passwd"}))


def test_a_symlink_inside_is_followed(tree_of, config_map) -> None:
    tree = tree_of({"d/a.yaml": "-> ../base/x.yaml", "base/x.yaml": config_map("x")})
    assert names(render(RenderRequest("d"), tree)) == ["x"]


@pytest.mark.parametrize("files", [{"a.jsonnet": "{}"}])
def test_jsonnet_is_refused_aloud(tree_of, files) -> None:
    with pytest.raises(EngineUnsupported, match="jsonnet"):
        render(RenderRequest(""), tree_of(files))


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (Limits(objects=1), "objects=1"),
        (Limits(document_bytes=50), "document_bytes=50"),
        (Limits(output_bytes=100), "output_bytes=100"),
        (Limits(input_bytes=100), "input_bytes=100"),
    ],
)
def test_each_limit_names_itself(tree_of, config_map, limits, named) -> None:
    tree = tree_of({"a.yaml": config_map("a"), "b.yaml": config_map("b")})
    with pytest.raises(LimitExceeded) as caught:
        render(RenderRequest(""), tree, limits=limits)
    assert named in caught.value.why


def test_the_same_request_and_tree_give_the_same_bytes(tree_of, config_map) -> None:
    tree = tree_of({"a.yaml": config_map("a", x="1"), "b.yaml": config_map("b")})
    assert render(RenderRequest(""), tree) == render(RenderRequest(""), tree)


def test_the_read_set_notices_new_removed_and_changed_files_only(tree_of, config_map) -> None:
    files = {
        "app/a.yaml": config_map("a"),
        "app/sub/x.yaml": config_map("x"),
        "other.yaml": config_map("o"),
    }
    reads = render(RenderRequest("app"), tree_of(files)).reads
    assert reads.holds_in(tree_of(files | {"other.yaml": "changed"}))
    assert reads.holds_in(tree_of(files | {"app/sub/x.yaml": "changed", "app/sub/new": ""}))
    assert not reads.holds_in(tree_of(files | {"app/a.yaml": config_map("b")}))
    assert not reads.holds_in(tree_of(files | {"app/new.yaml": config_map("n")}))
    assert not reads.holds_in(tree_of(files | {"app/kustomization.yaml": "resources: []"}))
    assert not reads.holds_in(tree_of({"other.yaml": ""}))
