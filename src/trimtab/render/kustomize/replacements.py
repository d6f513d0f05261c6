"""`replacements`: copy a field of one resource into fields of others (spec/rendering.md 3.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from trimtab.lang.yaml import YamlError, dump, load_all, scalar
from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize import fieldpath
from trimtab.render.kustomize.file import checked
from trimtab.render.kustomize.hashing import escape_html
from trimtab.render.kustomize.patches import Selector
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import Gvk, Resource, copy_json

__all__ = ["apply_replacement", "read_replacements"]

_DEFAULT_PATH: Final = "metadata.name"


def read_replacements(
    entry: Mapping[str, Any], load_file: Callable[[str], bytes]
) -> list[Mapping[str, Any]]:
    """The replacements of one entry: itself, or those of the file at its `path`."""
    path = entry.get("path")
    if not path:
        return [entry]
    if entry.get("source") or entry.get("targets"):
        raise KustomizeError(
            "a replacement has either a `path` or a source with targets",
            reason="ReplacementInvalid",
        )
    found: list[Mapping[str, Any]] = []
    data = load_file(path)
    for document in load_all(data, source=path):
        values = document.value if isinstance(document.value, list) else [document.value]
        found.extend(checked(values, "replacements", data, path))
    return found


def apply_replacement(resources: ResMap, entry: Mapping[str, Any]) -> list[Resource]:
    """Carry one replacement out; the resources it changed. A missing source or a missing target
    field is an error, unless the target says `create`."""
    source, fixed, targets = entry.get("source"), entry.get("sourceValue"), entry.get("targets")
    if (source is None and fixed is None) or not targets:
        raise KustomizeError(
            "a replacement needs a source and at least one target", reason="ReplacementInvalid"
        )
    if source is not None and fixed is not None:
        raise KustomizeError(
            "a replacement has either `source` or `sourceValue`", reason="ReplacementInvalid"
        )
    value = fixed if source is None else _source_value(resources, source)
    changed: list[Resource] = []
    for target in targets:
        changed.extend(_apply_target(resources, value, target))
    return changed


def _source_value(resources: ResMap, source: Mapping[str, Any]) -> Any:
    found = [resource for resource in resources if _is_source(resource, source)]
    named = _named(source)
    if len(found) != 1:
        what = "no resource" if not found else f"{len(found)} resources"
        raise KustomizeError(
            f"the source of a replacement, {named}, is {what}", reason="ReplacementSourceNotFound"
        )
    path = source.get("fieldPath") or _DEFAULT_PATH
    value = fieldpath.get(found[0].obj, fieldpath.split(path))
    if value is None or value == {} or value == []:
        raise KustomizeError(
            f"{path} of {found[0].id} is missing, a replacement needs it",
            reason="ReplacementSourceNotFound",
        )
    options = source.get("options") or {}
    _refuse_encoding(options)
    delimiter = options.get("delimiter")
    if not delimiter:
        return value
    if isinstance(value, dict | list):
        raise KustomizeError(f"`delimiter` needs text, {path} is not", reason="ReplacementInvalid")
    pieces = _text(value).split(delimiter)
    index = options.get("index") or 0
    if not 0 <= index < len(pieces):
        raise KustomizeError(
            f"index {index} is beyond the {len(pieces)} parts of {path}",
            reason="ReplacementInvalid",
        )
    return pieces[index]


def _refuse_encoding(options: Mapping[str, Any]) -> None:
    if options.get("encoding"):
        raise KustomizeError(
            "`encoding` of a replacement is not supported", reason="FieldUnsupported"
        )


def _named(selector: Mapping[str, Any]) -> str:
    return " ".join(
        f"{key}={selector[key]}"
        for key in ("group", "version", "kind", "name", "namespace")
        if selector.get(key)
    )


def _is_source(resource: Resource, source: Mapping[str, Any]) -> bool:
    group, version, kind = (source.get(key) or "" for key in ("group", "version", "kind"))
    name, namespace = source.get("name"), source.get("namespace")
    return any(
        one.gvk.selected_by(group, version, kind)
        and (not name or name == one.name)
        and (not namespace or namespace == one.namespace)
        for one in resource.any_ids()
    )


def _identities(resource: Resource) -> list[tuple[Gvk, str, str]]:
    now = (resource.gvk, resource.namespace, resource.name)
    return [now, *((was.gvk, was.namespace, was.name) for was in resource.previous_ids())]


def _matches(selector: Selector, resource: Resource) -> bool:
    return any(
        selector.matches_gvk(*gvk)
        and selector.matches_field("name", name)
        and selector.matches_field("namespace", namespace)
        for gvk, namespace, name in _identities(resource)
    )


def _apply_target(resources: ResMap, value: Any, target: Mapping[str, Any]) -> list[Resource]:
    if target.get("select") is None:
        raise KustomizeError("a replacement's target needs `select`", reason="ReplacementInvalid")
    select = Selector(target["select"])
    rejects = [Selector(reject or {}) for reject in target.get("reject") or []]
    options = target.get("options") or {}
    _refuse_encoding(options)
    paths = target.get("fieldPaths") or [_DEFAULT_PATH]
    changed = []
    for resource in resources:
        if not select.matches_labels(resource):
            continue
        if any(r.has_label_selectors and r.matches_labels(resource) for r in rejects):
            continue
        if any(r.names_something and _matches(r, resource) for r in rejects):
            continue
        if _matches(select, resource):
            for path in paths:
                _write(resource, path, value, options)
            changed.append(resource)
    return changed


def _write(resource: Resource, path: str, value: Any, options: Mapping[str, Any]) -> None:
    create: fieldpath.Create = "no"
    if options.get("create"):
        create = (
            "mapping"
            if isinstance(value, dict)
            else "list"
            if isinstance(value, list)
            else "scalar"
        )
    parts = fieldpath.split(path)
    if _write_in_text(resource, parts, value, options, create):
        return
    try:
        found = fieldpath.slots(resource.obj, parts, create)
    except KustomizeError as error:
        raise KustomizeError(
            f"{path} of {resource.id} cannot be replaced: {error.message}", reason=error.reason
        ) from error
    if not found:
        raise KustomizeError(
            f"{resource.id} has no field {path} to replace",
            hint="check the path, or set `options.create: true`",
            reason="ReplacementTargetNotFound",
        )
    for container, key in found:
        container[key] = _replaced(container[key], value, options, f"{path} of {resource.id}")


def _write_in_text(
    resource: Resource,
    parts: list[str],
    value: Any,
    options: Mapping[str, Any],
    create: fieldpath.Create,
) -> bool:
    """Where a path goes on below a text that holds JSON or YAML, write inside it. False when no
    text on the way holds a structure with that field."""
    for end in range(1, len(parts)):
        text = fieldpath.get(resource.obj, parts[:end])
        if not isinstance(text, str):
            continue
        structure = _structure(text)
        if structure is None:
            return False
        try:
            found = fieldpath.slots(structure, parts[end:], create)
        except KustomizeError:
            return False
        for container, key in found:
            container[key] = _replaced(container[key], value, options, ".".join(parts))
        for container, key in fieldpath.slots(resource.obj, parts[:end]):
            container[key] = _as_text(structure, text)
        return bool(found)
    return False


def _structure(text: str) -> Any:
    """The mapping or list that a text holds, None when it holds neither."""
    try:
        documents = load_all(text)
    except YamlError:
        return None
    value = documents[0].value if len(documents) == 1 else None
    return value if isinstance(value, dict | list) else None


def _as_text(structure: Any, original: str) -> str:
    """JSON stays JSON, indented if it was; all else becomes YAML."""
    if original.strip()[0] not in "{[":
        return dump(structure).strip()
    if "\n" in original and "  " in original:
        text = json.dumps(structure, indent=2, sort_keys=True, ensure_ascii=False)
    else:
        text = json.dumps(structure, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return escape_html(text)


def _replaced(old: Any, value: Any, options: Mapping[str, Any], where: str) -> Any:
    """The new value. A scalar keeps the type of the field it is written to."""
    delimiter = options.get("delimiter")
    if delimiter:
        if isinstance(old, dict | list):
            raise KustomizeError(
                f"`delimiter` needs text, {where} is not", reason="ReplacementInvalid"
            )
        value = _joined(_text(old), _text(value), delimiter, options.get("index") or 0)
    if isinstance(value, dict | list):
        return copy_json(value)
    if isinstance(old, dict | list):
        return value
    text = _text(value)
    if isinstance(old, str):
        return text
    typed = _typed(text)
    if old is not None and isinstance(typed, str):
        raise KustomizeError(
            f"{where} is {_text(old)}, it cannot become the text {text!r}",
            reason="ReplacementInvalid",
        )
    return typed


def _typed(text: str) -> Any:
    """What an unquoted scalar of this text means."""
    return scalar(text)


def _joined(old: str, value: str, delimiter: str, index: int) -> str:
    pieces = old.split(delimiter)
    if index < 0:
        pieces.insert(0, value)
    elif index >= len(pieces):
        pieces.append(value)
    else:
        pieces[index] = value
    return delimiter.join(pieces)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
