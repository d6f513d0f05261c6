"""Kustomize, natively: on plain dicts, through the tree, without a process or a file.

Source: spec/rendering.md 3. The oracle of the tests is `kubectl kustomize`.
"""

from __future__ import annotations

from trimtab.objects import SchemaSet
from trimtab.render.kustomize.build import Build
from trimtab.render.kustomize.file import FILE_NAMES
from trimtab.render.model import KustomizeOptions, Manifest
from trimtab.sources import Tree

__all__ = ["FILE_NAMES", "build"]


def build(
    tree: Tree, path: str, options: KustomizeOptions | None = None
) -> tuple[list[Manifest], list[str]]:
    """The manifests of the kustomization in directory `path`, in output order, and warnings.

    Raises KustomizeError or ManifestError (both RenderError) with file:line:column and the
    chain of kustomizations that led there. Pure: the tree alone decides the result.
    """
    return Build(tree, options or KustomizeOptions(), SchemaSet.load).run(path)
