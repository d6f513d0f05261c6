"""What a build gives beside the objects: provenance, warnings, overlays of dialects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimtab.render.kustomize import build
from trimtab.render.model import KustomizeOptions
from trimtab.sources import LocalTree, RecordingTree

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: web
        image: acme/web:1
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\n"


def tree(root: Path, files: dict[str, str]) -> LocalTree:
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return LocalTree(root)


def objects(root: Path, files: dict[str, str], path: str = "", **options: Any) -> list[Any]:
    manifests, _ = build(tree(root, files), path, KustomizeOptions(**options))
    return [manifest.obj for manifest in manifests]


def image_of(obj: Any) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"])


def test_every_object_knows_its_file_its_line_and_what_changed_it(tmp_path: Path) -> None:
    manifests, _ = build(
        tree(
            tmp_path,
            {
                "base/kustomization.yaml": "resources: [all.yaml]\nnamePrefix: p-\n",
                "base/all.yaml": CONFIG_MAP + "---\n# about\n" + DEPLOYMENT,
                "overlay/kustomization.yaml": "resources: [../base]\n"
                "images: [{name: acme/web, newTag: '2'}]\n",
            },
        ),
        "overlay",
    )
    config, deployment = (manifest.origin for manifest in manifests)
    assert (config.file, config.document, config.line) == ("base/all.yaml", 0, 1)
    assert (deployment.file, deployment.document, deployment.line) == ("base/all.yaml", 1, 6)
    assert config.touched == (("namePrefix", "base/kustomization.yaml"),)
    assert deployment.touched == (
        ("namePrefix", "base/kustomization.yaml"),
        ("images", "overlay/kustomization.yaml"),
    )


def test_each_deprecated_field_warns_once(tmp_path: Path) -> None:
    _, warnings = build(
        tree(
            tmp_path,
            {
                "kustomization.yaml": "resources: [a.yaml]\ncommonLabels: {a: b}\n"
                "patchesStrategicMerge: [a.yaml]\n",
                "a.yaml": CONFIG_MAP,
            },
        ),
        "",
    )
    assert warnings == [
        "kustomization.yaml: `commonLabels` is deprecated, use `labels`",
        "kustomization.yaml: `patchesStrategicMerge` is deprecated, use `patches`",
    ]


def test_an_overlay_replaces_merges_and_appends(tmp_path: Path) -> None:
    files = {
        "kustomization.yaml": "resources: [d.yaml]\nnamePrefix: old-\nnamespace: old\n"
        "images:\n- {name: acme/web, newName: mirror/web, newTag: '2'}\n"
        "replicas: [{name: web, count: 2}]\n",
        "d.yaml": DEPLOYMENT,
        "kustomization-notes.md": "",
    }
    (obj,) = objects(
        tmp_path,
        files,
        overlay={
            "namePrefix": "new-",
            "namespace": "prod",
            "images": [{"name": "acme/web", "digest": "sha256:abc"}],
            "replicas": [{"name": "web", "count": 5}],
            "commonAnnotations": {"team": "a"},
            "patches": [
                {
                    "target": {"kind": "Deployment"},
                    "patch": '[{"op": "add", "path": "/spec/paused", "value": true}]',
                }
            ],
        },
    )
    assert obj["metadata"]["name"] == "new-web"
    assert obj["metadata"]["namespace"] == "prod"
    assert obj["metadata"]["annotations"] == {"team": "a"}
    assert obj["spec"]["replicas"] == 5
    assert obj["spec"]["paused"] is True
    assert image_of(obj) == "mirror/web@sha256:abc"


def test_setting_a_tag_clears_an_old_digest(tmp_path: Path) -> None:
    files = {
        "kustomization.yaml": "resources: [d.yaml]\n"
        "images: [{name: acme/web, digest: 'sha256:abc'}]\n",
        "d.yaml": DEPLOYMENT,
    }
    (obj,) = objects(tmp_path, files, overlay={"images": [{"name": "acme/web", "newTag": "3"}]})
    assert image_of(obj) == "acme/web:3"


def test_missing_components_are_dropped_when_asked(tmp_path: Path) -> None:
    files = {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": CONFIG_MAP}
    _, warnings = build(
        tree(tmp_path, files),
        "",
        KustomizeOptions(overlay={"components": ["nope"]}, ignore_missing_components=True),
    )
    assert warnings == ["kustomization.yaml: component nope does not exist"]


def test_a_directory_without_a_kustomization_is_made_one(tmp_path: Path) -> None:
    files = {
        "app/b/two.yaml": CONFIG_MAP.replace("config", "two"),
        "app/one.yml": CONFIG_MAP.replace("config", "one"),
        "app/sub/kustomization.yaml": "resources: [three.yaml]\nnamePrefix: p-\n",
        "app/sub/three.yaml": CONFIG_MAP.replace("config", "three"),
        "app/sub/ignored.yaml": "not: an object\n",
        "app/readme.md": "# hello\n",
    }
    found = objects(tmp_path, files, "app", generate=True, overlay={"namespace": "ns"})
    assert [(o["metadata"]["namespace"], o["metadata"]["name"]) for o in found] == [
        ("ns", "one"),
        ("ns", "p-three"),
        ("ns", "two"),
    ]


def test_an_empty_directory_generates_nothing(tmp_path: Path) -> None:
    assert objects(tmp_path, {"app/readme.md": ""}, "app", generate=True) == []


def test_a_kustomization_without_content_is_nothing_where_one_would_be_generated(
    tmp_path: Path,
) -> None:
    files = {"app/kustomization.yaml": "kind: Kustomization\n", "app/a.yaml": CONFIG_MAP}
    assert objects(tmp_path, files, "app", generate=True) == []


def test_the_read_set_names_what_decides_the_build(tmp_path: Path) -> None:
    recording = RecordingTree(
        tree(
            tmp_path,
            {
                "base/kustomization.yaml": "resources: [a.yaml]\n",
                "base/a.yaml": CONFIG_MAP,
                "base/unused.yaml": CONFIG_MAP,
                "overlay/kustomization.yaml": "resources: [../base]\n",
            },
        )
    )
    build(recording, "overlay")
    read = set(recording.read_set().entries)
    assert {"base/kustomization.yaml", "base/a.yaml", "overlay/kustomization.yaml"} <= read
    assert recording.read_set().kinds["base/kustomization.yml"] == "absent"
    assert "base/unused.yaml" not in read


def test_an_unused_variable_is_a_warning(tmp_path: Path) -> None:
    files = {
        "kustomization.yaml": "resources: [a.yaml]\nvars:\n- name: V\n"
        "  objref: {apiVersion: v1, kind: ConfigMap, name: config}\n",
        "a.yaml": CONFIG_MAP,
    }
    _, warnings = build(tree(tmp_path, files), "")
    assert "vars that are never used: V" in warnings
