"""`vars`: `$(NAME)` in a known list of fields (deprecated, spec/rendering.md 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize import fieldpath
from trimtab.render.kustomize.fieldspecs import FieldSpec, fields
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import CLUSTER_SCOPED, Gvk, Resource, split_version

__all__ = ["Variables"]

_REFERENCE: Final = re.compile(r"\$(?:\(([^)]*)\)|(.)|$)", re.DOTALL)


class _Variable(msgspec.Struct):
    """A name, the field it stands for, and the resource that has it (None: none seen)."""

    name: str
    path: str
    resource: Resource | None


class Variables:
    """The variables of a build, each bound to its resource where it was declared."""

    def __init__(self) -> None:
        self._known: dict[str, _Variable] = {}

    def add(self, entries: Iterable[Mapping[str, Any]], resources: ResMap) -> None:
        """Bind the vars of one kustomization. A name twice is an error."""
        for entry in entries:
            name = str(entry.get("name") or "")
            self._put(
                _Variable(
                    name,
                    (entry.get("fieldref") or {}).get("fieldPath") or "metadata.name",
                    _referent(entry.get("objref") or {}, resources, name),
                )
            )

    def extend(self, other: Variables) -> None:
        for variable in other._known.values():
            self._put(variable)

    def _put(self, variable: _Variable) -> None:
        if variable.name in self._known:
            raise KustomizeError(
                f"var {variable.name!r} is declared twice", reason="VariableInvalid"
            )
        self._known[variable.name] = variable

    def resolve(self, resources: ResMap, specs: Iterable[FieldSpec]) -> list[str]:
        """Replace every reference in the fields of `specs`; warnings for unused variables."""
        if not self._known:
            return []
        values = {name: self._value(variable) for name, variable in self._known.items()}
        used: set[str] = set()
        specs = tuple(specs)
        for resource in resources:
            gvk = resource.gvk
            for spec in specs:
                if spec.selects(gvk):
                    for container, key in fields(resource.obj, spec):
                        container[key] = _expand_field(container[key], values, used)
        unused = sorted(set(values) - used)
        return [f"vars that are never used: {', '.join(unused)}"] if unused else []

    def _value(self, variable: _Variable) -> Any:
        if variable.resource is None:
            raise KustomizeError(
                f"var {variable.name!r} points to an object that is not among the resources",
                hint="check its objref: apiVersion, kind, name",
                reason="VariableInvalid",
            )
        value = fieldpath.get(variable.resource.obj, fieldpath.split(_dotted(variable.path)))
        if value is None:
            raise KustomizeError(
                f"var {variable.name!r} points to {variable.path}, which {variable.resource.id} "
                "does not have",
                reason="VariableInvalid",
            )
        return value


def _dotted(path: str) -> str:
    """`spec.ports[0].port` as `spec.ports.0.port`."""
    return re.sub(r"\[(\d+)\]", r".\1", path)


def _referent(objref: Mapping[str, Any], resources: ResMap, name: str) -> Resource | None:
    group, version = objref.get("group") or "", objref.get("version") or ""
    if objref.get("apiVersion"):
        group, version = split_version(objref["apiVersion"])
    gvk = Gvk(group, version, str(objref.get("kind") or ""))
    namespace = objref.get("namespace")
    found = [
        resource
        for resource in resources
        if any(
            one.gvk == gvk
            and one.name == objref.get("name")
            and (not namespace or one.namespace in (namespace, CLUSTER_SCOPED))
            for one in resource.any_ids()
        )
    ]
    if len(found) > 1:
        raise KustomizeError(
            f"var {name!r} could mean {len(found)} resources", reason="VariableInvalid"
        )
    return found[0] if found else None


def _expand_field(value: Any, values: Mapping[str, Any], used: set[str]) -> Any:
    if isinstance(value, str):
        return _expand(value, values, used)
    if isinstance(value, list):
        for item in value:
            if not isinstance(item, str):
                raise KustomizeError(
                    "a list with vars holds something that is not text", reason="VariableInvalid"
                )
        return [_expand(item, values, used) for item in value]
    if isinstance(value, dict):
        return {
            key: _expand(item, values, used) if isinstance(item, str) else item
            for key, item in value.items()
        }
    return value


def _expand(text: str, values: Mapping[str, Any], used: set[str]) -> Any:
    """`$(NAME)` replaced where NAME is known; alone it keeps its type. `$$` is a dollar."""
    if "$" not in text:
        return text
    whole = re.fullmatch(r"\$\(([^)]*)\)", text)
    if whole:
        name = whole[1]
        if name in values and not isinstance(values[name], dict | list):
            used.add(name)
            return values[name]
        return text

    def replace(match: re.Match[str]) -> str:
        name, other = match[1], match[2]
        if name is None:
            return "$" if other == "$" else match[0]
        if name in values and not isinstance(values[name], dict | list):
            used.add(name)
            value = values[name]
            return ("true" if value else "false") if isinstance(value, bool) else str(value)
        return match[0]

    return _REFERENCE.sub(replace, text)
