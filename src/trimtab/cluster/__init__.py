"""The embedded Kubernetes API server and its simulated controllers; knows nothing of trimtab but
`objects` and `lang`."""

from trimtab.cluster.errors import ApiError
from trimtab.cluster.server import EmbeddedCluster

__all__ = ["ApiError", "EmbeddedCluster"]
