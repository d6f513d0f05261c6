"""What a Kubernetes object is, as pure functions: schemas, defaults, validation, quantities,
selectors, identity, patches, structured merge with managed fields."""

from trimtab.objects.identity import (
    GVK,
    GroupKind,
    ObjectKey,
    api_version,
    gvk_of,
    key_of,
    split_api_version,
)
from trimtab.objects.schema import MISSING, UNTYPED, Schema
from trimtab.objects.schemas import SchemaSet, UnknownMinor

__all__ = [
    "GVK",
    "MISSING",
    "UNTYPED",
    "GroupKind",
    "ObjectKey",
    "Schema",
    "SchemaSet",
    "UnknownMinor",
    "api_version",
    "gvk_of",
    "key_of",
    "split_api_version",
]
