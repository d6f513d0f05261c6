"""Which functions of a chart's templates give another answer each time (spec/rendering.md 4.2)."""

from __future__ import annotations

import re

from trimtab.render.helm.engine import Chart

__all__ = ["CLOCK", "volatile_functions"]

CLOCK = frozenset(("now", "ago"))
_ACTION = re.compile(rb"\{\{.*?\}\}", re.DOTALL)
_COMMENT = re.compile(rb"^\{\{-?\s*/\*")
_NAMES = re.compile(
    rb"(?<![\w.$\"])(rand(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)|shuffle|uuidv4|now|ago|htpasswd|"
    rb"bcrypt|encryptAES|genPrivateKey|genCA(?:WithKey)?|genSelfSignedCert(?:WithKey)?|"
    rb"genSignedCert(?:WithKey)?)(?![\w\"])"
)


def volatile_functions(chart: Chart) -> frozenset[str]:
    """Names that stand inside template actions of the chart and of its subchart directories."""
    found: set[str] = set()
    for path, data in chart.files.items():
        if "templates/" not in path and not path.endswith(".tpl"):
            continue
        for action in _ACTION.findall(data):
            if not _COMMENT.match(action):
                found.update(name.decode() for name in _NAMES.findall(action))
    return frozenset(found)
