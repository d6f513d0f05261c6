"""Release records are what `helm` reads (spec/flux.md 4.6)."""

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from trimtab.flux.errors import NotYet
from trimtab.flux.helm_storage import Record, chart_of, decode, encode, latest, supersede
from trimtab.sources import LocalTree

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CHARTS = Path(__file__).parents[2] / "examples" / "helm-charts"


def record(**changes):
    base = Record(
        name="web",
        namespace="prod",
        version=1,
        status="deployed",
        description="Install complete",
        manifest="---\nkind: ConfigMap\n",
        config={"replicas": 2},
        chart={"metadata": {"name": "web", "version": "1.0.0"}},
        first_deployed="2026-01-02T03:04:05Z",
        last_deployed="2026-01-02T03:04:05Z",
    )
    return msgspec.structs.replace(base, **changes)


def test_a_record_is_written_as_helm_names_and_labels_it():
    secret = encode(record(), "storage", NOW)
    assert secret["metadata"]["name"] == "sh.helm.release.v1.web.v1"
    assert secret["metadata"]["namespace"] == "storage"
    assert secret["type"] == "helm.sh/release.v1"
    assert secret["metadata"]["labels"] == {
        "name": "web",
        "owner": "helm",
        "status": "deployed",
        "version": "1",
        "modifiedAt": str(int(NOW.timestamp())),
    }
    body = json.loads(
        gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"])))
    )
    assert body["info"]["status"] == "deployed"
    assert body["config"] == {"replicas": 2}


def test_a_record_reads_back():
    assert decode(encode(record(), "storage", NOW)) == record()


def test_a_record_that_is_not_zipped_is_read():
    secret = encode(record(), "storage", NOW)
    raw = gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"])))
    secret["data"]["release"] = base64.b64encode(base64.b64encode(raw)).decode()
    assert decode(secret).name == "web"


def test_a_broken_record_is_named():
    secret = encode(record(), "storage", NOW)
    secret["data"]["release"] = "bm90aGluZw=="
    with pytest.raises(NotYet, match=r"sh\.helm\.release\.v1\.web\.v1"):
        decode(secret)


def test_the_newest_record_comes_first_and_other_releases_stay_out():
    secrets = [
        encode(each, "s", NOW)
        for each in (supersede(record()), record(version=2), record(name="other", version=9))
    ]
    assert [(each.version, each.status) for each in latest(secrets, "web")] == [
        (2, "deployed"),
        (1, "superseded"),
    ]


def test_a_chart_is_kept_with_its_templates_and_values():
    chart = chart_of(LocalTree(CHARTS), "charts/my-app")
    assert chart["metadata"]["name"] == "my-app"
    assert chart["values"]["replicaCount"] == 1
    assert "templates/deployment.yaml" in {each["name"] for each in chart["templates"]}
    assert "values-production.yaml" in {each["name"] for each in chart["files"]}


def test_a_record_larger_than_a_secret_is_refused_with_a_hint():
    noise = "".join(f"{n * 2654435761 % 2**32:08x}" for n in range(400_000))
    with pytest.raises(NotYet, match="exceeds") as caught:
        encode(record(manifest=noise), "s", NOW)
    assert ".helmignore" in caught.value.hint
