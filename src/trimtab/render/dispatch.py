"""`render`: one request and one tree to manifests (spec/rendering.md 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.render import directory, helm, kustomize
from trimtab.render.errors import EngineUnsupported
from trimtab.render.limits import Limits, MeteredTree, check_output
from trimtab.render.manifests import check
from trimtab.render.model import Manifest, Manifests, RenderRequest
from trimtab.sources import PathNotFound, RecordingTree, Tree, normalise

if TYPE_CHECKING:
    from trimtab.render.helm import ChartEngine

__all__ = ["DEFAULT_LIMITS", "detect", "render"]

DEFAULT_LIMITS = Limits()


def render(
    request: RenderRequest,
    tree: Tree,
    *,
    charts: ChartEngine | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Manifests:
    """The manifests that `request` asks for. The request and what is read of `tree` decide them.

    `charts` renders Helm charts; by default each chart runs in a process of its own. Raises
    RenderError, SourceError (a path of the tree) or YamlError, with file and line.
    """
    recording = RecordingTree(MeteredTree(tree, limits.input_bytes))
    path = normalise(request.path)
    if recording.kind(path) != "dir":
        raise PathNotFound(f"directory {path} does not exist", where=path)
    engine = detect(recording, path) if request.engine == "auto" else request.engine
    volatile = False
    if engine == "kustomize":
        items, warnings = kustomize.build(recording, path, request.kustomize)
    elif engine == "helm":
        items, warnings, volatile = helm.template(
            recording, path, request.helm, request.destination, charts=charts
        )
    elif engine == "directory":
        items, warnings = directory.build(recording, path, request.directory)
    else:
        raise EngineUnsupported(f"{engine} cannot be rendered yet", where=path or ".")
    return _whole(items, recording, engine, tuple(warnings), volatile, limits)


def detect(tree: Tree, path: str) -> str:
    """helm for a Chart.yaml, kustomize for a kustomization file, else directory."""
    prefix = f"{path}/" if path else ""
    if tree.kind(f"{prefix}Chart.yaml") == "file":
        return "helm"
    if any(tree.kind(prefix + name) == "file" for name in kustomize.FILE_NAMES):
        return "kustomize"
    return "directory"


def _whole(
    items: list[Manifest],
    recording: RecordingTree,
    engine: str,
    warnings: tuple[str, ...],
    volatile: bool,
    limits: Limits,
) -> Manifests:
    check(items)
    check_output(items, limits)
    return Manifests(tuple(items), recording.read_set(), engine, warnings, volatile)
