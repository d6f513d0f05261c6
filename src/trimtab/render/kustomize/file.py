"""A kustomization file: found, read, checked against its fields, put together with an overlay.

Field names are matched without regard to case, as kustomize does. Unknown fields and values of
the wrong type are errors with line and column; deprecated fields work and warn once
(spec/rendering.md 3.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from trimtab.errors import Location
from trimtab.lang.yaml import YamlError, load_all, place
from trimtab.render.errors import KustomizeError
from trimtab.sources import Tree

__all__ = ["FILE_NAMES", "Kustomization", "checked", "find", "merge_overlay", "read"]

FILE_NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_COMPONENT_VERSION: Final = "kustomize.config.k8s.io/v1alpha1"
_VERSION: Final = "kustomize.config.k8s.io/v1beta1"
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
}

Path = tuple[str | int, ...]


class Kustomization(msgspec.Struct, frozen=True):
    """A checked file. `root` is its directory, `path` the file, `via` the files that led here
    (outermost first, this one last), `text` its bytes for finding places in messages."""

    root: str
    path: str
    fields: Mapping[str, Any]
    text: bytes = b""
    via: tuple[str, ...] = ()

    @property
    def is_component(self) -> bool:
        return self.fields.get("kind") == "Component"

    def get(self, name: str) -> Any:
        """A field's value, None when absent or null."""
        return self.fields.get(name)

    def items(self, name: str) -> list[Any]:
        """A list field, empty when absent."""
        return list(self.fields.get(name) or [])

    def where(self, *path: str | int) -> Location:
        """The place of a value of this file."""
        line, column = place(self.text, path) if self.text else (0, 0)
        return Location(self.path, line, column, self.via[:-1])


@cache
def _schema() -> dict[str, Any]:
    text = files(__package__).joinpath("data/file.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def find(tree: Tree, root: str, *, via: tuple[str, ...] = ()) -> str | None:
    """Path of the directory's kustomization file, None when there is none. Two are an error."""
    found = [
        path
        for name in FILE_NAMES
        if tree.kind(path := f"{root}/{name}" if root else name) == "file"
    ]
    if len(found) > 1:
        raise KustomizeError(
            f"several kustomization files in one directory: {', '.join(found)}",
            where=Location(root or ".", via=via),
            hint="keep one of them",
            reason="KustomizationAmbiguous",
        )
    return found[0] if found else None


def read(
    data: bytes, path: str, root: str, *, via: tuple[str, ...], allow_empty: bool = False
) -> Kustomization:
    """A checked kustomization from its text. Raises KustomizeError naming every bad field, and
    for a file without any unless `allow_empty`."""
    via = (*via, path)
    try:
        documents = load_all(data, source=path, booleans="yaml11")
    except YamlError as error:
        raise _with_via(error, path, via) from error
    if len(documents) > 1:
        raise KustomizeError(
            "a kustomization file holds one document, found several",
            where=Location(path, documents[1].line, 1, via[:-1]),
            reason="KustomizationInvalid",
        )
    value = documents[0].value if documents else {}
    if not isinstance(value, dict):
        raise KustomizeError(
            "a kustomization file holds a mapping",
            where=Location(path, documents[0].line, 1, via[:-1]),
            reason="KustomizationInvalid",
        )
    checker = _Checker(data, path, via[:-1])
    fields = checker.check(value)
    checker.finish()
    kustomization = Kustomization(root, path, fields, data, via)
    _check_version(kustomization)
    empty = not any(value for name, value in fields.items() if name not in ("apiVersion", "kind"))
    if empty and not allow_empty:
        raise KustomizeError(
            "the kustomization is empty",
            where=Location(path, via=via[:-1]),
            hint="add `resources:` or remove the file",
            reason="KustomizationEmpty",
        )
    return kustomization


def _with_via(error: YamlError, path: str, via: tuple[str, ...]) -> KustomizeError:
    line = error.where.line if isinstance(error.where, Location) else 0
    column = error.where.column if isinstance(error.where, Location) else 0
    return KustomizeError(
        error.message,
        where=Location(path, line, column, via[:-1]),
        why=error.why,
        hint=error.hint,
        reason=error.reason,
    )


def _check_version(kustomization: Kustomization) -> None:
    kind = kustomization.get("kind") or "Kustomization"
    if kind not in ("Kustomization", "Component"):
        raise KustomizeError(
            f"kind {kind!r} is not Kustomization or Component",
            where=kustomization.where("kind"),
            reason="KustomizationInvalid",
        )
    wanted = _COMPONENT_VERSION if kind == "Component" else _VERSION
    version = kustomization.get("apiVersion")
    if version and version != wanted:
        raise KustomizeError(
            f"apiVersion of a {kind} is {wanted}, found {version!r}",
            where=kustomization.where("apiVersion"),
            reason="KustomizationInvalid",
        )


class _Checker:
    """Checks values against `data/file.json` and gives them with canonical field names."""

    def __init__(self, text: bytes, path: str, via: tuple[str, ...]) -> None:
        self._text = text
        self._path = path
        self._via = via
        self._schema = _schema()
        self._errors: list[KustomizeError] = []

    def check(self, value: dict[str, Any]) -> dict[str, Any]:
        checked = self._struct(value, self._schema["fields"], (), "the kustomization")
        for name, hint in self._schema["unsupported"].items():
            if checked.get(name):
                self._errors.append(
                    KustomizeError(
                        f"field `{name}` is not supported",
                        where=self._where((name,)),
                        hint=hint,
                        reason="FieldUnsupported",
                    )
                )
        return checked

    def value(self, value: Any, schema: str) -> Any:
        return self._item(value, schema, (), schema[1:])

    def finish(self) -> None:
        """Raise the first error with the others attached."""
        if self._errors:
            first, *others = self._errors
            first.others = tuple(others)
            raise first

    def _where(self, path: Path) -> Location:
        line, column = place(self._text, path) if self._text else (0, 0)
        return Location(self._path, line, column, self._via)

    def _fail(self, message: str, path: Path, hint: str = "") -> None:
        self._errors.append(
            KustomizeError(
                message, where=self._where(path), hint=hint, reason="KustomizationInvalid"
            )
        )

    def _struct(
        self, value: dict[str, Any], schema: dict[str, Any], path: Path, name: str
    ) -> dict[str, Any]:
        folded: dict[str, str] | None = None
        result: dict[str, Any] = {}
        for key, item in value.items():
            known = key
            if key not in schema:
                folded = folded or {field.lower(): field for field in schema}
                known = folded.get(key.lower(), "")
            if not known:
                self._fail(
                    f"unknown field `{key}` in {name}",
                    (*path, key),
                    f"known fields: {', '.join(schema)}",
                )
                continue
            result[known] = self._value(item, schema[known], (*path, key), known)
        return result

    def _item(self, value: Any, schema: Any, path: Path, name: str) -> Any:
        """An item of a list: null stands for the empty value of its type."""
        if value is not None:
            return self._value(value, schema, path, name)
        return "" if schema == "string" else {}

    def _value(self, value: Any, schema: Any, path: Path, name: str) -> Any:
        if isinstance(schema, str) and schema.startswith("@"):
            schema = self._schema["definitions"][schema[1:]]
        if value is None or schema == "any":
            return value
        if isinstance(schema, str):
            good = isinstance(value, _TYPES[schema]) and (
                schema == "boolean" or not isinstance(value, bool)
            )
            if not good:
                hint = f'quote it: "{value}"' if schema == "string" else ""
                hint = "" if isinstance(value, dict | list) else hint
                self._fail(f"`{name}` must be a {schema}, found {_kind(value)}", path, hint)
            return value
        if isinstance(schema, list):
            if not isinstance(value, list):
                self._fail(f"`{name}` must be a list, found {_kind(value)}", path)
                return []
            return [
                self._item(item, schema[0], (*path, index), name)
                for index, item in enumerate(value)
            ]
        if not isinstance(value, dict):
            self._fail(f"`{name}` must be a mapping, found {_kind(value)}", path)
            return {}
        if "*" in schema:
            return {
                key: self._value(item, schema["*"], (*path, key), f"{name}.{key}")
                for key, item in value.items()
            }
        return self._struct(value, schema, path, f"`{name}`")


def checked(value: Any, definition: str, data: bytes, path: str) -> Any:
    """A value of another file that a kustomization names, checked against a definition of
    `data/file.json`. Raises KustomizeError with the place of what does not fit."""
    checker = _Checker(data, path, ())
    result = checker.value(value, f"@{definition}")
    checker.finish()
    return result


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a mapping"


def deprecations(kustomization: Kustomization) -> list[str]:
    """One warning for each deprecated field that is used."""
    return [
        f"{kustomization.path}: `{old}` is deprecated, use `{new}`"
        for old, new in _schema()["deprecated"].items()
        if kustomization.get(old) is not None
    ]


def merge_overlay(kustomization: Kustomization, overlay: Mapping[str, Any]) -> Kustomization:
    """The user's file with a dialect's overrides, as if they stood in it (spec/flux.md 3.2,
    spec/rendering.md 3.8). Scalars and `buildMetadata` replace, images and replicas merge by
    name, mappings merge by key, other lists are appended. Raises KustomizeError for an overlay
    that names unknown fields."""
    checker = _Checker(b"", "the overlay", kustomization.via)
    checked = checker.check(dict(overlay))
    checker.finish()
    fields = dict(kustomization.fields)
    for name, value in checked.items():
        if not value:
            continue
        old = fields.get(name)
        if name == "images":
            fields[name] = _merge_images(old or [], value)
        elif name == "replicas":
            fields[name] = _merge_named(old or [], value)
        elif name == "buildMetadata" or isinstance(value, str):
            fields[name] = value
        elif isinstance(value, dict):
            fields[name] = {**(old or {}), **value}
        else:
            fields[name] = [*(old or []), *value]
    return msgspec.structs.replace(kustomization, fields=fields)


def _merge_images(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By name: `newName` when given; `newTag` and `digest` as one unit."""
    merged = [dict(image) for image in old]
    for image in new:
        target = next((m for m in merged if m.get("name") == image.get("name")), None)
        if target is None:
            merged.append(dict(image))
            continue
        if image.get("newName"):
            target["newName"] = image["newName"]
        if image.get("newTag") or image.get("digest"):
            target.pop("newTag", None)
            target.pop("digest", None)
            target.update({k: image[k] for k in ("newTag", "digest") if image.get(k)})
    return merged


def _merge_named(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {item.get("name") for item in new}
    return [*(item for item in old if item.get("name") not in names), *new]
