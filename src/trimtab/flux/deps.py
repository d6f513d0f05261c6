"""What the Flux controllers are given. Nothing below reads the environment or holds a global."""

from __future__ import annotations

from trimtab.flux.artifacts import ArtifactStore
from trimtab.flux.following import Following
from trimtab.kube import Client, ClusterCache
from trimtab.objects import SchemaSet
from trimtab.render import RenderService
from trimtab.runtime import Clock, EventRecorder, StatusWriter
from trimtab.sources import SourceService

__all__ = ["Deps"]


class Deps:
    """Plain bag of collaborators, made once by the process that runs the controllers."""

    def __init__(
        self,
        *,
        client: Client,
        cache: ClusterCache,
        sources: SourceService,
        renders: RenderService,
        artifacts: ArtifactStore,
        schemas: SchemaSet,
        status: StatusWriter,
        events: EventRecorder,
        clock: Clock,
    ) -> None:
        self.client = client
        self.cache = cache
        self.sources = sources
        self.following = Following(sources)
        self.renders = renders
        self.artifacts = artifacts
        self.schemas = schemas
        self.status = status
        self.events = events
        self.clock = clock

    def __repr__(self) -> str:
        return "Deps()"
