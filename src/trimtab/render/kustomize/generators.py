"""configMapGenerator and secretGenerator: key-value sources to a ConfigMap or a Secret.

Order of the sources, quoting of literals and the shape of base64 are kustomize's
(spec/rendering.md 3.3).
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Callable, Mapping
from typing import Any, Final

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.resource import Resource

__all__ = ["BEHAVIOURS", "generate", "merge_into"]

BEHAVIOURS: Final = ("create", "replace", "merge")
_LINE: Final = 70

Load = Callable[[str], bytes]


def generate(
    kind: str, args: Mapping[str, Any], options: Mapping[str, Any] | None, load: Load
) -> Resource:
    """The object of one generator entry, with its behaviour and its wish for a hash suffix.

    `load` reads a file relative to the kustomization. Raises KustomizeError for a bad literal,
    a repeated key or a missing name.
    """
    name = args.get("name")
    if not name:
        raise KustomizeError(f"a {kind} generator needs a `name`", reason="GeneratorInvalid")
    behavior = str(args.get("behavior") or "")
    settings = _options(args.get("options"), options)
    metadata: dict[str, Any] = {"name": name}
    if args.get("namespace"):
        metadata["namespace"] = args["namespace"]
    if settings["labels"]:
        metadata["labels"] = settings["labels"]
    if settings["annotations"]:
        metadata["annotations"] = settings["annotations"]
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    pairs = _pairs(str(name), args, load)
    if kind == "Secret":
        obj["type"] = args.get("type") or "Opaque"
        obj["data"] = {key: _base64(value) for key, value in pairs.items()}
    else:
        _fill_config_map(obj, pairs)
    if settings["immutable"]:
        obj["immutable"] = True
    resource = Resource(obj, "")
    resource.behavior = behavior
    resource.needs_hash = not settings["disableNameSuffixHash"]
    return resource


def merge_into(old: Resource, new: Resource) -> Resource:
    """`new` in the place of `old`, by its behaviour `merge` or `replace`.

    The old name, history and metadata stay; a hash suffix is added only when both want one.
    """
    meta, was = new.metadata, old.metadata
    for field in ("labels", "annotations"):
        merged = {**(was.get(field) or {}), **(meta.get(field) or {})}
        if merged:
            meta[field] = merged
    meta["name"] = was.get("name")
    if was.get("namespace"):
        meta["namespace"] = was["namespace"]
    else:
        meta.pop("namespace", None)
    if new.behavior == "merge":
        for field in ("data", "binaryData"):
            kept = old.obj.get(field) or {}
            if not isinstance(kept, dict):
                raise KustomizeError(
                    f"`{field}` of {old.id} is not a mapping", reason="ManifestInvalid"
                )
            merged = {**kept, **(new.obj.get(field) or {})}
            if merged:
                new.obj[field] = dict(sorted(merged.items()))
            else:
                new.obj.pop(field, None)
        new.origin = old.origin or new.origin
    new.needs_hash = new.needs_hash and old.needs_hash
    new.behavior = old.behavior
    new.previous = list(old.previous)
    new.prefixes = list(old.prefixes)
    new.suffixes = list(old.suffixes)
    new.touched = [*old.touched, *new.touched]
    new.transformations = list(old.transformations)
    if not new.obj.get("data") and "data" in new.obj and new.obj["kind"] == "ConfigMap":
        del new.obj["data"]
    return new


def _options(local: Mapping[str, Any] | None, shared: Mapping[str, Any] | None) -> dict[str, Any]:
    """Local options over shared ones; a shared true wins over a local false."""
    local, shared = local or {}, shared or {}
    return {
        "labels": {**(shared.get("labels") or {}), **(local.get("labels") or {})},
        "annotations": {**(shared.get("annotations") or {}), **(local.get("annotations") or {})},
        "disableNameSuffixHash": bool(
            shared.get("disableNameSuffixHash") or local.get("disableNameSuffixHash")
        ),
        "immutable": bool(shared.get("immutable") or local.get("immutable")),
    }


def _pairs(name: str, args: Mapping[str, Any], load: Load) -> dict[str, bytes]:
    """Keys and values: env files, then literals, then files. A repeated key is an error."""
    found: list[tuple[str, bytes]] = []
    envs = [*(args.get("envs") or []), *([args["env"]] if args.get("env") else [])]
    for path in envs:
        found.extend(_env_file(path, load(path)))
    found.extend(_literal(text) for text in args.get("literals") or [])
    for source in args.get("files") or []:
        key, path = _file_source(source)
        found.append((key, load(path)))
    pairs: dict[str, bytes] = {}
    for key, value in found:
        if key in pairs:
            raise KustomizeError(
                f"generator {name} repeats the key {key!r}", reason="GeneratorInvalid"
            )
        pairs[key] = value
    return dict(sorted(pairs.items()))


def _literal(text: str) -> tuple[str, bytes]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise KustomizeError(
            f"literal {key!r} is not of the form key=value",
            hint="write key=value; the value may be empty",
            reason="GeneratorInvalid",
        )
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return key, value.encode()


def _file_source(text: str) -> tuple[str, str]:
    """(key, path) of `path` or `key=path`."""
    count = text.count("=")
    if count == 0:
        return posixpath.basename(text), text
    key, _, path = text.partition("=")
    if count > 1 or not key or not path:
        raise KustomizeError(
            f"file source {text!r} is not of the form path or key=path", reason="GeneratorInvalid"
        )
    return key, path


def _env_file(path: str, data: bytes) -> list[tuple[str, bytes]]:
    """Lines of key=value; blank lines and `#` comments are skipped, a bare key is empty."""
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise KustomizeError(f"{path} is not UTF-8 text", reason="GeneratorInvalid") from error
    found = []
    for raw in text.split("\n"):
        line = raw.removesuffix("\r").lstrip()
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            if key:
                found.append((key, value.encode()))
    return found


def _fill_config_map(obj: dict[str, Any], pairs: Mapping[str, bytes]) -> None:
    for key, value in pairs.items():
        try:
            obj.setdefault("data", {})[key] = value.decode("utf-8")
        except UnicodeDecodeError:
            obj.setdefault("binaryData", {})[key] = _base64(value)


def _base64(value: bytes) -> str:
    """Base64, broken into lines of 70 when it is longer than one, each ending in a newline."""
    text = base64.b64encode(value).decode()
    if len(text) < _LINE:
        return text
    return "".join(f"{text[i : i + _LINE]}\n" for i in range(0, len(text), _LINE))
