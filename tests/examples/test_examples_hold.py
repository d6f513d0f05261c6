"""The examples are in the forms people write, and they work: they render as kubectl renders them,
and they fit the CRDs that we ship."""

import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.flux import crds as flux_crds
from trimtab.lang import yaml
from trimtab.objects import crd_versions, default_by_schema, unknown_fields, validate
from trimtab.objects.identity import gvk_of
from trimtab.render import RenderRequest, render
from trimtab.sources import LocalTree

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CONFIG = EXAMPLES / "config-repo"
KUBECTL = Path(sys.executable).with_name("kubectl")
KUSTOMIZATIONS = [
    *(f"apps/overlays/{name}" for name in ("development", "staging", "production")),
    "apps/base",
    "infrastructure",
    *(f"infrastructure/{name}" for name in ("cert-manager", "nginx-ingress", "monitoring")),
]


@pytest.mark.parametrize("path", KUSTOMIZATIONS)
def test_each_kustomization_renders_as_kubectl_renders_it(path):
    ours = render(RenderRequest(path=path), LocalTree(CONFIG)).objects
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(CONFIG / path)], capture_output=True, check=True
    )
    theirs = [document.value for document in yaml.load_all(done.stdout)]
    assert ours == theirs


def documents(folder: Path):
    for file in sorted(folder.glob("*.yaml")):
        for document in yaml.load_all(file.read_bytes(), source=str(file)):
            yield pytest.param(document.value, id=f"{file.name}:{document.line}")


def schemas():
    found = {}
    for crd in flux_crds():
        group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
        for version, schema in crd_versions(crd).items():
            found[f"{group}/{version}", kind] = schema
    return found


SCHEMAS = schemas()


@pytest.mark.parametrize("obj", list(documents(EXAMPLES / "flux")))
def test_each_flux_example_fits_its_crd(obj):
    schema = SCHEMAS.get((obj["apiVersion"], obj["kind"]))
    if schema is None:
        assert obj["kind"] in ("Namespace", "ConfigMap")
        return
    assert unknown_fields(obj["spec"], schema.properties["spec"]) == []
    whole = default_by_schema(obj, schema)
    assert validate(whole, gvk_of(obj), schema, builtin=False) == []


def test_every_cluster_has_its_apps_and_infrastructure():
    for name in ("development", "staging", "production"):
        apps = yaml.load((CONFIG / "clusters" / name / "apps.yaml").read_bytes())
        assert apps["spec"]["source"]["path"] == f"apps/overlays/{name}"
        infrastructure = yaml.load(
            (CONFIG / "clusters" / name / "infrastructure.yaml").read_bytes()
        )
        assert infrastructure["spec"]["postBuild"]["substitute"]["cluster_env"] == name
