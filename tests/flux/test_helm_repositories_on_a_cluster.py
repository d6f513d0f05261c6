"""HelmRepository and HelmReleases from it, with a real chart repository over HTTP."""

import asyncio
import hashlib

from tests.support.chart_server import ChartServer
from tests.support.flux_plane import HR, flux_plane, ready

from trimtab.objects import GroupKind

REPO = GroupKind("source.toolkit.fluxcd.io", "HelmRepository")
CM = GroupKind("", "ConfigMap")
DEPLOYMENT = GroupKind("apps", "Deployment")
CHART = {
    "values.yaml": "replicaCount: 1\nimage: {repository: none, tag: '0'}\nlevel: low\ntoken: ''\n",
    "values-prod.yaml": "level: high\n",
    "templates/deployment.yaml": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}}\nspec:\n"
        "  replicas: {{ .Values.replicaCount }}\n"
        "  selector: {matchLabels: {app: {{ .Release.Name }}}}\n"
        "  template:\n    metadata: {labels: {app: {{ .Release.Name }}}}\n    spec:\n"
        "      containers:\n      - name: app\n"
        '        image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"\n'
    ),
    "templates/cm.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-config}\n"
        "data:\n  level: {{ .Values.level | quote }}\n  token: {{ .Values.token | quote }}\n"
        "  chart: {{ .Chart.Version | quote }}\n"
    ),
}
# The example that the project is to run as it stands: only the repository's address is ours.
MISSION = """
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: Namespace
metadata: {name: flux-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: my-app-values, namespace: production}
data:
  values.yaml: |
    level: from-config-map
---
apiVersion: v1
kind: Secret
metadata: {name: my-app-secrets, namespace: production}
stringData:
  secrets.yaml: |
    token: from-secret
---
apiVersion: source.toolkit.fluxcd.io/v1beta2
kind: HelmRepository
metadata: {name: my-charts, namespace: flux-system}
spec: {interval: 1s, url: URL}
---
apiVersion: helm.toolkit.fluxcd.io/v2beta1
kind: HelmRelease
metadata:
  name: my-app
  namespace: production
spec:
  interval: 5m
  chart:
    spec:
      chart: my-app
      version: '1.x.x'
      sourceRef:
        kind: HelmRepository
        name: my-charts
        namespace: flux-system
      interval: 1m
  values:
    replicaCount: 3
    image:
      repository: my-registry.com/my-app
      tag: 1.2.3
  valuesFrom:
    - kind: ConfigMap
      name: my-app-values
      valuesKey: values.yaml
    - kind: Secret
      name: my-app-secrets
      valuesKey: secrets.yaml
  upgrade:
    remediation:
      retries: 3
  rollback:
    cleanupOnFail: true
"""
SMALL = {
    "values.yaml": "level: low\n",
    "values-prod.yaml": "level: high\n",
    "templates/cm.yaml": CHART["templates/cm.yaml"],
}


def repository(url, extra=""):
    return f"""
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: charts, namespace: default}}
spec:
  interval: 1s
  url: {url}
{extra}"""


def release(version="1.x", extra=""):
    return f"""
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: default}}
spec:
  interval: 10m
  chart:
    spec:
      chart: app
      version: "{version}"
      sourceRef: {{kind: HelmRepository, name: charts}}
{extra}"""


def condition(obj, type_):
    found = obj["status"]["conditions"]
    return next((c for c in found if c["type"] == type_), {"status": "", "message": ""})


def on_plane(tmp_path, body, **access):
    async def run():
        with ChartServer(**access) as charts:
            async with flux_plane(tmp_path) as plane:
                await body(plane, charts)

    asyncio.run(run())


def test_the_example_installs_the_newest_version_in_its_range_and_follows_new_ones(tmp_path):
    async def body(plane, charts):
        for version in ("1.0.0", "1.4.2", "1.5.0-rc.1", "2.0.0"):
            charts.publish("my-app", version, CHART)
        await plane.apply(MISSION.replace("URL", charts.url))
        done = await plane.until(HR, "production", "my-app", ready(reason="InstallSucceeded"))
        assert done["status"]["history"][0]["chartVersion"] == "1.4.2"
        assert "spec.rollback" in condition(done, "FieldsNotHonoured")["message"]
        live = await plane.client.get(DEPLOYMENT, "production", "my-app")
        assert live["spec"]["replicas"] == live["status"]["readyReplicas"] == 3
        image = live["spec"]["template"]["spec"]["containers"][0]["image"]
        assert image == "my-registry.com/my-app:1.2.3"
        config = await plane.client.get(CM, "production", "my-app-config")
        assert config["data"] == {
            "level": "from-config-map",
            "token": "from-secret",
            "chart": "1.4.2",
        }
        charts.publish("my-app", "1.6.0", CHART)
        done = await plane.until(HR, "production", "my-app", ready(reason="UpgradeSucceeded"))
        assert done["status"]["history"][0]["chartVersion"] == "1.6.0"

    on_plane(tmp_path, body)


def test_the_index_is_an_artifact_named_by_its_digest(tmp_path):
    async def body(plane, charts):
        charts.publish("app", "1.0.0", SMALL)
        await plane.apply(repository(charts.url))
        done = await plane.until(REPO, "default", "charts", ready(reason="Succeeded"))
        artifact = done["status"]["artifact"]
        stored = (plane.folder / "artifacts" / artifact["path"]).read_bytes()
        digest = hashlib.sha256(stored).hexdigest()
        assert artifact["revision"] == artifact["digest"] == f"sha256:{digest}"
        assert artifact["path"] == f"helmrepository/default/charts/index-{digest}.yaml"
        assert condition(done, "ArtifactInStorage")["status"] == "True"
        charts.publish("app", "1.1.0", SMALL)
        await plane.until(
            REPO, "default", "charts", lambda o: o["status"]["artifact"]["digest"] != digest
        )
        await plane.client.delete(REPO, "default", "charts")
        await plane.until_gone(REPO, "default", "charts")
        assert not (plane.folder / "artifacts/helmrepository/default/charts").exists()

    on_plane(tmp_path, body)


def test_a_range_that_nothing_matches_stalls_until_the_index_has_it(tmp_path):
    async def body(plane, charts):
        charts.publish("app", "1.0.0", SMALL)
        await plane.apply(repository(charts.url))
        await plane.apply(release("3.x"))
        stalled = await plane.until(HR, "default", "app", ready("False", "InvalidChartReference"))
        assert condition(stalled, "Stalled")["status"] == "True"
        assert "no version of chart app" in condition(stalled, "Ready")["message"]
        charts.publish("app", "3.1.0", SMALL)
        await plane.until(HR, "default", "app", ready())
        live = await plane.client.get(CM, "default", "app-config")
        assert live["data"]["chart"] == "3.1.0"

    on_plane(tmp_path, body)


def test_credentials_are_read_from_the_secret_and_their_lack_is_said(tmp_path):
    async def body(plane, charts):
        charts.publish("app", "1.0.0", SMALL)
        await plane.apply(repository(charts.url))
        refused = await plane.until(
            REPO, "default", "charts", ready("False", "AuthenticationFailed")
        )
        assert condition(refused, "FetchFailed")["status"] == "True"
        await plane.apply(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: default}\n"
            "stringData: {username: me, password: hidden}\n"
        )
        await plane.apply(repository(charts.url, "  secretRef: {name: login}\n"))
        await plane.apply(release(""))
        done = await plane.until(REPO, "default", "charts", ready())
        assert condition(done, "FetchFailed")["status"] == ""
        await plane.until(HR, "default", "app", ready())

    on_plane(tmp_path, body, user="me", password="hidden")


def test_oci_is_refused_by_name(tmp_path):
    async def body(plane, _charts):
        await plane.apply(repository("oci://registry.example.com/charts", "  type: oci\n"))
        await plane.until(REPO, "default", "charts", ready("False", "FeatureNotSupported", "oci"))
        await plane.apply(release())
        await plane.until(HR, "default", "app", ready("False", "FeatureNotSupported", "oci"))

    on_plane(tmp_path, body)


def test_what_is_no_index_is_said_and_the_release_stays(tmp_path):
    async def body(plane, charts):
        charts.publish("app", "1.0.0", SMALL)
        await plane.apply(repository(charts.url))
        await plane.apply(release())
        await plane.until(HR, "default", "app", ready())
        charts._pages["/index.yaml"] = b"<html>maintenance</html>"
        failed = await plane.until(REPO, "default", "charts", ready("False", "IndexationFailed"))
        assert failed["status"]["artifact"]["revision"].startswith("sha256:")
        held = await plane.client.get(HR, "default", "app")
        assert condition(held, "Ready")["status"] == "True"

    on_plane(tmp_path, body)


def test_a_suspended_repository_keeps_the_version_that_it_knew(tmp_path):
    async def body(plane, charts):
        charts.publish("app", "1.0.0", SMALL)
        await plane.apply(repository(charts.url))
        await plane.until(REPO, "default", "charts", ready())
        await plane.apply(repository(charts.url, "  suspend: true\n"))
        charts.publish("app", "1.1.0", SMALL)
        await asyncio.sleep(1.5)
        await plane.apply(release())
        await plane.until(HR, "default", "app", ready())
        live = await plane.client.get(CM, "default", "app-config")
        assert live["data"]["chart"] == "1.0.0"

    on_plane(tmp_path, body)


def test_value_files_of_a_packaged_chart_are_its_defaults_and_changing_them_upgrades(tmp_path):
    async def body(plane, charts):
        charts.publish("app", "1.0.0", SMALL)
        await plane.apply(repository(charts.url))
        await plane.apply(release())
        await plane.until(HR, "default", "app", ready())
        files = "      valuesFiles: [values.yaml, values-prod.yaml, none.yaml]\n"
        await plane.apply(release(extra=f"{files}      ignoreMissingValuesFiles: true\n"))
        await plane.until(HR, "default", "app", ready(reason="UpgradeSucceeded"))
        live = await plane.client.get(CM, "default", "app-config")
        assert live["data"]["level"] == "high"

    on_plane(tmp_path, body)
