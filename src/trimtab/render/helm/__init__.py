"""Helm charts of a tree to manifests (spec/rendering.md 4)."""

from __future__ import annotations

from trimtab.errors import Location
from trimtab.render.errors import HelmError
from trimtab.render.helm.chart_files import read_chart
from trimtab.render.helm.engine import Chart, ChartEngine, Release, Rendered
from trimtab.render.helm.output import HOOK, hook_events, manifests_from, place_in_tree
from trimtab.render.helm.values import merge, values_of
from trimtab.render.helm.volatile import CLOCK, volatile_functions
from trimtab.render.model import Destination, HelmOptions, Manifest
from trimtab.sources import Tree

__all__ = [
    "HOOK",
    "Chart",
    "ChartEngine",
    "Release",
    "Rendered",
    "hook_events",
    "merge",
    "template",
]


def template(
    tree: Tree,
    path: str,
    options: HelmOptions,
    destination: Destination,
    *,
    charts: ChartEngine | None = None,
) -> tuple[list[Manifest], list[str], bool]:
    """Manifests of the chart in `path`, warnings, and whether another render could differ.

    Hooks stay in the output with their annotations: what they mean is the dialect's. Raises
    HelmError or YamlError with file and line.
    """
    if charts is None:
        from trimtab.render.helm.isolated import IsolatedEngine

        charts = IsolatedEngine()
    kube_version = _version(destination.kube_version)
    chart = read_chart(
        tree, path, skip_schema=options.skip_schema_validation, kube_version=kube_version
    )
    values, warnings = values_of(tree, path, options)
    release = Release(
        name=options.release_name,
        namespace=destination.namespace or "default",
        revision=options.revision,
        is_upgrade=options.is_upgrade,
        kube_version=kube_version,
        api_versions=destination.api_versions,
    )
    try:
        rendered = charts.render(chart, values, release)
        functions = volatile_functions(chart)
        volatile = bool(functions) and (
            bool(functions & CLOCK) or charts.render(chart, values, release) != rendered
        )
    except HelmError as error:
        error.where = _in_tree(error.where, chart.name, path)
        raise
    if volatile:
        warnings.append(
            f"the chart {chart.name} gives another result each time: {', '.join(sorted(functions))}"
        )
    return manifests_from(rendered, chart.name, path, options), warnings, volatile


def _version(text: str) -> str:
    """`1.30` or `1.30.0` as the engine wants it: `v1.30.0`."""
    if not text:
        return ""
    plain = text.removeprefix("v")
    return f"v{plain}.0" if plain.count(".") == 1 else f"v{plain}"


def _in_tree(where: Location | str | None, chart: str, path: str) -> Location | str | None:
    if isinstance(where, Location):
        file = place_in_tree(where.file, chart, path)
        return Location(file, where.line, where.column, where.via)
    return place_in_tree(where, chart, path) if where else where
