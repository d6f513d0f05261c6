"""What the Argo CD controllers are given. Nothing below reads the environment or holds a global."""

from __future__ import annotations

from random import Random

from trimtab.engine import SchemaBook
from trimtab.engine.schema_book import CRD
from trimtab.kube import Client, ClusterCache
from trimtab.objects import SchemaSet
from trimtab.render import RenderService
from trimtab.runtime import Clock, EventRecorder
from trimtab.sources import SourceService

__all__ = ["Deps"]


class Deps:
    """Plain bag of collaborators, made once by the process that runs the controllers.

    `namespace` is the control plane's: settings are read there.
    """

    def __init__(
        self,
        *,
        client: Client,
        cache: ClusterCache,
        sources: SourceService,
        renders: RenderService,
        schemas: SchemaSet,
        clock: Clock,
        rng: Random,
        events: EventRecorder,
        namespace: str = "argocd",
    ) -> None:
        self.client = client
        self.cache = cache
        self.sources = sources
        self.renders = renders
        self.schemas = SchemaBook(schemas, lambda: cache.list(CRD))
        self.clock = clock
        self.rng = rng
        self.events = events
        self.namespace = namespace

    def __repr__(self) -> str:
        return "Deps()"
