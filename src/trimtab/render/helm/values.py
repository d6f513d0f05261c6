"""The values of a render, in their order: files, layers, parameters (spec/rendering.md 4.2)."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

from trimtab.errors import Location
from trimtab.lang import yaml
from trimtab.lang.strvals import StrvalsError, set_value
from trimtab.render.errors import HelmError
from trimtab.render.model import HelmOptions
from trimtab.sources import PathEscapes, Tree, join

__all__ = ["merge", "values_of"]

# Above this Go prints a float64 with an exponent, and the engine gets every number as one.
_EXPONENT_FROM = 1_000_000
_GLOB = re.compile(r"[*?\[]")


def values_of(tree: Tree, path: str, options: HelmOptions) -> tuple[dict[str, Any], list[str]]:
    """The user's values, the chart's own defaults not included, and warnings. A null stays: it
    removes the default. Raises HelmError with file and line."""
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for file in options.value_files:
        for place in _places(tree, path, file, missing_ok=options.ignore_missing_value_files):
            values = merge(values, _layer(tree, place))
    for layer in options.values_layers:
        values = merge(values, layer)
    for parameter in options.parameters:
        try:
            values = set_value(
                parameter.name, parameter.value, values, force_string=parameter.force_string
            )
        except StrvalsError as error:
            raise HelmError(
                f"parameter {parameter.name[:80]}: {error.message}", why=error.why, hint=error.hint
            ) from error
        number = parameter.value.lstrip("-")
        if not parameter.force_string and number.isdecimal() and int(number) >= _EXPONENT_FROM:
            warnings.append(
                f"parameter {parameter.name}: a template that prints this number directly shows "
                "it with an exponent; use forceString, or `int` in the template"
            )
    return values, warnings


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on `base`: mappings key by key, everything else replaced. A new mapping."""
    result = dict(base)
    for key, value in over.items():
        held = result.get(key)
        result[key] = (
            merge(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
        )
    return result


def _places(tree: Tree, path: str, file: str, *, missing_ok: bool) -> list[str]:
    """The files that one entry of `value_files` means; several, by name, for a glob."""
    if "://" in file or file.startswith("$"):
        raise HelmError(
            f"values file {file} is not in this tree",
            reason="ValuesFileUnsupported",
            hint="values files of other sources cannot be read yet",
        )
    try:
        # A leading slash means the root of the repository, as in Argo CD.
        place = join("", file) if file.startswith("/") else join(path, file)
    except PathEscapes as error:
        raise HelmError(
            f"values file {file} is outside of the repository", reason="PathEscapes", where=path
        ) from error
    if tree.kind(place) == "file":
        return [place]
    found = sorted(_matching(tree, "", place.split("/"))) if _GLOB.search(file) else []
    if not found and not missing_ok:
        raise HelmError(
            f"values file {file} does not exist", reason="ValuesFileMissing", where=Location(place)
        )
    return found


def _matching(tree: Tree, base: str, segments: list[str]) -> set[str]:
    """Files below `base` whose path matches; `**` stands for any number of directories."""
    first, rest = segments[0], segments[1:]
    found: set[str] = set()
    if first == "**" and rest:
        found |= _matching(tree, base, rest)
    for entry in tree.list(base):
        place = f"{base}/{entry.name}" if base else entry.name
        kind = tree.kind(place) if entry.kind == "link" else entry.kind
        if first == "**" and entry.kind == "dir":
            found |= _matching(tree, place, segments)
        elif first != "**" and fnmatchcase(entry.name, first):
            if rest and kind == "dir":
                found |= _matching(tree, place, rest)
            elif not rest and kind == "file":
                found.add(place)
    return found


def _layer(tree: Tree, place: str) -> dict[str, Any]:
    layer = yaml.load(tree.read(place), source=place)
    if layer is None:
        return {}
    if not isinstance(layer, dict):
        raise HelmError("a values file must be a mapping", where=Location(place, 1))
    return layer
