"""Charts through Helm's own library, in a process of their own."""

from __future__ import annotations

import json
import re

import pytest

from trimtab.errors import Location
from trimtab.render import (
    Destination,
    HelmError,
    HelmOptions,
    HelmParameter,
    RenderRequest,
    render,
)
from trimtab.render.helm.chart_files import read_chart
from trimtab.render.helm.engine import Chart, Release, Rendered
from trimtab.render.helm.engine_sdk import SdkEngine
from trimtab.sources import RecordingTree

CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n"


class Counting:
    """The real engine, in this process: these tests own it."""

    def __init__(self) -> None:
        self.engine = SdkEngine()
        self.calls = 0

    def render(self, chart: Chart, values: dict, release: Release) -> Rendered:
        self.calls += 1
        return self.engine.render(chart, values, release)


@pytest.fixture(scope="module")
def engine() -> Counting:
    return Counting()


@pytest.fixture
def helm(tree_of, engine):
    def run(files, *, path="c", destination=None, **options):
        files = {"c/Chart.yaml": CHART} | files
        request = RenderRequest(
            path, destination=destination or Destination(), helm=HelmOptions(**options)
        )
        return render(request, tree_of(files), charts=engine)

    return run


def data_of(manifests) -> dict[str, str]:
    return manifests.objects[0]["data"]


def test_values_are_merged_in_their_order(helm) -> None:
    show = "".join(f"  {key}: {{{{ .Values.{key} | quote }}}}\n" for key in "abcde")
    result = helm(
        {
            "c/values.yaml": "{a: chart, b: chart, c: chart, d: chart, e: chart}",
            "c/one.yaml": "{b: one, c: one, d: one, e: one}",
            "shared/two.yaml": "{c: two, d: two, e: two}",
            "c/templates/cm.yaml": MAP + show,
        },
        value_files=("one.yaml", "../shared/two.yaml"),
        values_layers=({"d": "layer", "e": "layer"},),
        parameters=(HelmParameter("e", "set"),),
    )
    assert data_of(result) == {"a": "chart", "b": "one", "c": "two", "d": "layer", "e": "set"}


def test_a_glob_of_values_files_takes_them_by_name_and_notices_new_ones(helm, tree_of) -> None:
    files = {
        "env/a/1.yaml": "{x: first, y: first}",
        "env/b/2.yaml": "{x: second}",
        "env/b/no.txt": "{x: wrong}",
        "c/templates/cm.yaml": MAP + "  x: {{ .Values.x }}\n  y: {{ .Values.y }}\n",
    }
    result = helm(files, value_files=("../env/**/*.yaml",))
    assert data_of(result) == {"x": "second", "y": "first"}
    files |= {"c/Chart.yaml": CHART}
    assert result.reads.holds_in(tree_of(files | {"env/b/no.txt": "other"}))
    assert not result.reads.holds_in(tree_of(files | {"env/b/3.yaml": "x: third"}))
    with pytest.raises(HelmError, match="does not exist"):
        helm(files, value_files=("none-*.yaml",))


def test_null_removes_a_default(helm) -> None:
    result = helm(
        {
            "c/values.yaml": "m: {x: 1, z: 2}",
            "c/templates/cm.yaml": MAP + "  m: {{ toJson .Values.m | quote }}\n",
        },
        values_layers=({"m": {"x": None}},),
    )
    assert data_of(result) == {"m": '{"z":2}'}


def test_release_and_capabilities_are_what_was_asked(helm) -> None:
    result = helm(
        {
            "c/templates/cm.yaml": MAP
            + "  ns: {{ .Release.Namespace }}\n  up: {{ .Release.IsUpgrade | quote }}\n"
            + "  kube: {{ .Capabilities.KubeVersion.Version }}\n"
            + '  has: {{ .Capabilities.APIVersions.Has "example.org/v1" | quote }}\n'
        },
        destination=Destination("prod", "1.29", ("example.org/v1",)),
        release_name="mine",
        is_upgrade=True,
    )
    assert result.objects[0]["metadata"]["name"] == "mine"
    assert data_of(result) == {"ns": "prod", "up": "true", "kube": "v1.29.0", "has": "true"}


def test_objects_come_in_install_order_crds_first_hooks_last(helm) -> None:
    def obj(kind: str, name: str, hook: str = "", weight: int = 0) -> str:
        note = (
            f'\n  annotations: {{helm.sh/hook: "{hook}", helm.sh/hook-weight: "{weight}"}}'
            if hook
            else ""
        )
        return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}{note}\n---\n"

    files = {
        "c/templates/all.yaml": obj("Service", "s")
        + obj("Widget", "w")
        + obj("Job", "late", "post-install", 5)
        + obj("Pod", "probe", "test")
        + obj("Job", "early", "pre-install,pre-upgrade", -5)
        + obj("ConfigMap", "b")
        + obj("ConfigMap", "a"),
        "c/templates/NOTES.txt": "hello",
        "c/crds/x.yaml": obj("CustomResourceDefinition", "crd"),
    }

    def names(**options) -> list[str]:
        return [item["metadata"]["name"] for item in helm(files, **options).objects]

    assert names() == ["crd", "a", "b", "s", "w", "early", "probe", "late"]
    assert names(skip_crds=True, skip_tests=True) == ["a", "b", "s", "w", "early", "late"]
    origin = helm(files).items[0].origin
    assert origin.file == "c/crds/x.yaml"


def test_subcharts_obey_their_condition(helm) -> None:
    files = {
        "c/Chart.yaml": CHART
        + "dependencies: [{name: sub, version: 0.1.0, repository: '', condition: sub.enabled}]\n",
        "c/values.yaml": "sub: {enabled: false}",
        "c/charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
        "c/charts/sub/templates/cm.yaml": MAP,
    }
    assert helm(files).objects == []
    on = helm(files, values_layers=({"sub": {"enabled": True}},))
    assert [item.origin.file for item in on.items] == ["c/charts/sub/templates/cm.yaml"]


def test_a_dependency_that_is_not_there_is_an_error(helm) -> None:
    about = CHART + "dependencies: [{name: redis, version: 1.x, repository: https://example.org}]\n"
    with pytest.raises(HelmError, match="redis") as caught:
        helm({"c/Chart.yaml": about})
    assert caught.value.reason == "DependencyMissing"


@pytest.mark.parametrize(
    ("template", "place", "message"),
    [
        ("a: 1\nb: {{ .Values.no.way }}\n", "c/templates/x.yaml:2:13", "nil pointer"),
        ("a: 1\nb: {{ if }}\n", "c/templates/x.yaml:2", "missing value for if"),
        ('\n\nb: {{ required "set x" .Values.x }}\n', "c/templates/x.yaml:3:6", "set x"),
        ('{{ fail "boom" }}', "c/templates/x.yaml:1:3", "boom"),
        ('{{ include "nope" . }}', "c/templates/x.yaml:1:3", 'no template "nope"'),
        ("a: {{ eq 1 1.0 }}", "c/templates/x.yaml:1:6", "incompatible types"),
        ("a: 1\n   b: 2\n", "c/templates/x.yaml", "not YAML"),
    ],
)
def test_template_errors_carry_their_place(helm, template, place, message) -> None:
    with pytest.raises(HelmError, match=re.escape(message)) as caught:
        helm({"c/templates/x.yaml": template})
    assert str(caught.value.where) == place


def test_values_that_break_the_schema_are_named_by_path(helm) -> None:
    files = {
        "c/values.schema.json": json.dumps(
            {"properties": {"image": {"properties": {"tag": {"type": "string"}}}}}
        ),
        "c/templates/cm.yaml": MAP,
    }
    wrong = ({"image": {"tag": 1}},)
    with pytest.raises(HelmError) as caught:
        helm(files, values_layers=wrong)
    assert caught.value.reason == "ValuesInvalid"
    assert "image.tag: got number, want string" in caught.value.why
    assert helm(files, values_layers=wrong, skip_schema_validation=True).objects


@pytest.mark.parametrize(
    ("files", "options", "reason"),
    [
        ({}, {"value_files": ("nope.yaml",)}, "ValuesFileMissing"),
        ({}, {"value_files": ("../../x.yaml",)}, "PathEscapes"),
        ({}, {"value_files": ("https://example.org/v.yaml",)}, "ValuesFileUnsupported"),
        ({"c/v.yaml": "[1]"}, {"value_files": ("v.yaml",)}, "HelmFailed"),
        ({"c/Chart.yaml": "version: 1.0.0\n"}, {}, "HelmFailed"),
        ({"c/Chart.yaml": "name: ../x\nversion: 1.0.0\n"}, {}, "HelmFailed"),
        ({"c/Chart.yaml": "name: x\n"}, {}, "HelmFailed"),
        ({}, {"parameters": (HelmParameter("a[", "1"),)}, "HelmFailed"),
    ],
)
def test_wrong_input_is_a_helm_error(helm, files, options, reason) -> None:
    with pytest.raises(HelmError) as caught:
        helm(files, **options)
    assert caught.value.reason == reason


def test_a_missing_values_file_may_be_ignored(helm) -> None:
    assert helm({}, value_files=("nope.yaml",), ignore_missing_value_files=True).objects == []


def test_a_chart_that_does_not_allow_the_destination_is_refused(helm) -> None:
    with pytest.raises(HelmError) as caught:
        helm(
            {"c/Chart.yaml": CHART + 'kubeVersion: ">=1.30.0-0"\n'},
            destination=Destination(kube_version="1.29.4"),
        )
    assert caught.value.reason == "KubeVersionMismatch"


@pytest.mark.parametrize("function", ["randAlphaNum 8", "uuidv4", "now"])
def test_a_chart_that_is_never_twice_the_same_is_volatile(helm, function) -> None:
    result = helm({"c/templates/cm.yaml": MAP + f"  x: {{{{ {function} | quote }}}}\n"})
    assert result.volatile
    assert function.split()[0] in result.warnings[-1]


def test_a_volatile_function_that_is_never_called_does_no_harm(helm) -> None:
    result = helm(
        {
            "c/templates/_h.tpl": '{{ define "x" }}{{ randAlphaNum 8 }}{{ end }}',
            "c/templates/cm.yaml": MAP + "  now: a word\n",
        }
    )
    assert not result.volatile


def test_files_that_helmignore_names_are_not_in_the_chart(tree_of) -> None:
    tree = tree_of(
        {
            "Chart.yaml": CHART,
            ".helmignore": "# comment\n*.bak\nsecret/\n/only-root.txt\n",
            "a.bak": "",
            "secret/x": "",
            "only-root.txt": "",
            "deep/only-root.txt": "",
            "templates/.hidden.yaml": "",
        }
    )
    chart = read_chart(tree, "", skip_schema=False, kube_version="")
    assert sorted(chart.files) == [".helmignore", "Chart.yaml", "deep/only-root.txt"]


def test_every_file_of_the_chart_is_in_the_read_set(tree_of, engine) -> None:
    files = {"c/Chart.yaml": CHART, "c/files/x.txt": "1", "v.yaml": "a: 1", "other": "1"}
    tree = RecordingTree(tree_of(files))
    request = RenderRequest("c", helm=HelmOptions(value_files=("/v.yaml",)))
    reads = render(request, tree, charts=engine).reads
    assert reads.holds_in(tree_of(files | {"other": "2"}))
    for changed in ("c/files/x.txt", "v.yaml", "c/values.yaml", "c/templates/new.yaml"):
        assert not reads.holds_in(tree_of(files | {changed: "b: 2"})), changed


def test_a_command_renders_a_chart_in_a_process_of_its_own(tree_of) -> None:
    tree = tree_of({"Chart.yaml": CHART, "templates/cm.yaml": MAP + "  a: b\n"})
    assert data_of(render(RenderRequest(""), tree)) == {"a": "b"}
    broken = tree_of({"Chart.yaml": CHART, "templates/cm.yaml": "{{ nope }}"})
    with pytest.raises(HelmError) as caught:
        render(RenderRequest(""), broken)
    assert isinstance(caught.value.where, Location)
    assert caught.value.where.file == "templates/cm.yaml"
