"""What is on disk: everything that was answered, and nothing that others can read."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from trimtab.cluster import EmbeddedCluster
from trimtab.cluster.storage import StorageError

from .conftest import Api, Running
from .objects import boat, config_map, crd

MAPS = "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BOATS = "/apis/harbour.example/v1/namespaces/default/boats"


def test_a_cluster_comes_back_as_it_was(tmp_path: Path) -> None:
    with Running(data_dir=tmp_path) as cluster:
        api, token, ca = Api(cluster), cluster.token, cluster.ca_pem
        kept = api("POST", MAPS, config_map("kept")).json
        api("POST", MAPS, config_map("gone"))
        api("DELETE", f"{MAPS}/gone")
        api("POST", CRDS, crd())
        api("POST", BOATS, boat())
        last = api("POST", MAPS, config_map("last")).json["metadata"]["resourceVersion"]
        namespace = api("GET", "/api/v1/namespaces/default").json["metadata"]["uid"]
    with Running(data_dir=tmp_path) as cluster:
        api = Api(cluster)
        assert (cluster.token, cluster.ca_pem) == (token, ca)
        assert api("GET", f"{MAPS}/kept").json == kept
        assert api("GET", f"{MAPS}/gone").status == 404
        assert api("GET", f"{BOATS}/ferry").json["spec"]["length"] == 30
        assert api("GET", "/api/v1/namespaces/default").json["metadata"]["uid"] == namespace
        new = api("POST", MAPS, config_map("new")).json["metadata"]["resourceVersion"]
        assert int(new) > int(last)


def test_no_version_is_given_twice_though_the_newest_object_is_gone(tmp_path: Path) -> None:
    with Running(data_dir=tmp_path, controllers=False) as cluster:
        api = Api(cluster)
        api("POST", MAPS, config_map("short"))
        api("DELETE", f"{MAPS}/short")
        version = int(api("GET", MAPS).json["metadata"]["resourceVersion"])
    with Running(data_dir=tmp_path, controllers=False) as cluster:
        created = Api(cluster)("POST", MAPS, config_map("next")).json
        assert int(created["metadata"]["resourceVersion"]) > version


def test_old_versions_are_gone_after_a_restart(tmp_path: Path) -> None:
    with Running(data_dir=tmp_path, controllers=False) as cluster:
        version = Api(cluster)("POST", MAPS, config_map("a")).json["metadata"]["resourceVersion"]
        Api(cluster)("POST", MAPS, config_map("b"))
    with Running(data_dir=tmp_path, controllers=False) as cluster:
        event = next(Api(cluster).watch(f"{MAPS}?watch=1&resourceVersion={version}"))
        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    with Running(data_dir=tmp_path):
        folder = tmp_path / "cluster"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        names = {path.name for path in folder.iterdir()}
        assert {"state.db", "ca.pem", "token", "kubeconfig"} <= names
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_two_clusters_do_not_share_a_directory(tmp_path: Path) -> None:
    with (
        Running(data_dir=tmp_path),
        pytest.raises(StorageError, match="cannot be used"),
        Running(data_dir=tmp_path),
    ):
        pass


def test_a_lost_disk_refuses_writes_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trimtab.cluster import storage

    with Running(data_dir=tmp_path, controllers=False) as cluster:
        api = Api(cluster)
        assert api("POST", MAPS, config_map("before")).status == 201

        def full(_self: Any, _rows: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(storage.Storage, "_commit", full)
        refused = api("POST", MAPS, config_map("during"))
        assert refused.status == 500
        assert "database or disk is full" in refused.json["message"]
        assert api("POST", MAPS, config_map("after")).status == 500
        assert api("GET", f"{MAPS}/before").status == 200
        ready = api("GET", "/readyz")
        assert (ready.status, "[-]storage failed" in ready.text) == (500, True)
        monkeypatch.undo()


def test_an_unusable_port_is_said(tmp_path: Path) -> None:
    with Running() as cluster:
        port = int(cluster.url.rpartition(":")[2])
        with pytest.raises(Exception, match=f"port {port} cannot be used"), Running(port=port):
            pass


def test_an_unknown_minor_is_refused() -> None:
    with pytest.raises(Exception, match=r"no schemas for Kubernetes 1\.2"):
        EmbeddedCluster(kube_version="1.2")
