"""Every case of the corpus builds, or fails, as the real `kubectl kustomize` does.

A case is a directory; what is built is its `overlay`, or the case itself. `differences.json`
names the cases where we follow a newer kustomize than the one in kubectl.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trimtab.errors import Location
from trimtab.render.errors import RenderError
from trimtab.render.kustomize import build
from trimtab.sources import LocalTree

Oracle = Callable[[Path], "list[Any] | None"]
HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
DIFFERENCES: dict[str, str] = json.loads((HERE / "differences.json").read_text())
CASES = sorted(path.name for path in CORPUS.iterdir() if path.is_dir())


def target_of(case: str) -> str:
    return "overlay" if (CORPUS / case / "overlay").is_dir() else ""


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


@pytest.mark.parametrize("case", [case for case in CASES if case not in DIFFERENCES])
def test_builds_what_kubectl_builds(case: str, kubectl: Oracle) -> None:
    assert ours(case) == kubectl(CORPUS / case / target_of(case))


@pytest.mark.parametrize("case", sorted(DIFFERENCES))
def test_a_named_difference_is_still_one(case: str, kubectl: Oracle) -> None:
    assert case in CASES
    assert ours(case) != kubectl(CORPUS / case / target_of(case))


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
