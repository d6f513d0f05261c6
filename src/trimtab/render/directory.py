"""A directory of plain manifests (spec/rendering.md 5)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from trimtab.errors import Location, TrimtabError
from trimtab.lang import yaml
from trimtab.render.errors import EngineUnsupported, ManifestError
from trimtab.render.globs import glob_pattern
from trimtab.render.manifests import manifests_of
from trimtab.render.model import DirectoryOptions, Manifest
from trimtab.sources import Tree

__all__ = ["build"]

_SKIP = b"+argocd:skip-file-rendering"
_SUFFIXES = (".yaml", ".yml", ".json")
_LOOKS_LIKE_ONE = re.compile(rb"^[ \t{]*[\"']?(?:apiVersion|kind)[\"']?[ \t]*:", re.MULTILINE)
_MAX_DEPTH = 64


def build(tree: Tree, path: str, options: DirectoryOptions) -> tuple[list[Manifest], list[str]]:
    """Manifests of the files in `path` in order of their names, and warnings.

    A file that does not look like a manifest is left out and named in a warning. Raises
    ManifestError or YamlError with file and line; further errors are in `others`.
    """
    found: list[Manifest] = []
    warnings: list[str] = []
    errors: list[TrimtabError] = []
    for file in _files(tree, path, options):
        try:
            found += _read(tree, file, warnings)
        except (ManifestError, yaml.YamlError) as error:
            errors.append(error)
    if errors:
        raise _all_of(errors)
    return found, warnings


def _files(tree: Tree, path: str, options: DirectoryOptions) -> Iterator[str]:
    include = glob_pattern(options.include) if options.include else None
    exclude = glob_pattern(options.exclude) if options.exclude else None
    for file in _walk(tree, path, recurse=options.recurse, depth=0):
        relative = posixpath.relpath(file, path) if path else file
        if include is not None and not include.fullmatch(relative):
            continue
        if exclude is not None and exclude.fullmatch(relative):
            continue
        if file.endswith(".jsonnet"):
            raise EngineUnsupported(
                "jsonnet files cannot be rendered yet",
                where=Location(file),
                hint="leave it out with `exclude`, or commit what it renders to",
            )
        if file.endswith(_SUFFIXES):
            yield file


def _walk(tree: Tree, path: str, *, recurse: bool, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    for entry in tree.list(path):
        place = f"{path}/{entry.name}" if path else entry.name
        kind = tree.kind(place) if entry.kind == "link" else entry.kind
        if kind == "file":
            yield place
        # Links to directories are not followed: they could lead in a circle.
        elif kind == "dir" and recurse and entry.kind == "dir":
            yield from _walk(tree, place, recurse=True, depth=depth + 1)


def _read(tree: Tree, file: str, warnings: list[str]) -> list[Manifest]:
    data = tree.read(file)
    if _SKIP in data:
        return []
    if not _LOOKS_LIKE_ONE.search(data):
        if data.strip():
            warnings.append(f"{file} is not a Kubernetes manifest and is left out")
        return []
    try:
        documents = yaml.load_all(data, source=file)
    except yaml.YamlError as error:
        if b"{{" in data:
            error.hint = "this looks like a Helm template: templates belong to a chart"
        raise
    if file.endswith(".json"):
        documents = [item for item in documents if _is_object(item.value)]
    return manifests_of(documents, file)


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and "apiVersion" in value and "kind" in value


def _all_of(errors: list[TrimtabError]) -> TrimtabError:
    """The first error, the others attached to it."""
    first = errors[0]
    if len(errors) == 1:
        return first
    others = tuple(errors[1:]) + tuple(getattr(first, "others", ()))
    return ManifestError(
        first.message,
        where=first.where,
        why=first.why,
        hint=first.hint,
        reason=first.reason,
        others=others,
    )
