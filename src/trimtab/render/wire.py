"""What goes between the service and its workers: jobs there, answers back, as msgpack."""

from __future__ import annotations

from typing import Any

import msgspec

from trimtab.errors import Location, TrimtabError
from trimtab.lang.yaml import YamlError, YamlLimitError
from trimtab.render import errors as render_errors
from trimtab.render.errors import RenderError
from trimtab.render.helm.engine import Chart, Release, Rendered
from trimtab.render.limits import Limits
from trimtab.render.model import Manifests, RenderRequest
from trimtab.sources import (
    LimitExceeded,
    PathEscapes,
    PathNotFound,
    SourceError,
    StoreCorrupt,
)

__all__ = ["Answer", "ChartJob", "Failure", "Job", "RenderJob", "as_error", "as_failure"]

_KNOWN: dict[str, type[TrimtabError]] = {
    f"{kind.__module__}.{kind.__name__}": kind
    for kind in (
        *(getattr(render_errors, name) for name in render_errors.__all__),
        LimitExceeded,
        PathEscapes,
        PathNotFound,
        SourceError,
        StoreCorrupt,
        YamlError,
        YamlLimitError,
    )
}


class RenderJob(msgspec.Struct, frozen=True, tag="render"):
    """Render a request against a tree of a store on this machine."""

    request: RenderRequest
    store: str
    tree: str
    limits: Limits = Limits()


class ChartJob(msgspec.Struct, frozen=True, tag="chart"):
    """Render one chart that comes with the job."""

    chart: Chart
    values: dict[str, Any]
    release: Release


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """An error as data. `kind` is the class's full name."""

    kind: str
    reason: str
    message: str
    where: Location | None = None
    why: str = ""
    hint: str = ""
    others: tuple[Failure, ...] = ()


class RenderDone(msgspec.Struct, frozen=True, tag="manifests"):
    manifests: Manifests


class ChartDone(msgspec.Struct, frozen=True, tag="rendered"):
    rendered: Rendered


Job = RenderJob | ChartJob
Answer = RenderDone | ChartDone | Failure


def as_failure(error: TrimtabError) -> Failure:
    where = Location(error.where) if isinstance(error.where, str) else error.where
    return Failure(
        kind=f"{type(error).__module__}.{type(error).__name__}",
        reason=error.reason,
        message=error.message,
        where=where,
        why=error.why,
        hint=error.hint,
        others=tuple(as_failure(other) for other in getattr(error, "others", ())),
    )


def as_error(failure: Failure) -> TrimtabError:
    """The error again, of its own class where that is one of the known ones."""
    kind = _KNOWN.get(failure.kind, RenderError)
    error = kind(
        failure.message,
        where=failure.where,
        why=failure.why,
        hint=failure.hint,
        reason=failure.reason,
    )
    if isinstance(error, RenderError):
        error.others = tuple(as_error(other) for other in failure.others)
    return error
