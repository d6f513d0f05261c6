"""The built-in transformations that need nothing but the resources and a field table:
namespace, name prefix and suffix, labels, annotations, replicas, images (spec/rendering.md 3.3).

Each takes the set of resources and changes it in place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.fieldspecs import FieldSpec, Tables, field_spec, fields, merge_specs
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import Resource

__all__ = [
    "add_prefix",
    "add_suffix",
    "label_specs",
    "set_annotations",
    "set_image",
    "set_labels",
    "set_namespace",
    "set_replicas",
]


def set_namespace(
    resources: ResMap, namespace: str, specs: Iterable[FieldSpec], *, subjects: str = "defaultOnly"
) -> list[Resource]:
    """Put everything that has a namespace into `namespace`. `subjects` says which role binding
    subjects follow by themselves: defaultOnly, allServiceAccounts or none."""
    plain = [spec for spec in specs if spec.path != "metadata/namespace"]
    for resource in resources:
        resource.remember()
        if not resource.cluster_scoped:
            resource.metadata["namespace"] = namespace
        if resource.kind in ("RoleBinding", "ClusterRoleBinding"):
            _set_subjects(resource, namespace, subjects)
        gvk = resource.gvk
        for spec in plain:
            if not spec.selects(gvk):
                continue
            if spec.path == "metadata/name" and resource.obj.get("apiVersion") != "v1":
                continue
            for container, key in fields(resource.obj, spec, create=True):
                container[key] = namespace
    seen: dict[Any, Resource] = {}
    for resource in resources:
        other = seen.setdefault(resource.id, resource)
        if other is not resource:
            raise KustomizeError(
                f"namespace {namespace!r} gives two resources the identity {resource.id}: "
                f"{other.where} and {resource.where}",
                hint="give them different names, or set their namespaces in the objects",
                reason="DuplicateResource",
            )
    return list(resources)


def _set_subjects(resource: Resource, namespace: str, subjects: str) -> None:
    if subjects == "none":
        return
    field, value = (
        ("kind", "ServiceAccount") if subjects == "allServiceAccounts" else ("name", "default")
    )
    found = resource.obj.get("subjects")
    for subject in found if isinstance(found, list) else []:
        if isinstance(subject, dict) and subject.get(field) == value:
            subject["namespace"] = namespace


def add_prefix(resources: ResMap, prefix: str, tables: Tables) -> list[Resource]:
    """Put `prefix` before every name that may change."""
    return _affix(resources, tables.name_prefix, tables.name_unchanged, prefix=prefix)


def add_suffix(resources: ResMap, suffix: str, tables: Tables) -> list[Resource]:
    """Put `suffix` behind every name that may change."""
    return _affix(resources, tables.name_suffix, tables.name_unchanged, suffix=suffix)


def _affix(
    resources: ResMap,
    specs: tuple[FieldSpec, ...],
    unchanged: tuple[FieldSpec, ...],
    *,
    prefix: str = "",
    suffix: str = "",
) -> list[Resource]:
    changed = []
    for resource in resources:
        original = resource.original_id.gvk
        if any(spec.selects(original) for spec in unchanged):
            continue
        for spec in specs:
            if not spec.selects(original):
                continue
            if spec.path == "metadata/name":
                if prefix:
                    resource.prefixes.append(prefix)
                if suffix:
                    resource.suffixes.append(suffix)
                resource.remember()
            for container, key in fields(resource.obj, spec):
                container[key] = f"{prefix}{container[key]}{suffix}"
        changed.append(resource)
    return changed


def label_specs(entry: Mapping[str, Any], tables: Tables) -> tuple[FieldSpec, ...]:
    """The fields one entry of `labels` writes: its own, then selectors, templates, metadata."""
    from_user = tuple(field_spec(row) for row in entry.get("fields") or [])
    specs = merge_specs(from_user, tables.labels, name="labels")
    if entry.get("includeSelectors"):
        return merge_specs(specs, tables.common_labels, name="labels")
    if entry.get("includeTemplates"):
        specs = merge_specs(specs, tables.template_labels, name="labels")
    if entry.get("includeVolumeClaimTemplates"):
        specs = merge_specs(specs, tables.volume_claim_template_labels, name="labels")
    return merge_specs(specs, tables.metadata_labels, name="labels")


def set_labels(
    resources: ResMap, labels: Mapping[str, str | None], specs: tuple[FieldSpec, ...]
) -> list[Resource]:
    """Write `labels` into every field of `specs`."""
    return _set_entries(resources, labels, specs)


def set_annotations(
    resources: ResMap, annotations: Mapping[str, str | None], specs: tuple[FieldSpec, ...]
) -> list[Resource]:
    """Write `annotations` into every field of `specs`."""
    return _set_entries(resources, annotations, specs)


def _set_entries(
    resources: ResMap, entries: Mapping[str, str | None], specs: tuple[FieldSpec, ...]
) -> list[Resource]:
    ordered = sorted((key, "" if value is None else value) for key, value in entries.items())
    for resource in resources:
        gvk = resource.gvk
        for spec in specs:
            if not spec.selects(gvk):
                continue
            for container, key in fields(resource.obj, spec, create=True):
                mapping = container.get(key)
                if mapping is None:
                    mapping = container[key] = {}
                if not isinstance(mapping, dict):
                    raise KustomizeError(
                        f"field {spec.path} of {resource.id} is not a mapping",
                        reason="FieldPathInvalid",
                    )
                mapping.update(ordered)
    return list(resources)


def set_replicas(
    resources: ResMap, name: str, count: int, specs: tuple[FieldSpec, ...]
) -> list[Resource]:
    """Set the replicas of what is, or was, called `name`. No match is an error."""
    found = []
    for spec in specs:
        for resource in resources:
            ids = resource.any_ids()
            if any(one.name == name and spec.selects(one.gvk) for one in ids):
                found.append(resource)
                if spec.selects(resource.gvk):
                    for container, key in fields(resource.obj, spec, create=True):
                        container[key] = count
    if not found:
        kinds = ", ".join(spec.kind for spec in specs if spec.kind)
        raise KustomizeError(
            f"`replicas` names {name!r}, and there is no such {kinds}",
            hint="use the name as it is in the base, before prefixes and suffixes",
            reason="TargetNotFound",
        )
    return found


class _ImageSetter:
    """One entry of `images` on image references."""

    def __init__(self, image: Mapping[str, Any]) -> None:
        self._image = image
        name = image.get("name") or ""
        try:
            self._pattern: re.Pattern[str] | None = re.compile(
                f"^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@[a-zA-Z0-9]+(?:[.+_-][a-zA-Z0-9]+)*"
                r":[a-zA-Z0-9_.{}-]*)?\Z"
            )
        except re.error:
            self._pattern = None

    def new_value(self, value: str) -> str | None:
        """The reference after the change; None when this entry is not about it."""
        if self._pattern is None or not self._pattern.search(value):
            return None
        name, tag, digest = split_image(value)
        image = self._image
        name = image.get("newName") or name
        if image.get("newTag") and image.get("digest"):
            tag, digest = image["newTag"], image["digest"]
        elif image.get("newTag"):
            tag, digest = image["newTag"], ""
        elif image.get("digest"):
            tag, digest = "", image["digest"]
        elif image.get("tagSuffix"):
            tag, digest = tag + image["tagSuffix"], ""
        return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")

    def apply(self, container: dict[str, Any], key: str) -> bool:
        value = container.get(key)
        if not isinstance(value, str):
            return False
        new = self.new_value(value)
        if new is None:
            return False
        container[key] = new
        return True


def split_image(reference: str) -> tuple[str, str, str]:
    """(name, tag, digest); a port of the registry is part of the name."""
    slash = max(reference.find("/"), 0)
    head, rest = reference[:slash], reference[slash:]
    rest, _, digest = rest.partition("@")
    rest, _, tag = rest.partition(":")
    return head + rest, tag, digest


def set_image(
    resources: ResMap, image: Mapping[str, Any], specs: tuple[FieldSpec, ...]
) -> list[Resource]:
    """Change the references that `image` names, in every list of containers at any depth and in
    the fields of `specs`. Custom resource definitions are left alone."""
    setter = _ImageSetter(image)
    changed = []
    for resource in resources:
        if resource.kind == "CustomResourceDefinition":
            continue
        hit = _in_containers(resource.obj, setter)
        gvk = resource.gvk
        for spec in specs:
            if spec.selects(gvk):
                for container, key in fields(resource.obj, spec):
                    hit = setter.apply(container, key) or hit
        if hit:
            changed.append(resource)
    return changed


def _in_containers(node: Any, setter: _ImageSetter) -> bool:
    hit = False
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict | list):
                hit = _in_containers(value, setter) or hit
            if key in ("containers", "initContainers") and isinstance(value, list):
                for item in value:
                    if isinstance(item, dict):
                        hit = setter.apply(item, "image") or hit
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, dict | list):
                hit = _in_containers(item, setter) or hit
    return hit
