"""The CRDs of this dialect, as data of this package."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from trimtab.kube import Client
from trimtab.lang import yaml
from trimtab.runtime.crds import install_crds as install

__all__ = ["crds", "install_crds"]


def crds() -> list[dict[str, Any]]:
    """Application and AppProject. A kind without a controller is not installed: what nobody
    acts on shall not be accepted."""
    folder = files("trimtab.argocd").joinpath("crds")
    found = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".yaml")),
        key=lambda entry: entry.name,
    )
    return [yaml.load(entry.read_bytes(), source=entry.name) for entry in found]


async def install_crds(client: Client) -> list[str]:
    """Create or update them; those that somebody else installed are used as they are (returned
    by name)."""
    return await install(client, crds(), clock=client.clock)
