"""Documents of a file to resources: checked for kind and name, lists unrolled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trimtab.errors import Location
from trimtab.lang.yaml import Document
from trimtab.render.errors import ManifestError
from trimtab.render.kustomize.resource import Resource

__all__ = ["check_object", "objects_of"]


def objects_of(documents: Iterable[Document], source: str) -> list[Resource]:
    """One resource a document; a `...List` with items gives its items. Raises ManifestError
    with file and line for a document that is not a Kubernetes object."""
    resources: list[Resource] = []
    later: list[Resource] = []
    for document in documents:
        value = document.value
        if not value:
            continue
        check_object(value, source, document.line)
        resource = Resource(value, source, document=document.index, line=document.line)
        (later if _is_list(value) else resources).append(resource)
    for holder in later:
        resources.extend(_unroll(holder))
    return resources


def _is_list(value: dict[str, Any]) -> bool:
    return str(value.get("kind")).endswith("List") and "items" in value


def _unroll(holder: Resource) -> Iterator[Resource]:
    items = holder.obj.get("items")
    if items is None:
        return
    where = Location(holder.file, holder.line, 1)
    if not isinstance(items, list):
        raise ManifestError(f"`items` of the {holder.kind} is not a list", where=where)
    for item in items:
        if not item:
            continue
        check_object(item, holder.file, holder.line)
        inner = Resource(item, holder.file, document=holder.document, line=holder.line)
        if _is_list(item):
            yield from _unroll(inner)
        else:
            yield inner


def check_object(value: Any, source: str, line: int = 0) -> None:
    """Raises ManifestError unless `value` has the members every object has, of their types."""
    where = Location(source, line, 1 if line else 0)
    if not isinstance(value, dict):
        raise ManifestError(
            "a document is not a Kubernetes object",
            where=where,
            hint="every document is a mapping with apiVersion, kind and metadata.name",
        )
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind:
        raise ManifestError("the object has no `kind`", where=where)
    if not isinstance(value.get("apiVersion"), str | None):
        raise ManifestError(f"`apiVersion` of the {kind} is not a string", where=where)
    metadata = value.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise ManifestError(f"`metadata` of the {kind} is not a mapping", where=where)
    name = (metadata or {}).get("name")
    if not name and not kind.endswith("List"):
        raise ManifestError(f"the {kind} has no `metadata.name`", where=where)
    if name and not isinstance(name, str):
        raise ManifestError(
            f"`metadata.name` of the {kind} is {name!r}, not a string", where=where, hint="quote it"
        )
    for field in ("labels", "annotations"):
        entries = (metadata or {}).get(field) or {}
        if not isinstance(entries, dict):
            raise ManifestError(f"`metadata.{field}` of the {kind} is not a mapping", where=where)
