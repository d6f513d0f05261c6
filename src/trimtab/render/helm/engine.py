"""What renders a chart: files, values and facts in, texts out (spec/rendering.md 4.1)."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

__all__ = ["Chart", "ChartEngine", "Release", "Rendered"]


class Chart(msgspec.Struct, frozen=True):
    """A chart's files by path from its root. `name` is what Chart.yaml says."""

    name: str
    files: dict[str, bytes]


class Release(msgspec.Struct, frozen=True):
    """`.Release` and `.Capabilities`. `kube_version` as `v1.30.0`; "" is the engine's own."""

    name: str
    namespace: str = "default"
    revision: int = 1
    is_upgrade: bool = False
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


class Rendered(msgspec.Struct, frozen=True):
    """Template path (`<chart name>/templates/...`) -> text, and the files of crds/."""

    templates: dict[str, str]
    crds: tuple[tuple[str, str], ...] = ()


class ChartEngine(Protocol):
    def render(self, chart: Chart, values: dict[str, Any], release: Release) -> Rendered:
        """Raises HelmError; its place names a file with the chart's name in front."""
        ...
