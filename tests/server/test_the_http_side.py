"""Health, metrics, overview and archives; nothing outside the archive folder is ever served."""

from pathlib import Path

import orjson
import pytest
from prometheus_client import CollectorRegistry, Counter

from trimtab.objects import GroupKind
from trimtab.server import App, read_row

APPLICATION = GroupKind("argoproj.io", "Application")
KUSTOMIZATION = GroupKind("kustomize.toolkit.fluxcd.io", "Kustomization")


class Live:
    def __init__(self, obj):
        self.obj = obj


class Cache:
    def __init__(self, objects):
        self.objects = objects

    def list(self, gk):
        return [Live(obj) for obj in self.objects.get(gk, [])]


def app(tmp_path, objects=None, ready=True):
    registry = CollectorRegistry()
    Counter("demo", "A counter.", registry=registry).inc()
    return App(
        Cache(objects or {}),
        artifacts=tmp_path,
        registry=registry,
        ready=lambda: ready,
        extra=lambda: {"renders": {"done": 1}},
    )


APP = {
    "metadata": {"name": "web", "namespace": "argocd"},
    "status": {
        "sync": {"status": "OutOfSync", "revision": "a" * 40},
        "health": {"status": "Degraded"},
        "conditions": [{"type": "ComparisonError", "message": "no such path"}],
    },
}
KS = {
    "metadata": {"name": "infra", "namespace": "flux-system", "generation": 2},
    "status": {
        "observedGeneration": 2,
        "lastAppliedRevision": "main@sha1:1",
        "conditions": [{"type": "Ready", "status": "True", "message": "Applied revision: x"}],
    },
}


def test_health_says_alive_at_once_and_ready_only_when_synced(tmp_path):
    assert app(tmp_path, ready=False).answer("GET", "/healthz").status == 200
    assert app(tmp_path, ready=False).answer("GET", "/readyz").status == 503
    assert app(tmp_path).answer("GET", "/readyz").status == 200


def test_the_overview_counts_problems_and_settled(tmp_path):
    reply = app(tmp_path, {APPLICATION: [APP], KUSTOMIZATION: [KS]}).answer("GET", "/api/overview")
    seen = orjson.loads(reply.body)
    assert (seen["total"], seen["settled"], seen["problems"]) == (2, 1, 1)
    assert seen["renders"] == {"done": 1}
    assert [row["name"] for row in seen["objects"]] == ["web", "infra"]
    assert seen["objects"][0]["message"] == "no such path"


def test_an_object_without_a_status_is_neither_settled_nor_a_problem():
    row = read_row(KUSTOMIZATION, {"metadata": {"name": "new", "namespace": "n", "generation": 1}})
    assert (row.settled, row.problem, row.state) == (False, False, "Ready=Unknown")


def test_metrics_are_in_prometheus_form(tmp_path):
    assert b"demo_total 1.0" in app(tmp_path).answer("GET", "/metrics").body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_here(tmp_path, method):
    assert app(tmp_path).answer(method, "/api/overview").status == 405


def test_archives_are_served_and_nothing_beside_them(tmp_path):
    root = tmp_path / "artifacts"
    (root / "a").mkdir(parents=True)
    (root / "a/x.tar.gz").write_bytes(b"archive")
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    served = app(root)
    assert served.answer("GET", "/artifacts/a/x.tar.gz").body == b"archive"
    for path in ("../secret", "a/../../secret", "link", "/etc/passwd", "a", "", "a/\0"):
        try:
            status = served.answer("GET", f"/artifacts/{path}").status
        except ValueError:
            pytest.fail(f"{path!r} is not answered")
        assert status == 404, path


def test_unknown_paths_are_not_found(tmp_path):
    assert app(tmp_path).answer("GET", "/nope").status == 404
    assert app(Path(tmp_path)).answer("GET", "/").status == 200
