"""Every case of the corpus builds, or fails, as the real `kubectl kustomize` does.

A case is a directory; what is built is its `overlay`, or the case itself. `differences.json`
names the cases where we follow a newer kustomize than the one in kubectl.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trimtab.errors import Location
from trimtab.lang.yaml import load_all
from trimtab.render.errors import RenderError
from trimtab.render.kustomize import build
from trimtab.sources import LocalTree

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
DIFFERENCES: dict[str, str] = json.loads((HERE / "differences.json").read_text())
CASES = sorted(path.name for path in CORPUS.iterdir() if path.is_dir())
KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


def target_of(case: str) -> str:
    return "overlay" if (CORPUS / case / "overlay").is_dir() else ""


def kubectl(case: str) -> list[Any] | None:
    """Objects in order, None when kubectl refuses."""
    assert KUBECTL
    run = subprocess.run(
        [KUBECTL, "kustomize", str(CORPUS / case / target_of(case))],
        capture_output=True,
        text=True,
        check=False,
    )
    return [d.value for d in load_all(run.stdout)] if run.returncode == 0 else None


def ours(case: str) -> list[Any] | None:
    try:
        manifests, _ = build(LocalTree(CORPUS / case), target_of(case))
    except RenderError:
        return None
    return [manifest.obj for manifest in manifests]


def refusal(case: str) -> RenderError | None:
    try:
        build(LocalTree(CORPUS / case), target_of(case))
    except RenderError as error:
        return error
    return None


@needs_kubectl
@pytest.mark.parametrize("case", [case for case in CASES if case not in DIFFERENCES])
def test_builds_what_kubectl_builds(case: str) -> None:
    assert ours(case) == kubectl(case)


@needs_kubectl
@pytest.mark.parametrize("case", sorted(DIFFERENCES))
def test_a_named_difference_is_still_one(case: str) -> None:
    assert case in CASES
    assert ours(case) is not None
    assert ours(case) != kubectl(case)


@pytest.mark.parametrize("case", CASES)
def test_every_refusal_says_where_and_why(case: str) -> None:
    error = refusal(case)
    if error is not None:
        assert isinstance(error.where, Location)
        assert error.where.file
        assert error.message
        assert error.reason != "RenderFailed"


@pytest.mark.parametrize("case", CASES)
def test_a_build_is_deterministic(case: str) -> None:
    assert ours(case) == ours(case)
