"""What the engine raises itself; refusals of a cluster are results, not errors.

TrimtabError
└── EngineError
    └── UnknownKinds     desired kinds that the cluster does not serve
"""

from __future__ import annotations

from trimtab.errors import TrimtabError

__all__ = ["EngineError", "UnknownKinds"]


class EngineError(TrimtabError):
    reason = "EngineError"


class UnknownKinds(EngineError):
    reason = "UnknownKinds"
