"""Health, substitution, dependencies, requests and limits of Kustomizations on a cluster."""

import asyncio

from tests.support.flux_plane import GIT, KS, flux_plane, ready

from trimtab.objects import GroupKind

CM = GroupKind("", "ConfigMap")
EVENT = GroupKind("", "Event")
SOURCE = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: repo, namespace: default}
spec: {interval: 1m, url: URL, ref: {branch: main}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {embedded.sim/fail: FAIL}}
    spec: {containers: [{name: c, image: "nginx:1"}]}
"""
CONFIG = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default}\ndata: {v: VALUE}\n"
)


def kustomization(name, path, extra=""):
    return f"""
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: default}}
spec:
  interval: 10m
  retryInterval: 1s
  sourceRef: {{kind: GitRepository, name: repo}}
  path: {path}
  prune: true
{extra}"""


def condition(obj, type_):
    return next((c for c in obj["status"]["conditions"] if c["type"] == type_), None)


def on_plane(tmp_path, files, body):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository("repo", files)
            await plane.apply(SOURCE.replace("URL", repo.url))
            await body(plane, repo)

    asyncio.run(run())


def test_ready_waits_for_health_and_says_what_it_waits_for(tmp_path):
    async def body(plane, _repo):
        await plane.apply(kustomization("slow", "./slow", "  wait: true\n"))
        waiting = await plane.until(KS, "default", "slow", ready("Unknown"))
        assert condition(waiting, "Reconciling")["status"] == "True"
        done = await plane.until(KS, "default", "slow", ready())
        assert condition(done, "Healthy")["status"] == "True"
        assert condition(done, "Reconciling") is None

    on_plane(tmp_path, {"slow/d.yaml": DEPLOYMENT.replace("FAIL", "slow-ready=1s")}, body)


def test_health_that_never_comes_fails_after_the_timeout_and_recovers(tmp_path):
    async def body(plane, repo):
        await plane.apply(kustomization("sick", "./sick", "  wait: true\n  timeout: 2s\n"))
        sick = await plane.until(KS, "default", "sick", ready("False", "HealthCheckFailed"))
        message = condition(sick, "Ready")["message"]
        assert "health check failed after 2s: timeout waiting for" in message
        assert "Deployment/default/web status: 'InProgress'" in message
        repo.push({"sick/d.yaml": DEPLOYMENT.replace("FAIL", "none")})
        await plane.until(KS, "default", "sick", ready())

    on_plane(tmp_path, {"sick/d.yaml": DEPLOYMENT.replace("FAIL", "never-ready")}, body)


def test_variables_come_from_objects_and_missing_ones_are_all_named(tmp_path):
    async def body(plane, repo):
        await plane.apply(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: vars, namespace: default}\n"
            "data: {color: red, size: big}\n"
        )
        extra = (
            "  postBuild:\n    substitute: {color: blue}\n"
            "    substituteFrom: [{kind: ConfigMap, name: vars}]\n"
        )
        await plane.apply(kustomization("app", "./app", extra))
        await plane.until(CM, "default", "one", lambda o: o["data"]["v"] == "blue-big-x")
        repo.push({"app/c.yaml": CONFIG.replace("VALUE", '"${nope} ${color} ${gone}"')})
        broken = await plane.until(KS, "default", "app", ready("False", "BuildFailed", "gone"))
        assert '"gone", "nope"' in condition(broken, "Ready")["message"]
        kept = await plane.client.get(CM, "default", "one")
        assert kept["data"]["v"] == "blue-big-x"

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", '"${color}-${size}-${no:=x}"')}, body)


def test_dependencies_go_first_and_wake_those_that_wait(tmp_path):
    async def body(plane, repo):
        await plane.apply(kustomization("second", "./app", "  dependsOn: [{name: first}]\n"))
        await plane.until(KS, "default", "second", ready("False", "DependencyNotReady"))
        await plane.apply(kustomization("first", "./base"))
        # Well before the 30 s poll: the dependency's readiness wakes it.
        await plane.until(KS, "default", "second", ready(), limit_s=10)

    files = {
        "app/c.yaml": CONFIG.replace("VALUE", "x"),
        "base/c.yaml": CONFIG.replace("one", "base").replace("VALUE", "y"),
    }
    on_plane(tmp_path, files, body)


def test_a_cycle_of_dependencies_is_shown_and_stalls(tmp_path):
    async def body(plane, _repo):
        await plane.apply(kustomization("a", "./app", "  dependsOn: [{name: b}]\n"))
        await plane.apply(kustomization("b", "./app", "  dependsOn: [{name: a}]\n"))
        await plane.apply(kustomization("a", "./app", "  dependsOn: [{name: b}]\n  force: false\n"))
        stuck = await plane.until(KS, "default", "b", ready("False", "DependencyCycle"))
        assert "default/b -> default/a -> default/b" in condition(stuck, "Ready")["message"]
        assert condition(stuck, "Stalled")["status"] == "True"

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_a_request_is_handled_once_and_its_token_comes_back(tmp_path):
    async def body(plane, _repo):
        await plane.apply(kustomization("app", "./app"))
        await plane.until(KS, "default", "app", ready())
        token = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "t1"}}}
        await plane.client.patch(KS, "default", "app", token, kind="merge", manager="flux")
        await plane.until(
            KS, "default", "app", lambda o: o["status"].get("lastHandledReconcileAt") == "t1"
        )

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_a_suspended_kustomization_neither_heals_nor_prunes(tmp_path):
    async def body(plane, _repo):
        await plane.apply(kustomization("app", "./app"))
        await plane.until(KS, "default", "app", ready())
        off = {"spec": {"suspend": True}}
        await plane.client.patch(KS, "default", "app", off, kind="merge", manager="flux")
        await plane.client.delete(CM, "default", "one")
        await asyncio.sleep(1.0)
        await plane.until_gone(CM, "default", "one", limit_s=1)
        on = {"spec": {"suspend": False}}
        await plane.client.patch(KS, "default", "app", on, kind="merge", manager="flux")
        await plane.until(CM, "default", "one", lambda o: True)
        await plane.client.patch(KS, "default", "app", off, kind="merge", manager="flux")
        await plane.client.delete(KS, "default", "app")
        await plane.until_gone(KS, "default", "app")
        await plane.client.get(CM, "default", "one")

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_what_is_not_honoured_is_named_and_what_would_be_wrong_is_refused(tmp_path):
    async def body(plane, _repo):
        await plane.apply(kustomization("old", "./app", "  validation: client\n"))
        old = await plane.until(KS, "default", "old", ready())
        assert "spec.validation" in condition(old, "FieldsNotHonoured")["message"]
        sops = "  decryption: {provider: sops}\n"
        await plane.apply(kustomization("secret", "./app", sops))
        refused = await plane.until(KS, "default", "secret", ready("False", "FeatureNotSupported"))
        assert "spec.decryption" in condition(refused, "Stalled")["message"]

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_an_encrypted_secret_never_reaches_the_cluster(tmp_path):
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\n"
        "data: {k: RU5D}\nsops: {mac: 'ENC[x]'}\n"
    )

    async def body(plane, _repo):
        await plane.apply(kustomization("app", "./app"))
        await plane.until(KS, "default", "app", ready("False", "BuildFailed", "SOPS encrypted"))
        await plane.until_gone(GroupKind("", "Secret"), "default", "s", limit_s=1)

    on_plane(tmp_path, {"app/s.yaml": secret}, body)


def test_an_old_version_of_the_api_is_reconciled(tmp_path):
    async def body(plane, _repo):
        old = kustomization("app", "./app").replace("fluxcd.io/v1\n", "fluxcd.io/v1beta2\n")
        await plane.apply(old)
        await plane.until(KS, "default", "app", ready())
        await plane.until(CM, "default", "one", lambda o: o["data"]["v"] == "x")

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_a_field_of_former_versions_that_changes_the_result_is_refused(tmp_path):
    patch = "{apiVersion: v1, kind: ConfigMap, metadata: {name: one}, data: {v: patched}}"

    async def body(plane, _repo):
        text = kustomization("app", "./app", f"  patchesStrategicMerge: [{patch}]\n")
        await plane.apply(text.replace("fluxcd.io/v1\n", "fluxcd.io/v1beta2\n"))
        await plane.until(
            KS, "default", "app", ready("False", "FeatureNotSupported", "patchesStrategicMerge")
        )
        await plane.until_gone(CM, "default", "one", limit_s=1)

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_health_checks_see_objects_of_others_and_those_without_a_namespace(tmp_path):
    other = "apiVersion: v1\nkind: Namespace\nmetadata: {name: elsewhere}\n"
    extra = (
        "  healthChecks:\n  - {apiVersion: v1, kind: Namespace, name: elsewhere}\n"
        "  - {apiVersion: v1, kind: Service, name: absent}\n"
    )

    async def body(plane, _repo):
        await plane.apply(other)
        await plane.apply(kustomization("app", "./app", extra + "  timeout: 1s\n"))
        failed = await plane.until(KS, "default", "app", ready("False", "HealthCheckFailed"))
        message = condition(failed, "Ready")["message"]
        assert "Service/default/absent status: 'NotFound'" in message
        assert "elsewhere" not in message

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)


def test_a_kind_that_does_not_exist_is_named_and_applies_nothing(tmp_path):
    strange = "apiVersion: example.com/v1\nkind: Nope\nmetadata: {name: n}\n"

    async def body(plane, _repo):
        await plane.apply(kustomization("app", "./app"))
        await plane.until(
            KS, "default", "app", ready("False", message='no matches for kind "Nope"')
        )
        await plane.until_gone(CM, "default", "one", limit_s=1)

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x"), "app/n.yaml": strange}, body)


def test_an_unknown_field_of_a_kustomization_file_fails_with_its_line_and_others_go_on(tmp_path):
    async def body(plane, _repo):
        await plane.apply(kustomization("bad", "./bad") + kustomization("good", "./good"))
        bad = await plane.until(KS, "default", "bad", ready("False", "BuildFailed", "resorces"))
        assert "bad/kustomization.yaml:1:1" in condition(bad, "Ready")["message"]
        await plane.until(KS, "default", "good", ready())

    files = {
        "bad/kustomization.yaml": "resorces: [c.yaml]\n",
        "bad/c.yaml": CONFIG.replace("one", "bad").replace("VALUE", "x"),
        "good/c.yaml": CONFIG.replace("VALUE", "x"),
    }
    on_plane(tmp_path, files, body)


def test_events_tell_of_new_artifacts_and_failures(tmp_path):
    async def body(plane, repo):
        await plane.apply(kustomization("app", "./nope"))
        await plane.until(KS, "default", "app", ready("False", "ArtifactFailed"))
        wanted = {
            ("GitRepository", "Normal", "NewArtifact"),
            ("Kustomization", "Warning", "ArtifactFailed"),
        }
        for _ in range(100):
            events = (await plane.client.list(EVENT, "default")).items
            told = {(e["involvedObject"]["kind"], e["type"], e["reason"]) for e in events}
            if wanted <= told:
                break
            await asyncio.sleep(0.05)
        assert wanted <= told
        source = await plane.client.get(GIT, "default", "repo")
        assert (plane.folder / "artifacts" / source["status"]["artifact"]["path"]).is_file()

    on_plane(tmp_path, {"app/c.yaml": CONFIG.replace("VALUE", "x")}, body)
