"""buildMetadata: annotations that say where an object comes from and what changed it, and the
label that says who built it (spec/rendering.md 3.3)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any, Final

from trimtab.lang.yaml import dump
from trimtab.render.kustomize.resource import Resource

__all__ = ["BuildMetadata"]

_ORIGIN: Final = "config.kubernetes.io/origin"
_TRANSFORMATIONS: Final = "alpha.config.kubernetes.io/transformations"
_OPTIONS: Final = ("originAnnotations", "transformerAnnotations", "managedByLabel")
_GENERATORS: Final = {
    "configMapGenerator": "ConfigMapGenerator",
    "secretGenerator": "SecretGenerator",
}


class BuildMetadata:
    """Remembers origins during a build; `write` puts them into the objects at its end."""

    def __init__(self, options: Iterable[str], *, root: str = "") -> None:
        self._options = tuple(options)
        self._root = root or "."
        self.warnings = [
            f"`buildMetadata` does not know {option!r}, only {', '.join(_OPTIONS)}"
            for option in self._options
            if option not in _OPTIONS
        ]

    def written(self, resource: Resource, path: str) -> None:
        """The object stands in a file."""
        if self._options:
            resource.origin = {"path": self._relative(path)}

    def generated(self, resource: Resource, path: str, field: str) -> None:
        """The object was made by a generator of the kustomization at `path`."""
        if self._options:
            resource.origin = self._configured(path, _GENERATORS[field])

    def transformed(self, resources: Iterable[Resource], path: str, transformer: str) -> None:
        """A transformer that the kustomization at `path` asks for was run on `resources`, whether
        it changed them or not. An empty name is a part of a transformer that goes on."""
        if transformer and "transformerAnnotations" in self._options:
            entry = self._configured(path, transformer)
            for resource in resources:
                resource.transformations.append(entry)

    def write(self, resources: Iterable[Resource]) -> None:
        for resource in resources:
            if "managedByLabel" in self._options:
                labels = resource.metadata.setdefault("labels", {})
                labels["app.kubernetes.io/managed-by"] = "kustomize-trimtab"
            if "originAnnotations" in self._options and resource.origin:
                self._annotate(resource, _ORIGIN, resource.origin)
            if "transformerAnnotations" in self._options and resource.transformations:
                self._annotate(resource, _TRANSFORMATIONS, resource.transformations)

    def _annotate(self, resource: Resource, key: str, value: Any) -> None:
        annotations = resource.metadata.get("annotations")
        if not isinstance(annotations, dict):
            annotations = resource.metadata["annotations"] = {}
        annotations[key] = dump(value)

    def _configured(self, path: str, plugin: str) -> dict[str, Any]:
        return {
            "configuredIn": self._relative(path),
            "configuredBy": {"apiVersion": "builtin", "kind": plugin},
        }

    def _relative(self, path: str) -> str:
        return posixpath.relpath(path, self._root)
