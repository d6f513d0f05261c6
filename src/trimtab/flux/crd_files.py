"""The CRDs of the Flux kinds that are reconciled here, as data of this package."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from trimtab.lang import yaml

__all__ = ["crds"]


def crds() -> list[dict[str, Any]]:
    """Every CustomResourceDefinition in `crds/`, by file name."""
    folder = files("trimtab.flux").joinpath("crds")
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".yaml")),
        key=lambda entry: entry.name,
    )
    return [
        document.value
        for entry in found
        for document in yaml.load_all(entry.read_bytes(), source=entry.name)
    ]
