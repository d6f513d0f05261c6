"""The tables are data: every row has the shape the code reads."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from trimtab.render.kustomize.fieldspecs import default_tables

DATA = files("trimtab.render.kustomize").joinpath("data")
ROW = {"path", "group", "version", "kind", "create"}


def read(name: str) -> Any:
    return json.loads(DATA.joinpath(name).read_text("utf-8"))


def rows(value: Any) -> list[dict[str, Any]]:
    """Every mapping with a `path`, at any depth."""
    found = []
    if isinstance(value, dict):
        if "path" in value:
            found.append(value)
        for item in value.values():
            found.extend(rows(item))
    elif isinstance(value, list):
        for item in value:
            found.extend(rows(item))
    return found


def test_every_field_spec_has_a_path_and_known_members() -> None:
    found = rows(read("fieldspecs.json"))
    assert len(found) > 80
    for row in found:
        assert set(row) <= ROW
        assert row["path"]
        assert not row["path"].startswith("/")
        assert isinstance(row.get("create", False), bool)


def test_every_pod_table_names_known_workloads() -> None:
    data = read("fieldspecs.json")
    workloads = set(data["workloads"])
    tables = [data["spreadLabels"], data["varReference"]["pod"]]
    tables += [row["pod"] for row in data["nameReference"] if "pod" in row]
    for table in tables:
        assert set(table["kinds"]) <= workloads
        assert table["paths"]


def test_no_field_of_a_kind_is_listed_twice_for_one_referent() -> None:
    for reference in default_tables().name_reference:
        keys = [(spec.group, spec.version, spec.kind, spec.path) for spec in reference.fields]
        assert len(keys) == len(set(keys)), reference.kind


def test_cluster_scoped_kinds_are_listed_by_api_version() -> None:
    for api_version, kinds in read("cluster_scoped.json").items():
        assert api_version.rpartition("/")[2].startswith("v")
        assert kinds == sorted(set(kinds))


def test_deprecated_and_unsupported_fields_are_fields() -> None:
    data = read("file.json")
    assert set(data["deprecated"]) | set(data["unsupported"]) <= set(data["fields"])
    assert set(data["deprecated"].values()) <= set(data["fields"])
