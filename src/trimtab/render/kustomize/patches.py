"""Patches: strategic merge or JSON 6902, inline or from a file, with or without a target.

The merge itself is `objects` (one truth with the embedded server); here is what kustomize adds:
how a patch is recognised, what it may rename, whom it meets (spec/rendering.md 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trimtab.errors import TrimtabError
from trimtab.lang.yaml import YamlError, load_all
from trimtab.objects import GVK, UNTYPED, Schema, SchemaSet
from trimtab.objects.json_patch import apply_json_patch
from trimtab.objects.selectors import parse_label_selector
from trimtab.objects.strategic import strategic_merge
from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.documents import check_object, objects_of
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import Resource, copy_json

__all__ = ["Patch", "Schemas", "Selector", "apply_patch", "parse_patch"]

Schemas = Callable[[], SchemaSet]
"""The schemas of the built-in kinds, loaded when the first patch needs them."""


class Selector:
    """Which resources: anchored regular expressions on names and kinds, label selectors."""

    __slots__ = ("_annotations", "_fields", "_labels")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """Raises KustomizeError for a bad regular expression or selector."""
        self._fields: dict[str, re.Pattern[str]] = {}
        try:
            for name in ("group", "version", "kind", "name", "namespace"):
                if fields.get(name):
                    self._fields[name] = re.compile(f"(?:{fields[name]})")
            self._labels = _label_selector(fields.get("labelSelector"))
            self._annotations = _label_selector(fields.get("annotationSelector"))
        except re.error as error:
            raise KustomizeError(
                f"bad regular expression in a target: {error}", reason="TargetInvalid"
            ) from error
        except TrimtabError as error:
            raise KustomizeError(
                f"bad selector in a target: {error.message}", reason="TargetInvalid"
            ) from error

    def matches_field(self, name: str, value: str) -> bool:
        pattern = self._fields.get(name)
        return pattern is None or pattern.fullmatch(value) is not None

    @property
    def names_something(self) -> bool:
        return bool(self._fields)

    @property
    def has_label_selectors(self) -> bool:
        return self._labels is not None or self._annotations is not None

    def matches_labels(self, resource: Resource) -> bool:
        meta = resource.metadata
        return (self._labels is None or self._labels.matches(_texts(meta.get("labels")))) and (
            self._annotations is None or self._annotations.matches(_texts(meta.get("annotations")))
        )

    def matches_gvk(self, group: str, version: str, kind: str) -> bool:
        return (
            self.matches_field("group", group)
            and self.matches_field("version", version)
            and self.matches_field("kind", kind)
        )

    def selects(self, resource: Resource) -> bool:
        """By the original or the present name and namespace, the present kind, the labels."""
        now, was = resource.id, resource.original_id
        return (
            any(self.matches_field("namespace", one.namespace) for one in (was, now))
            and any(self.matches_field("name", one.name) for one in (was, now))
            and self.matches_gvk(*now.gvk)
            and self.matches_labels(resource)
        )


def _texts(value: Any) -> dict[str, str]:
    """Labels or annotations, empty when they are not a mapping."""
    return value if isinstance(value, dict) else {}


def _label_selector(text: Any) -> Any:
    return parse_label_selector(str(text)) if text else None


class Patch(msgspec.Struct, frozen=True):
    """A parsed patch: either `merges` (objects) or `operations` (JSON 6902). `legacy` is one of
    the field patchesJson6902."""

    source: str
    merges: tuple[Resource, ...] = ()
    operations: tuple[Any, ...] = ()
    target: Selector | None = None
    allow_name_change: bool = False
    allow_kind_change: bool = False
    legacy: bool = False


def parse_patch(
    text: bytes,
    source: str,
    *,
    target: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Patch:
    """A patch from its text, its kind told by its shape. Raises KustomizeError when it is
    neither, YamlError when it is not YAML."""
    documents = load_all(text, source=source, timestamps="rfc3339")
    selector = Selector(target) if target is not None else None
    if len(documents) == 1 and isinstance(documents[0].value, list):
        operations = load_all(text, source=source, booleans="yaml11")[0].value
        if not all(isinstance(op, dict) and isinstance(op.get("op"), str) for op in operations):
            raise KustomizeError(
                f"{source} is neither a strategic merge patch nor a JSON 6902 patch",
                hint="a JSON 6902 patch is a list of mappings with op, path and value",
                reason="PatchInvalid",
            )
        if selector is None:
            raise KustomizeError(
                f"the JSON 6902 patch {source} needs a `target`", reason="PatchInvalid"
            )
        return Patch(source, operations=tuple(operations), target=selector)
    merges = tuple(objects_of(documents, source))
    if not merges:
        raise KustomizeError(f"the patch {source} is empty", reason="PatchInvalid")
    if selector is not None and len(merges) > 1:
        raise KustomizeError(
            f"{source} holds {len(merges)} patches, and a `target` allows one only",
            hint="split the file, or remove the target",
            reason="PatchInvalid",
        )
    options = options or {}
    return Patch(
        source,
        merges=merges,
        target=selector,
        allow_name_change=bool(options.get("allowNameChange")),
        allow_kind_change=bool(options.get("allowKindChange")),
    )


def apply_patch(resources: ResMap, patch: Patch, schemas: Schemas) -> list[Resource]:
    """Apply to whom it concerns; the resources that were patched. A target that matches nothing
    changes nothing; a patch without target must find its object."""
    if patch.operations:
        return _apply_operations(resources, patch)
    patched = []
    for merge in patch.merges:
        if patch.target is not None:
            found = [r for r in resources if patch.target.selects(r)]
        else:
            found = [_only(resources, merge, patch)]
        for resource in found:
            _merge(resources, resource, merge, patch, schemas)
        patched.extend(found)
    return patched


def _only(resources: ResMap, merge: Resource, patch: Patch) -> Resource:
    found = resources.by_any_id(merge.id)
    if len(found) == 1:
        return found[0]
    if found:
        raise KustomizeError(
            f"the patch {patch.source} fits {len(found)} resources called {merge.id}",
            hint="add a `target`",
            reason="PatchTargetAmbiguous",
        )
    named = [str(r.id) for r in resources if r.name == merge.name or r.kind == merge.kind]
    near = f"; there is {', '.join(sorted(named)[:5])}" if named else ""
    raise KustomizeError(
        f"the patch {patch.source} is for {merge.id}, which is not among the resources{near}",
        hint="check apiVersion, kind, name and namespace of the patch",
        reason="PatchTargetNotFound",
    )


def _merge(
    resources: ResMap, resource: Resource, merge: Resource, patch: Patch, schemas: Schemas
) -> None:
    name, namespace, kind = resource.name, resource.namespace, resource.kind
    api_version = resource.obj.get("apiVersion")
    if patch.allow_name_change or patch.allow_kind_change:
        resource.remember()
    changes = copy_json(merge.obj)
    if changes.get("$patch") == "delete":
        resources.remove(resource)
        return
    schema = _schema(resource, schemas)
    try:
        result = strategic_merge(resource.obj, changes, schema, port_protocol=True)
    except TrimtabError as error:
        raise KustomizeError(
            f"the patch {patch.source} does not fit {resource.id}: {error.message}",
            why=error.why,
            hint=error.hint,
            reason="PatchFailed",
        ) from error
    if not result:
        resources.remove(resource)
        return
    resource.obj = result
    result["apiVersion"] = api_version
    if not patch.allow_kind_change:
        result["kind"] = kind
    if not patch.allow_name_change:
        resource.metadata["name"] = name
    if namespace:
        resource.metadata["namespace"] = namespace
    else:
        resource.metadata.pop("namespace", None)


def _schema(resource: Resource, schemas: Schemas) -> Schema:
    group, version, kind = resource.gvk
    return schemas().get(GVK(group, version, kind)) or UNTYPED


def _apply_operations(resources: ResMap, patch: Patch) -> list[Resource]:
    """Kustomize keeps the history of names in annotations, so that `metadata.annotations` is
    always there for an operation to add to or to remove; the legacy field keeps none."""
    assert patch.target is not None
    found = [r for r in resources if patch.target.selects(r)]
    for resource in found:
        if not patch.legacy:
            resource.remember()
        if resource.previous:
            resource.metadata.setdefault("annotations", {})
        try:
            result = apply_json_patch(resource.obj, copy_json(list(patch.operations)))
        except TrimtabError as error:
            raise KustomizeError(
                f"the JSON 6902 patch {patch.source} does not fit {resource.id}: {error.message}",
                why=error.why,
                reason="PatchFailed",
            ) from error
        check_object(result, patch.source)
        resource.obj = result
    return found


def is_yaml(text: str) -> bool:
    """Whether an entry of patchesStrategicMerge is a patch itself and not a path."""
    try:
        documents = load_all(text)
    except YamlError:
        return False
    return any(isinstance(document.value, dict) for document in documents)
