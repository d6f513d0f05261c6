"""YAML as Kubernetes tools read it, and as any tool can read it back (spec/rendering.md 2)."""

from __future__ import annotations

from trimtab.lang.yaml.errors import YamlError, YamlLimitError
from trimtab.lang.yaml.places import place
from trimtab.lang.yaml.reader import Document, Limits, load, load_all
from trimtab.lang.yaml.scalars import plain as scalar
from trimtab.lang.yaml.writer import dump, dump_all

__all__ = [
    "Document",
    "Limits",
    "YamlError",
    "YamlLimitError",
    "dump",
    "dump_all",
    "load",
    "load_all",
    "place",
    "scalar",
]
