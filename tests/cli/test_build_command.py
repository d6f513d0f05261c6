"""`trimtab build`: manifests on standard output, everything else on standard error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.lang import yaml

BIN = Path(sys.executable).parent
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OVERLAY = EXAMPLES / "config-repo/apps/overlays/production"


def build(*args, cwd=None):
    return subprocess.run(
        [str(BIN / "trimtab"), "build", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.parametrize("path", ["apps/overlays/production", "apps/base", "infrastructure"])
def test_a_kustomization_prints_byte_for_byte_what_kubectl_prints(path):
    folder = EXAMPLES / "config-repo" / path
    theirs = subprocess.run(
        [str(BIN / "kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    ours = build(folder)
    assert ours.returncode == 0
    assert ours.stdout == theirs.stdout
    assert "commonLabels" in ours.stderr or path == "infrastructure"


def test_a_chart_takes_values_files_and_sets_in_order():
    chart = EXAMPLES / "helm-charts/charts/my-app"
    done = build(
        chart,
        *("--name", "web", "--namespace", "prod"),
        *("-f", "values-production.yaml", "--set", "replicaCount=4", "--set", "image.tag=9"),
    )
    assert done.returncode == 0, done.stderr
    objects = {obj.value["kind"]: obj.value for obj in yaml.load_all(done.stdout.encode())}
    assert objects["Deployment"]["spec"]["replicas"] == 4
    container = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "my-app:9"
    assert objects["ConfigMap"]["data"]["LOG_LEVEL"] == "warn"


def test_a_plain_directory_prints_its_objects(tmp_path):
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
    done = build(tmp_path)
    assert done.returncode == 0
    assert yaml.load(done.stdout.encode())["metadata"]["name"] == "a"


BROKEN = {
    "a missing file": (
        {"kustomization.yaml": "resources:\n  - gone.yaml\n"},
        "kustomization.yaml:2",
        "gone.yaml",
    ),
    "an unknown field": (
        {"kustomization.yaml": "resources: []\nnope: 1\n"},
        "kustomization.yaml:2:1",
        "nope",
    ),
    "broken YAML": (
        {
            "kustomization.yaml": "resources: [a.yaml]\n",
            "a.yaml": "apiVersion: v1\nkind: ConfigMap\n  bad: [\n",
        },
        "a.yaml:3",
        "",
    ),
    "a patch without its object": (
        {
            "kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
            "a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            "p.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n",
        },
        "kustomization.yaml:2",
        "p.yaml is for v1 ConfigMap other",
    ),
    "a file above the root": (
        {"kustomization.yaml": "resources: [../../../../etc/passwd]\n"},
        "kustomization.yaml",
        "passwd",
    ),
    "an object without a name": (
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"},
        "a.yaml:1",
        "metadata.name",
    ),
    "a template error": (
        {
            "Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n",
            "templates/t.yaml": "a: 1\nb: {{ .Values.x.y }}\n",
        },
        "templates/t.yaml:2",
        "nil pointer",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_bad_input_names_the_place_and_the_reason(name, tmp_path):
    files, where, why = BROKEN[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    done = build(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert any(line.startswith("  where: ") and where in line for line in lines), done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_not_supported_says_so(tmp_path):
    (tmp_path / "x.jsonnet").write_text("{}")
    done = build(tmp_path, "--kind", "jsonnet")
    assert done.returncode == 1
    assert "jsonnet" in done.stderr
