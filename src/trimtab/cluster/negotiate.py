"""What a client accepts, and what it sent (spec/embedded-cluster.md 5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import orjson

from trimtab.cluster.errors import ApiError, bad_request
from trimtab.errors import TrimtabError
from trimtab.lang import yaml

__all__ = ["Accepted", "accepted", "decode", "duplicate_keys"]

JSON: Final = "application/json"
YAML: Final = (
    "application/yaml",
    "application/x-yaml",
    "text/yaml",
    "application/apply-patch+yaml",
)
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"


class Accepted(msgspec.Struct, frozen=True):
    """`as_` is "", Table, PartialObjectMetadata, PartialObjectMetadataList or
    APIGroupDiscoveryList; `version` its version; `yaml` asks for YAML."""

    as_: str = ""
    version: str = ""
    yaml: bool = False
    media: str = JSON


def accepted(header: str, *, allowed: tuple[str, ...]) -> Accepted:
    """The first entry that can be served. Raises 406 when there is none."""
    if not header:
        return Accepted()
    for entry in header.split(","):
        media, *parameters = [part.strip() for part in entry.split(";")]
        fields = dict(part.partition("=")[::2] for part in parameters)
        as_ = fields.get("as", "")
        if as_ and as_ not in allowed:
            continue
        if media in (JSON, "*/*", "application/*"):
            if as_ == "Table" and fields.get("v") not in ("v1", None):
                continue
            return Accepted(as_, fields.get("v", ""), media=entry.strip() if as_ else JSON)
        if media in YAML and not as_:
            return Accepted(yaml=True, media="application/yaml")
    raise ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
    )


def decode(body: bytes, content_type: str) -> tuple[Any, tuple[str, ...]]:
    """(value, paths of repeated keys) of a JSON or YAML body. Raises 400, 415."""
    media = content_type.partition(";")[0].strip().lower() or JSON
    if media in YAML:
        try:
            return yaml.load(body, source="body"), ()
        except TrimtabError as error:
            raise bad_request(f"error decoding YAML: {error}") from error
    if not (media == JSON or media.endswith("+json")):
        raise ApiError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types"
            " include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )
    try:
        return orjson.loads(body), duplicate_keys(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(
            f"the object provided is unrecognized: couldn't parse JSON: {error}"
        ) from error


class _Repeated(dict[str, Any]):
    """An object in which some names stand twice."""

    names: tuple[str, ...] = ()


def duplicate_keys(body: bytes) -> tuple[str, ...]:
    """Paths of names that stand twice in one JSON object, at any depth: `spec.a[0].b`."""
    any_found = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal any_found
        seen = dict(items)
        if len(seen) == len(items):
            return seen
        any_found = True
        repeated = _Repeated(seen)
        names = [name for name, _ in items]
        repeated.names = tuple(name for name in seen if names.count(name) > 1)
        return repeated

    value = json.loads(body, object_pairs_hook=pairs)
    return tuple(_repeated_paths(value, "")) if any_found else ()


def _repeated_paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value, _Repeated):
            yield from (f"{path}.{name}" if path else name for name in value.names)
        for name, member in value.items():
            yield from _repeated_paths(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _repeated_paths(item, f"{path}[{index}]")
