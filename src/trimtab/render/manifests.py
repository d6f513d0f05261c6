"""From YAML documents to Kubernetes objects: lists unrolled, each checked for what makes it one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trimtab.errors import Location
from trimtab.lang.yaml import Document
from trimtab.render.errors import ManifestError
from trimtab.render.model import Manifest, Origin

__all__ = ["check", "manifests_of"]


def manifests_of(documents: Iterable[Document], file: str) -> list[Manifest]:
    """One manifest a document; the items of a `...List` each become one.

    Raises ManifestError with file and line for a document that is no object; further ones of
    the file are in its `others`.
    """
    errors: list[ManifestError] = []
    found: list[Manifest] = []
    for document in documents:
        origin = Origin(file, document.index, document.line)
        for value in _unroll(document.value):
            error = _problem(value, origin)
            if error is None:
                found.append(Manifest(value, origin))
            else:
                errors.append(error)
    _raise(errors)
    return found


def check(items: Iterable[Manifest]) -> None:
    """Raises ManifestError for the first object without apiVersion, kind or name."""
    _raise([error for item in items if (error := _problem(item.obj, item.origin)) is not None])


def _raise(errors: list[ManifestError]) -> None:
    if errors:
        first = errors[0]
        first.others = tuple(errors[1:])
        raise first


def _unroll(value: Any) -> Iterator[Any]:
    """The items of a list kind, lists in lists included; anything else is itself."""
    if isinstance(value, dict) and "items" in value:
        items = value["items"]
        if str(value.get("kind", "")).endswith("List") and isinstance(items, list | None):
            for item in items or []:
                yield from _unroll(item)
            return
    yield value


def _problem(value: Any, origin: Origin) -> ManifestError | None:
    where = Location(origin.file, origin.line)
    if not isinstance(value, dict):
        return ManifestError(
            "a document is not a Kubernetes object",
            where=where,
            hint="every document is a mapping with apiVersion, kind and metadata",
        )
    for field in ("apiVersion", "kind"):
        given = value.get(field)
        if not isinstance(given, str) or not given:
            missing = "has no" if given in (None, "") else "needs text as"
            return ManifestError(f"the object {missing} `{field}`", where=where)
    return _metadata_problem(value, where)


def _metadata_problem(value: dict[str, Any], where: Location) -> ManifestError | None:
    kind = value["kind"]
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return ManifestError(f"the {kind} has no `metadata`", where=where)
    name = metadata.get("name") or metadata.get("generateName")
    if not name:
        return ManifestError(f"the {kind} has no `metadata.name`", where=where)
    if not isinstance(name, str):
        return ManifestError(
            f"`metadata.name` of the {kind} is {name!r}, not text", where=where, hint="quote it"
        )
    for field in ("labels", "annotations"):
        if not isinstance(metadata.get(field), dict | None):
            return ManifestError(
                f"`metadata.{field}` of {kind} {name} is not a mapping", where=where
            )
    return None
