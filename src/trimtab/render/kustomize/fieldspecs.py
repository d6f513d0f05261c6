"""Where a transformation writes: field specs, the tables of them, and the walk to the fields.

A path is slash-separated, lists are walked through implicitly, `name[]` insists on a list and
never creates it, `\\/` escapes a slash. The tables are data (`data/fieldspecs.json`);
`configurations` of a kustomization extend them (spec/rendering.md 3.2, 3.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.resource import Gvk

__all__ = [
    "FieldSpec",
    "NameReference",
    "Tables",
    "combine",
    "default_tables",
    "field_spec",
    "fields",
    "merge_specs",
    "merge_tables",
]

Leaf = tuple[dict[str, Any], str]


class FieldSpec(msgspec.Struct, frozen=True):
    """A field of the kinds that group, version and kind select (empty: any)."""

    path: str
    group: str = ""
    version: str = ""
    kind: str = ""
    create: bool = False
    parts: tuple[str, ...] = ()

    def selects(self, gvk: Gvk) -> bool:
        return gvk.selected_by(self.group, self.version, self.kind)


class NameReference(msgspec.Struct, frozen=True):
    """Objects of the kind (group, version, kind) are named by the fields of others."""

    group: str
    version: str
    kind: str
    fields: tuple[FieldSpec, ...]


class Tables(msgspec.Struct, frozen=True):
    """All field specs a kustomization works with."""

    name_prefix: tuple[FieldSpec, ...]
    name_suffix: tuple[FieldSpec, ...]
    name_unchanged: tuple[FieldSpec, ...]
    namespace: tuple[FieldSpec, ...]
    common_labels: tuple[FieldSpec, ...]
    labels: tuple[FieldSpec, ...]
    template_labels: tuple[FieldSpec, ...]
    volume_claim_template_labels: tuple[FieldSpec, ...]
    metadata_labels: tuple[FieldSpec, ...]
    common_annotations: tuple[FieldSpec, ...]
    images: tuple[FieldSpec, ...]
    replicas: tuple[FieldSpec, ...]
    var_reference: tuple[FieldSpec, ...]
    name_reference: tuple[NameReference, ...]


_CONFIGURABLE: Final = {
    "namePrefix": "name_prefix",
    "nameSuffix": "name_suffix",
    "namespace": "namespace",
    "commonLabels": "common_labels",
    "labels": "labels",
    "templateLabels": "template_labels",
    "volumeClaimTemplateLabels": "volume_claim_template_labels",
    "commonAnnotations": "common_annotations",
    "images": "images",
    "replicas": "replicas",
    "varReference": "var_reference",
}


def split_path(path: str) -> tuple[str, ...]:
    """Parts of a path; a backslash before a slash keeps it."""
    raw = path.split("/")
    if len(raw) > 1 and raw[0] == "":
        raw = raw[1:]
    parts = [raw[0]]
    for piece in raw[1:]:
        if parts[-1].endswith("\\"):
            parts[-1] = f"{parts[-1][:-1]}/{piece}"
        else:
            parts.append(piece)
    return tuple(parts)


def field_spec(row: Mapping[str, Any]) -> FieldSpec:
    """A spec from a row of a table or of a user's file."""
    path = str(row.get("path") or "")
    return FieldSpec(
        path=path,
        group=str(row.get("group") or ""),
        version=str(row.get("version") or ""),
        kind=str(row.get("kind") or ""),
        create=bool(row.get("create")),
        parts=split_path(path),
    )


@cache
def default_tables() -> Tables:
    """The tables every kustomization starts with."""
    text = files(__package__).joinpath("data/fieldspecs.json").read_text("utf-8")
    data = json.loads(text)
    workloads: dict[str, str] = data["workloads"]

    def specs(rows: Iterable[Mapping[str, Any]]) -> tuple[FieldSpec, ...]:
        return tuple(field_spec(row) for row in rows)

    def in_pods(table: Mapping[str, Any] | None, group: str = "") -> tuple[FieldSpec, ...]:
        if not table:
            return ()
        return specs(
            {"path": f"{workloads[kind]}/{path}", "kind": kind, "group": group}
            for kind in table["kinds"]
            for path in table["paths"]
        )

    spread = data["spreadLabels"]
    common = (
        *specs(data["selectorLabels"]),
        *in_pods(spread, spread["group"]),
        *specs(data["templateLabels"]),
        *specs(data["volumeClaimTemplateLabels"]),
    )
    references = [
        NameReference(
            group=row.get("group", ""),
            version=row.get("version", ""),
            kind=row["kind"],
            fields=(*in_pods(row.get("pod")), *specs(row["fields"])),
        )
        for row in data["nameReference"]
    ]
    return Tables(
        name_prefix=specs(data["namePrefix"]),
        name_suffix=specs(data["nameSuffix"]),
        name_unchanged=specs({"path": "", **row} for row in data["nameUnchanged"]),
        namespace=specs(data["namespace"]),
        common_labels=common,
        labels=specs(data["labels"]),
        template_labels=specs(data["templateLabels"]),
        volume_claim_template_labels=specs(data["volumeClaimTemplateLabels"]),
        metadata_labels=specs(data["metadataLabels"]),
        common_annotations=specs(data["commonAnnotations"]),
        images=specs(data["images"]),
        replicas=specs(data["replicas"]),
        var_reference=(
            *in_pods(data["varReference"]["pod"]),
            *specs(data["varReference"]["fields"]),
        ),
        name_reference=tuple(references),
    )


def merge_specs(
    ours: tuple[FieldSpec, ...], theirs: Iterable[FieldSpec], *, name: str
) -> tuple[FieldSpec, ...]:
    """Both lists without repetition. The same field with another `create` is an error."""
    result = list(ours)
    for spec in theirs:
        for known in result:
            selected = Gvk(known.group, known.version, known.kind).selected_by(
                spec.group, spec.version, spec.kind
            )
            if selected and known.path == spec.path:
                if known.create != spec.create:
                    raise KustomizeError(
                        f"`{name}` has field {spec.path} twice, with and without `create`",
                        reason="ConfigurationInvalid",
                    )
                break
        else:
            result.append(spec)
    return tuple(result)


def merge_tables(tables: Tables, config: Mapping[str, Any]) -> Tables:
    """Tables extended by one file of `configurations`. Raises KustomizeError for a section
    that does not exist."""
    changes: dict[str, Any] = {}
    for section, rows in config.items():
        if section == "nameReference":
            changes["name_reference"] = _merge_references(tables.name_reference, rows or [])
            continue
        attribute = _CONFIGURABLE.get(section)
        if attribute is None:
            raise KustomizeError(
                f"unknown section `{section}` in a transformer configuration",
                hint=f"known sections: {', '.join([*_CONFIGURABLE, 'nameReference'])}",
                reason="ConfigurationInvalid",
            )
        specs = [field_spec(row) for row in rows or []]
        changes[attribute] = merge_specs(getattr(tables, attribute), specs, name=section)
    return msgspec.structs.replace(tables, **changes)


def combine(ours: Tables, theirs: Tables) -> Tables:
    """Both tables as one; most often they are the same."""
    default = default_tables()
    if theirs is default or ours is theirs:
        return ours
    if ours is default:
        return theirs
    changes: dict[str, Any] = {
        attribute: merge_specs(getattr(ours, attribute), getattr(theirs, attribute), name=section)
        for section, attribute in _CONFIGURABLE.items()
    }
    changes["name_reference"] = _join_references(ours.name_reference, theirs.name_reference)
    return msgspec.structs.replace(ours, **changes)


def _merge_references(
    ours: tuple[NameReference, ...], rows: Iterable[Mapping[str, Any]]
) -> tuple[NameReference, ...]:
    theirs = [
        NameReference(
            group=row.get("group") or "",
            version=row.get("version") or "",
            kind=row.get("kind") or "",
            fields=tuple(field_spec(field) for field in row.get("fieldSpecs") or []),
        )
        for row in rows
    ]
    return _join_references(ours, theirs)


def _join_references(
    ours: tuple[NameReference, ...], theirs: Iterable[NameReference]
) -> tuple[NameReference, ...]:
    result = list(ours)
    for other in theirs:
        head = (other.group, other.version, other.kind)
        for index, known in enumerate(result):
            if (known.group, known.version, known.kind) == head:
                merged = merge_specs(known.fields, other.fields, name="nameReference")
                result[index] = msgspec.structs.replace(known, fields=merged)
                break
        else:
            result.append(other)
    return tuple(result)


def fields(obj: dict[str, Any], spec: FieldSpec, *, create: bool = False) -> Iterator[Leaf]:
    """(mapping, key) of every field that `spec` names in `obj`. With `create` missing mappings
    on the way are made, and the last key may be missing. Raises KustomizeError when the way
    leads through a scalar."""
    yield from _walk(obj, spec, 0, create and spec.create)


def _walk(node: Any, spec: FieldSpec, index: int, create: bool) -> Iterator[Leaf]:
    if type(node) is list:
        for item in node:
            yield from _walk(item, spec, index, create)
        return
    if node is None:
        return
    if type(node) is not dict:
        raise KustomizeError(
            f"field {spec.path} leads through {node!r}, which is not a mapping or a list",
            reason="FieldPathInvalid",
        )
    part = spec.parts[index]
    name = part.removesuffix("[]")
    may_create = create and name == part
    last = index == len(spec.parts) - 1
    if node.get(name) is None:
        if not may_create:
            return
        if not last:
            node[name] = {}
    if last:
        yield node, name
    else:
        yield from _walk(node[name], spec, index + 1, create)
