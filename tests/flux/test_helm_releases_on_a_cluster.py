"""HelmRelease on the embedded cluster: install, upgrade, failure, drift, uninstall."""

import asyncio
import json
import sys

from tests.support.flux_plane import HR, flux_plane, ready

from trimtab.flux.helm_storage import decode
from trimtab.objects import GroupKind

CM = GroupKind("", "ConfigMap")
SECRET = GroupKind("", "Secret")
SOURCE = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: charts, namespace: default}
spec: {interval: 1m, url: URL, ref: {branch: main}}
"""
CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nappVersion: '7'\n",
    "charts/web/values.yaml": "color: red\nsize: small\n",
    "charts/web/templates/cm.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
        "data:\n  color: {{ .Values.color | quote }}\n  size: {{ .Values.size | quote }}\n"
        "  revision: {{ .Release.Revision | quote }}\n"
    ),
}


def release(extra="", values="{color: blue}", version="v2", name="web"):
    return f"""
apiVersion: helm.toolkit.fluxcd.io/{version}
kind: HelmRelease
metadata: {{name: {name}, namespace: default}}
spec:
  interval: 1s
  chart:
    spec:
      chart: ./charts/web
      sourceRef: {{kind: GitRepository, name: charts}}
  values: {values}
{extra}"""


def message(obj):
    return next(c for c in obj["status"]["conditions"] if c["type"] == "Ready")["message"]


def on_plane(tmp_path, body, files=CHART):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository("charts", files)
            await plane.apply(SOURCE.replace("URL", repo.url))
            await body(plane, repo)

    asyncio.run(run())


async def records(plane):
    found = await plane.client.list(SECRET, "default", label_selector="owner=helm")
    return sorted((decode(secret) for secret in found.items), key=lambda each: each.version)


def test_a_chart_is_installed_upgraded_and_uninstalled_with_records_helm_can_read(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release())
        done = await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        assert message(done) == (
            "Helm install succeeded for release default/web.v1 with chart web@1.0.0"
        )
        live = await plane.client.get(CM, "default", "web")
        assert live["data"] == {"color": "blue", "size": "small", "revision": "1"}
        assert live["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
        assert live["metadata"]["annotations"]["meta.helm.sh/release-name"] == "web"
        await plane.apply(release(values="{color: green}"))
        await plane.until(HR, "default", "web", ready(reason="UpgradeSucceeded"))
        live = await plane.client.get(CM, "default", "web")
        assert live["data"]["color"] == "green"
        kept = await records(plane)
        assert [(r.version, r.status) for r in kept] == [(1, "superseded"), (2, "deployed")]
        assert kept[1].config == {"color": "green"}
        await plane.client.delete(HR, "default", "web")
        await plane.until_gone(HR, "default", "web")
        await plane.until_gone(CM, "default", "web")
        assert await records(plane) == []

    on_plane(tmp_path, body)


READ_WITH_HELM = """
import json, sys, helm_python
helm = helm_python.Config(kubeconfig_path=sys.argv[1], namespace="default")
print(json.dumps([helm.list(), helm.history("web"), helm.status("web"), helm.get_values("web")]))
"""


def test_the_real_helm_engine_lists_and_reads_the_release(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", ready())
        await plane.apply(release(values="{color: green}"))
        await plane.until(HR, "default", "web", ready(reason="UpgradeSucceeded"))
        # In a process of its own: Helm's runtime must not share one with the tests.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", READ_WITH_HELM, str(plane.kubeconfig), stdout=-1, stderr=-1
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        listed, history, status, values = json.loads(out)
        assert [(r["name"], r["revision"], r["status"]) for r in listed] == [("web", 2, "deployed")]
        assert [(r["revision"], r["status"]) for r in history] == [
            (1, "superseded"),
            (2, "deployed"),
        ]
        assert "color: green" in status["manifest"]
        assert values == {"color": "green"}

    hooks = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook-{event}\n"
        f"  annotations: {{helm.sh/hook: {event}}}\n"
        for event in ("pre-upgrade", "pre-delete")
    )
    on_plane(tmp_path, body, {**CHART, "charts/web/templates/hooks.yaml": hooks})


def test_nothing_is_upgraded_while_chart_and_values_stay(tmp_path):
    async def body(plane, repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", ready())
        repo.push({"README.md": "a commit that changes no chart\n"})
        await asyncio.sleep(2.5)
        assert len(await records(plane)) == 1

    on_plane(tmp_path, body)


def test_a_template_error_names_file_and_line_and_keeps_what_runs(tmp_path):
    async def body(plane, repo):
        await plane.apply(release())
        await plane.until(HR, "default", "web", ready())
        repo.push(
            {
                "charts/web/Chart.yaml": CHART["charts/web/Chart.yaml"].replace("1.0.0", "1.0.1"),
                "charts/web/templates/bad.yaml": "a: b\nc: {{ .Values.nope.deeper }}\n",
            }
        )
        failed = await plane.until(HR, "default", "web", ready("False", "UpgradeFailed"))
        assert "templates/bad.yaml:2" in message(failed)
        live = await plane.client.get(CM, "default", "web")
        assert live["data"]["color"] == "blue"
        stalled = await plane.until(HR, "default", "web", ready("False", "RetriesExceeded"))
        assert message(stalled) == "Failed to upgrade after 1 attempt(s)"
        repo.push(
            {
                "charts/web/templates/bad.yaml": None,
                "charts/web/Chart.yaml": CHART["charts/web/Chart.yaml"].replace("1.0.0", "1.0.2"),
            }
        )
        await plane.until(HR, "default", "web", ready(reason="UpgradeSucceeded"))

    on_plane(tmp_path, body)


def test_values_from_objects_and_an_old_version_of_the_api(tmp_path):
    async def body(plane, _repo):
        await plane.apply(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vals, namespace: default}\n"
            "data:\n  values.yaml: |\n    size: huge\n    color: yellow\n"
        )
        extra = "  valuesFrom: [{kind: ConfigMap, name: vals}]\n"
        await plane.apply(release(extra, version="v2beta1"))
        await plane.until(HR, "default", "web", ready())
        live = await plane.client.get(CM, "default", "web")
        assert (live["data"]["size"], live["data"]["color"]) == ("huge", "blue")

    on_plane(tmp_path, body)


def test_drift_is_corrected_only_where_asked(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release("  driftDetection: {mode: enabled}\n"))
        await plane.apply(release(name="calm"))
        await plane.until(HR, "default", "web", ready())
        await plane.until(HR, "default", "calm", ready())
        change = {"data": {"color": "edited"}}
        for name in ("web", "calm"):
            await plane.client.patch(CM, "default", name, change, kind="merge", manager="me")
        await plane.until(CM, "default", "web", lambda o: o["data"]["color"] == "blue")
        calm = await plane.client.get(CM, "default", "calm")
        assert calm["data"]["color"] == "edited"
        assert len([r for r in await records(plane) if r.name == "web"]) == 1

    on_plane(tmp_path, body)


def test_what_is_not_supported_is_refused_by_name(tmp_path):
    async def body(plane, _repo):
        await plane.apply(release("  postRenderers: [{kustomize: {}}]\n"))
        await plane.until(
            HR, "default", "web", ready("False", "FeatureNotSupported", "postRenderers")
        )

    on_plane(tmp_path, body)


CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: toys.example.com}
spec:
  group: example.com
  names: {kind: Toy, plural: toys, singular: toy, listKind: ToyList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def test_definitions_of_a_chart_survive_its_upgrades_and_its_uninstall(tmp_path):
    toy = "apiVersion: example.com/v1\nkind: Toy\nmetadata: {name: bear}\n"
    kept = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n"
        "  annotations: {helm.sh/resource-policy: keep}\n"
    )
    files = {
        **CHART,
        "charts/web/crds/toys.yaml": CRD,
        "charts/web/templates/toy.yaml": toy,
        "charts/web/templates/kept.yaml": kept,
    }

    async def body(plane, _repo):
        crd = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
        await plane.apply(release())
        await plane.until(HR, "default", "web", ready(reason="InstallSucceeded"))
        await plane.apply(release(values="{color: green}"))
        await plane.until(HR, "default", "web", ready(reason="UpgradeSucceeded"))
        await plane.client.get(crd, "", "toys.example.com")
        await plane.client.delete(HR, "default", "web")
        await plane.until_gone(HR, "default", "web")
        await plane.until_gone(CM, "default", "web")
        await plane.client.get(crd, "", "toys.example.com")
        await plane.client.get(CM, "default", "kept")

    on_plane(tmp_path, body, files)


def test_no_more_records_are_kept_than_asked_for_and_an_uninstall_leaves_none(tmp_path):
    async def body(plane, _repo):
        for number in range(4):
            extra = "  maxHistory: 2\n"
            await plane.apply(release(extra, values=f"{{color: c{number}}}"))
            await plane.until(
                HR,
                "default",
                "web",
                lambda o, n=number: ready()(o) and o["status"]["history"][0]["version"] == n + 1,
            )
        assert [r.version for r in await records(plane)] == [3, 4]
        await plane.client.delete(HR, "default", "web")
        await plane.until_gone(HR, "default", "web")
        assert await records(plane) == []

    on_plane(tmp_path, body)
