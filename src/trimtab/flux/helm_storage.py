"""Helm's release records: Secrets that `helm list`, `helm history` and `helm get` read.

Pure. `sh.helm.release.v1.<name>.v<N>` holds base64(gzip(JSON)), once more base64 as Secret data
(spec/flux.md 4.6).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import orjson

from trimtab.flux.errors import NotYet
from trimtab.lang import yaml
from trimtab.sources import Tree

__all__ = ["Record", "chart_of", "decode", "encode", "is_hook", "latest", "supersede"]

TYPE: Final = "helm.sh/release.v1"
SECRET_LIMIT: Final = 1024 * 1024
HOOK: Final = "helm.sh/hook"
_DECODED_LIMIT: Final = 64 * 1024 * 1024


class Record(msgspec.Struct, frozen=True):
    """One revision of a release. `status` is Helm's word: deployed, superseded, failed ..."""

    name: str
    namespace: str
    version: int
    status: str
    description: str
    manifest: str
    config: dict[str, Any]
    chart: dict[str, Any]
    hooks: tuple[dict[str, Any], ...] = ()
    first_deployed: str = ""
    last_deployed: str = ""
    notes: str = ""

    @property
    def secret_name(self) -> str:
        return f"sh.helm.release.v1.{self.name}.v{self.version}"


def encode(record: Record, storage_namespace: str, now: datetime) -> dict[str, Any]:
    """The Secret of a record. Raises `NotYet` when it would exceed what a Secret may hold."""
    body = {
        "name": record.name,
        "namespace": record.namespace,
        "version": record.version,
        "info": {
            "first_deployed": record.first_deployed,
            "last_deployed": record.last_deployed,
            "deleted": "",
            "description": record.description,
            "status": record.status,
            "notes": record.notes,
        },
        "chart": record.chart,
        "config": record.config,
        "manifest": record.manifest,
        "hooks": list(record.hooks),
        "apply_method": "ssa",
    }
    packed = base64.b64encode(gzip.compress(orjson.dumps(body), compresslevel=9, mtime=0))
    if len(packed) > SECRET_LIMIT:
        raise NotYet(
            f"release record of {len(packed)} bytes exceeds the {SECRET_LIMIT} a Secret may hold",
            reason="StorageFailed",
            hint="leave large files out of the chart with .helmignore",
        )
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TYPE,
        "metadata": {
            "name": record.secret_name,
            "namespace": storage_namespace,
            "labels": {
                "name": record.name,
                "owner": "helm",
                "status": record.status,
                "version": str(record.version),
                "modifiedAt": str(int(now.timestamp())),
            },
        },
        "data": {"release": base64.b64encode(packed).decode()},
    }


def decode(secret: Mapping[str, Any]) -> Record:
    """The record in a Secret; JSON that is not zipped is read, too. Raises `NotYet`."""
    name = secret["metadata"]["name"]
    try:
        packed = base64.b64decode((secret.get("data") or {})["release"])
        raw = base64.b64decode(packed)
        if raw[:2] == b"\x1f\x8b":
            raw = zlib.decompressobj(wbits=31).decompress(raw, _DECODED_LIMIT)
        body = orjson.loads(raw)
        info = body.get("info") or {}
        return Record(
            name=body["name"],
            namespace=body.get("namespace") or "",
            version=int(body.get("version") or 0),
            status=info.get("status") or "unknown",
            description=info.get("description") or "",
            manifest=body.get("manifest") or "",
            config=body.get("config") or {},
            chart=body.get("chart") or {},
            hooks=tuple(body.get("hooks") or ()),
            first_deployed=info.get("first_deployed") or "",
            last_deployed=info.get("last_deployed") or "",
            notes=info.get("notes") or "",
        )
    except (KeyError, ValueError, binascii.Error, zlib.error, TypeError) as error:
        raise NotYet(f"Secret {name} holds no readable release", reason="StorageFailed") from error


def latest(secrets: Iterable[Mapping[str, Any]], release: str) -> list[Record]:
    """Records of `release`, newest first."""
    owned = (
        secret
        for secret in secrets
        if secret.get("type") == TYPE
        and (secret["metadata"].get("labels") or {}).get("name") == release
    )
    return sorted((decode(secret) for secret in owned), key=lambda each: -each.version)


def supersede(record: Record) -> Record:
    return msgspec.structs.replace(record, status="superseded")


def chart_of(tree: Tree, path: str) -> dict[str, Any]:
    """The `chart` of a record: metadata, templates, values and files of the chart at `path`."""
    metadata = yaml.load(tree.read(f"{path}/Chart.yaml".lstrip("/")), source="Chart.yaml") or {}
    templates: list[dict[str, str]] = []
    files: list[dict[str, str]] = []
    values: Any = {}
    for name, data in _walk(tree, path, ""):
        if name == "values.yaml":
            values = yaml.load(data, source="values.yaml") or {}
        if name in ("Chart.yaml", "values.yaml", "Chart.lock") or name.startswith("charts/"):
            continue
        packed = {"name": name, "data": base64.b64encode(data).decode()}
        (templates if name.startswith("templates/") else files).append(packed)
    return {
        "metadata": metadata,
        "lock": None,
        "templates": templates,
        "values": values,
        "schema": None,
        "files": files,
    }


def is_hook(obj: Mapping[str, Any]) -> bool:
    return HOOK in ((obj.get("metadata") or {}).get("annotations") or {})


def _walk(tree: Tree, root: str, folder: str) -> Iterable[tuple[str, bytes]]:
    at = "/".join(part for part in (root, folder) if part)
    for entry in tree.list(at):
        name = f"{folder}/{entry.name}" if folder else entry.name
        if entry.kind == "dir":
            yield from _walk(tree, root, name)
        elif entry.kind == "file":
            yield name, tree.read(f"{root}/{name}".lstrip("/"))
