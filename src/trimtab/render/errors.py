"""The error tree of `render`.

RenderError             a tree could not be made into manifests
├── ManifestError       a document is not a Kubernetes object
├── KustomizeError      a kustomization asks for what cannot be done
├── HelmError           a chart, its values or a template fails
├── LimitExceeded       a limit of spec/rendering.md 1 was hit; `why` names the limit
├── EngineUnsupported   an engine or option that trimtab does not have yet
├── EmptyRender         nothing came out where something must
├── RenderTimeout       the render took longer than its time limit
├── WorkerDied          the worker process ended under the request
└── Quarantined         the same request ended two workers; it waits until its input changes

`others` of a RenderError holds further errors found in the same render.
"""

from __future__ import annotations

from trimtab.errors import Location, TrimtabError

__all__ = [
    "EmptyRender",
    "EngineUnsupported",
    "HelmError",
    "KustomizeError",
    "LimitExceeded",
    "ManifestError",
    "Quarantined",
    "RenderError",
    "RenderTimeout",
    "WorkerDied",
]


class RenderError(TrimtabError):
    reason = "RenderFailed"

    def __init__(
        self,
        message: str,
        *,
        where: Location | str | None = None,
        why: str = "",
        hint: str = "",
        reason: str | None = None,
        others: tuple[TrimtabError, ...] = (),
    ) -> None:
        super().__init__(message, where=where, why=why, hint=hint, reason=reason)
        self.others = others


class ManifestError(RenderError):
    reason = "ManifestInvalid"


class KustomizeError(RenderError):
    reason = "KustomizeFailed"


class HelmError(RenderError):
    reason = "HelmFailed"


class LimitExceeded(RenderError):
    reason = "LimitExceeded"


class EngineUnsupported(RenderError):
    reason = "EngineUnsupported"


class EmptyRender(RenderError):
    reason = "EmptyRender"


class RenderTimeout(RenderError):
    reason = "RenderTimeout"


class WorkerDied(RenderError):
    reason = "RenderWorkerDied"


class Quarantined(RenderError):
    reason = "RenderQuarantined"
