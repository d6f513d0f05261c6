"""GitRepository and Kustomization on the embedded cluster, from a real Git server."""

import asyncio

from tests.support.flux_plane import GIT, KS, flux_plane, ready

from trimtab.objects import GroupKind

CM = GroupKind("", "ConfigMap")
DEPLOYMENT = GroupKind("apps", "Deployment")
SOURCE = """
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: repo, namespace: default}
spec: {interval: 1m, url: URL, ref: {branch: main}}
"""
KUSTOMIZATION = """
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: default}
spec:
  interval: 10m
  retryInterval: 2s
  sourceRef: {kind: GitRepository, name: repo}
  path: ./app
  prune: true
  targetNamespace: default
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {color: VALUE}\n"


def config(name="one", value="red"):
    return CONFIG.replace("NAME", name).replace("VALUE", value)


def test_a_commit_is_applied_updated_healed_and_pruned(tmp_path):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository(
                "repo", {"app/one.yaml": config(), "app/two.yaml": config("two")}
            )
            await plane.apply(SOURCE.replace("URL", repo.url) + "---" + KUSTOMIZATION)
            first = await plane.until(KS, "default", "app", ready())
            assert first["status"]["lastAppliedRevision"].startswith("main@sha1:")
            assert [e["id"] for e in first["status"]["inventory"]["entries"]] == [
                "default_one__ConfigMap",
                "default_two__ConfigMap",
            ]
            commit = repo.push({"app/one.yaml": config(value="blue"), "app/two.yaml": None})
            await plane.until(CM, "default", "one", lambda o: o["data"]["color"] == "blue")
            await plane.until_gone(CM, "default", "two")
            await plane.until(
                KS,
                "default",
                "app",
                lambda o: o["status"].get("lastAppliedRevision") == f"main@sha1:{commit}",
            )
            await plane.client.delete(CM, "default", "one")
            await plane.until(CM, "default", "one", lambda o: o["data"]["color"] == "blue")
            source = await plane.client.get(GIT, "default", "repo")
            assert source["status"]["artifact"]["revision"] == f"main@sha1:{commit}"
            assert source["status"]["artifact"]["digest"].startswith("sha256:")

    asyncio.run(run())


def test_a_broken_kustomization_prunes_nothing_and_says_where(tmp_path):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository("repo", {"app/one.yaml": config()})
            await plane.apply(SOURCE.replace("URL", repo.url) + "---" + KUSTOMIZATION)
            await plane.until(KS, "default", "app", ready())
            repo.push({"app/kustomization.yaml": "resources:\n  - one.yaml\n  - gone.yaml\n"})
            broken = await plane.until(
                KS, "default", "app", ready("False", "BuildFailed", "gone.yaml")
            )
            message = next(c for c in broken["status"]["conditions"] if c["type"] == "Ready")[
                "message"
            ]
            assert "app/kustomization.yaml:3" in message
            await plane.client.get(CM, "default", "one")
            repo.push({"app/kustomization.yaml": "resources:\n  - one.yaml\n"})
            await plane.until(KS, "default", "app", ready())

    asyncio.run(run())


def test_a_wrong_path_and_an_unreachable_repository_are_said_and_others_go_on(tmp_path):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository("repo", {"app/one.yaml": config()})
            wrong = KUSTOMIZATION.replace("name: app,", "name: wrong,").replace("./app", "./nope")
            lost = SOURCE.replace("URL", "http://127.0.0.1:9/x.git").replace(
                "name: repo,", "name: lost,"
            )
            await plane.apply(
                "---".join([SOURCE.replace("URL", repo.url), KUSTOMIZATION, wrong, lost])
            )
            await plane.until(KS, "default", "wrong", ready("False", "ArtifactFailed", "nope"))
            await plane.until(GIT, "default", "lost", ready("False", "GitOperationFailed"))
            await plane.until(KS, "default", "app", ready())

    asyncio.run(run())


def test_deleting_a_kustomization_deletes_what_it_made(tmp_path):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository("repo", {"app/one.yaml": config()})
            await plane.apply(SOURCE.replace("URL", repo.url) + "---" + KUSTOMIZATION)
            await plane.until(KS, "default", "app", ready())
            await plane.client.delete(KS, "default", "app")
            await plane.until_gone(KS, "default", "app")
            await plane.until_gone(CM, "default", "one")

    asyncio.run(run())


def test_what_a_repository_leaves_out_is_refused_or_named(tmp_path):
    async def run():
        async with flux_plane(tmp_path) as plane:
            repo = plane.repository("repo", {"app/one.yaml": config(), ".sourceignore": "*.jpg\n"})
            source = SOURCE.replace("URL", repo.url)
            await plane.apply(source)
            named = await plane.until(GIT, "default", "repo", ready())
            conditions = {c["type"]: c["message"] for c in named["status"]["conditions"]}
            assert ".sourceignore" in conditions["FieldsNotHonoured"]
            await plane.apply(
                source.replace("name: repo,", "name: other,").replace(
                    "interval: 1m,", "interval: 1m, ignore: '/docs',"
                )
            )
            await plane.until(
                GIT, "default", "other", ready("False", "FeatureNotSupported", "ignore")
            )

    asyncio.run(run())
