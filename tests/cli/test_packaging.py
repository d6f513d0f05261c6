"""The wheel carries everything: it works in an empty environment, outside the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_examples_crds_schemas_types_and_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "trimtab/py.typed",
        "trimtab/cli/demo/examples/config-repo/apps/base/kustomization.yaml",
        "trimtab/cli/demo/examples/helm-charts/charts/my-app/templates/_helpers.tpl",
        "trimtab/flux/crds/kustomizations.yaml",
        "trimtab/argocd/crds/applications.yaml",
    ):
        assert name in names
    assert any(name.startswith("trimtab/objects/data/kubernetes-") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not any(name.startswith(("tests/", "bench/", "tools/")) for name in names)


@pytest.mark.long
def test_the_demo_runs_from_the_wheel_in_an_empty_environment(wheel, tmp_path):
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    subprocess.run([str(home / "bin/pip"), "install", "--quiet", str(wheel)], check=True)
    done = subprocess.run(
        [str(home / "bin/trimtab"), "up", "--demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "claims hold." in done.stdout


def test_importing_trimtab_loads_nothing_heavy():
    code = "import sys, trimtab; print(sorted(set(sys.modules) & {'aiohttp', 'msgspec', 'yaml'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_commands_of_a_few_requests_load_no_server_and_no_asynchronous_client():
    code = (
        "import sys, trimtab.cli.commands.get, trimtab.cli.commands.sync;"
        "print(sorted(set(sys.modules) & {'aiohttp', 'uvicorn', 'asyncio', 'pygit2'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
