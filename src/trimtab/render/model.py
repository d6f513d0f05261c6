"""The values of `render`: what is asked, and what comes out (spec/rendering.md 1)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from trimtab.sources import ReadSet

__all__ = [
    "Destination",
    "DirectoryOptions",
    "Engine",
    "HelmOptions",
    "HelmParameter",
    "KustomizeOptions",
    "Manifest",
    "Manifests",
    "Origin",
    "RenderRequest",
]

Engine = Literal["auto", "kustomize", "helm", "directory", "jsonnet", "plugin"]


class Destination(msgspec.Struct, frozen=True):
    """Facts of the cluster rendered for."""

    namespace: str = ""
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


class KustomizeOptions(msgspec.Struct, frozen=True):
    """A virtual overlay put on top of the user's kustomization (spec/rendering.md 3.8).

    `overlay` has the fields of a kustomization file (namespace, namePrefix, images, patches,
    replicas, components, commonLabels, commonAnnotations, buildMetadata ...), as a plain dict.
    `generate` makes a kustomization when the directory has none (spec/flux.md 3.2 step 2).
    `load_restriction` root_only refuses files above the kustomization's root; tree allows any
    file of the tree.
    """

    overlay: dict[str, Any] = {}
    generate: bool = False
    load_restriction: Literal["root_only", "tree"] = "root_only"
    allow_helm: bool = False
    allow_remote: bool = False
    ignore_missing_components: bool = False


class HelmParameter(msgspec.Struct, frozen=True):
    name: str
    value: str
    force_string: bool = False


class HelmOptions(msgspec.Struct, frozen=True):
    """Values in the order of spec/rendering.md 4.2: files, then `values`, then parameters.

    `values_layers` are already parsed mappings merged in order after the files.
    """

    release_name: str = "release"
    value_files: tuple[str, ...] = ()
    ignore_missing_value_files: bool = False
    values_layers: tuple[dict[str, Any], ...] = ()
    parameters: tuple[HelmParameter, ...] = ()
    skip_crds: bool = False
    skip_tests: bool = False
    skip_schema_validation: bool = False
    is_upgrade: bool = False
    revision: int = 1


class DirectoryOptions(msgspec.Struct, frozen=True):
    recurse: bool = False
    include: str = ""
    exclude: str = ""


class RenderRequest(msgspec.Struct, frozen=True):
    """One render. With the object ids of what it reads, it decides the output to the byte."""

    path: str = ""
    engine: Engine = "auto"
    destination: Destination = Destination()
    kustomize: KustomizeOptions = KustomizeOptions()
    helm: HelmOptions = HelmOptions()
    directory: DirectoryOptions = DirectoryOptions()


class Origin(msgspec.Struct, frozen=True):
    """Where an object comes from: file and document index (0 is the first), line it starts at,
    and the transformations that touched it, each `what` with the file that asked."""

    file: str
    document: int = 0
    line: int = 0
    touched: tuple[tuple[str, str], ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """One rendered object. `obj` is a plain dict that nobody changes from here on."""

    obj: dict[str, Any]
    origin: Origin


class Manifests(msgspec.Struct, frozen=True):
    """A whole render, in output order."""

    items: tuple[Manifest, ...]
    reads: ReadSet
    engine: str
    warnings: tuple[str, ...] = ()
    volatile: bool = False

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [item.obj for item in self.items]
