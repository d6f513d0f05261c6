"""Build the schema data of `trimtab.objects` from an installed `kubernetes-validate` package.

    python tools/build_schemas.py

The source was converted for a JSON Schema validator; this undoes what that changed
(spec/embedded-cluster.md 4.2): optional types carry "null", `apiVersion` and `kind` carry an
`enum`, IntOrString and Quantity became bare `oneOf`s, `$ref`s have another prefix. It walks
schemas by position, since the CRD schema type has *properties named* `$ref`, `enum` and `type`.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import Any

import kubernetes_validate

MINORS = ("1.37", "1.36", "1.35")
SOURCE_PREFIX = "#/$defs/"
PREFIX = "#/components/schemas/"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
FIELDS_V1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"
# Keys of list-maps that have a default: server-side apply fills them in (spec 8.1).
KEY_DEFAULTS = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
}


def _schema(source: dict[str, Any]) -> dict[str, Any]:
    """One schema, converted; recursive over schema positions only."""
    out: dict[str, Any] = {}
    for key, value in source.items():
        if key == "type":
            names = [n for n in value if n != "null"] if isinstance(value, list) else [value]
            if len(names) != 1:
                raise SystemExit(f"type {value!r} is not one type")
            out["type"] = names[0]
        elif key == "properties":
            out["properties"] = {name: _schema(member) for name, member in value.items()}
        elif key in ("items", "additionalProperties"):
            out[key] = _schema(value) if isinstance(value, dict) else value
        elif key == "$ref":
            out["$ref"] = PREFIX + value.removeprefix(SOURCE_PREFIX)
        else:
            out[key] = value
    if "$ref" in out and len(out) > 1:
        # OpenAPI 3.0 ignores what stands beside a $ref, so the server wraps it.
        out["allOf"] = [{"$ref": out.pop("$ref")}]
    return out


def _definition(name: str, source: dict[str, Any]) -> dict[str, Any]:
    out = _schema({key: value for key, value in source.items() if key != "oneOf"})
    if name == INT_OR_STRING:
        return {
            **out,
            "format": "int-or-string",
            "oneOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
        }
    if name == QUANTITY:
        return {**out, "format": "quantity", "oneOf": [{"type": "string"}, {"type": "number"}]}
    if "oneOf" in source:
        raise SystemExit(f"{name}: oneOf is not expected")
    if name in (RAW_EXTENSION, FIELDS_V1):
        out["x-kubernetes-preserve-unknown-fields"] = True
    properties = out.get("properties", {})
    for field in ("apiVersion", "kind"):
        if "x-kubernetes-group-version-kind" in out and field in properties:
            properties[field].pop("enum", None)
    for (owner, field), default in KEY_DEFAULTS.items():
        if owner == name:
            properties[field]["default"] = default
    return out


def build(source: Path) -> bytes:
    """The document of one minor: kinds by `group/version/kind`, definitions by name."""
    definitions = json.loads(source.read_bytes())["$defs"]
    converted = {name: _definition(name, schema) for name, schema in sorted(definitions.items())}
    kinds: dict[str, list[str]] = {}
    for name, schema in converted.items():
        gvks = schema.get("x-kubernetes-group-version-kind", [])
        for gvk in gvks if len(gvks) == 1 else []:
            key = "/".join((gvk["group"], gvk["version"], gvk["kind"]))
            kinds.setdefault(key, []).append(name)
    doubles = {key: names for key, names in kinds.items() if len(names) > 1}
    if doubles:
        raise SystemExit(f"more than one definition for {doubles}")
    document = {
        "kinds": {key: names[0] for key, names in sorted(kinds.items())},
        "definitions": converted,
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the schema data of trimtab.objects")
    default = Path(__file__).parent.parent / "src" / "trimtab" / "objects" / "data"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    root = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for minor in MINORS:
        document = build(root / f"v{minor}.0-local" / "_definitions.json")
        packed = zlib.compress(document, 9)
        target = arguments.out / f"kubernetes-{minor}.json.z"
        target.write_bytes(packed)
        print(f"{target.name}: {len(document)} bytes, {len(packed)} packed")


if __name__ == "__main__":
    main()
