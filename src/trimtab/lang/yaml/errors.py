"""The error tree of YAML.

YamlError            a text that is not YAML, or not what JSON can hold
└── YamlLimitError   a text that is too large, too deep or grows too much by its aliases
"""

from __future__ import annotations

from trimtab.errors import TrimtabError

__all__ = ["YamlError", "YamlLimitError"]


class YamlError(TrimtabError):
    """`where` is a Location with line and column whenever the parser knows them."""

    reason = "YamlInvalid"


class YamlLimitError(YamlError):
    """A limit of `Limits` was hit; `why` names it."""

    reason = "YamlLimitExceeded"
