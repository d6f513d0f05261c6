"""State lives in Git and in Kubernetes: a killed process comes back to the same end, and no secret
value is where people or programs look (ARCHITECTURE 3.3, 3.6; SEC-12, REL-19)."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support.flux_plane import Repository

from trimtab.cli.demo.gitserver import GitServer

BIN = Path(sys.executable).parent
CANARY = "canary-7f3a9c-value"
MANIFESTS = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: app, namespace: argocd}
spec:
  project: default
  source: {repoURL: ADDRESS, targetRevision: main, path: app}
  destination: {server: "https://kubernetes.default.svc", namespace: default}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: repo, namespace: team}
spec: {interval: 1m, url: ADDRESS, ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: ks, namespace: team}
spec:
  {interval: 1m, path: ./app, prune: true, targetNamespace: team,
   sourceRef: {kind: GitRepository, name: repo}}
"""
KUSTOMIZATION = f"""
resources: [cm.yaml]
secretGenerator:
  - name: creds
    literals: [password={CANARY}]
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {v: x}\n"


def trimtab(*args):
    return subprocess.run(
        [str(BIN / "trimtab"), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


def kubectl(data, *args):
    command = [str(BIN / "kubectl"), "--kubeconfig", str(data / "cluster/kubeconfig"), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def up(data, log):
    command = [str(BIN / "trimtab"), "up", "--verbose", "--poll", "300ms", "--data", str(data)]
    with (
        log.open("ab") as err,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True) as process,
    ):
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        overview = next(line.split()[-1] for line in lines if line.startswith("overview"))
        try:
            yield process, overview
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=35)


def settled(data, names, limit_s=30):
    deadline = time.monotonic() + limit_s
    rows = {}
    while time.monotonic() < deadline:
        done = trimtab("get", "-A", "-o", "json", "--data", data)
        if done.returncode == 0:
            rows = {row["name"]: row for row in json.loads(done.stdout)["items"]}
            if all(rows.get(name, {}).get("settled") for name in names):
                return rows
        time.sleep(0.1)
    raise AssertionError(rows)


def test_a_killed_process_comes_back_and_changes_nothing(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with GitServer(tmp_path / "git") as git:
        repo = Repository(git, tmp_path / "clones", "repo")
        repo.push({"app/kustomization.yaml": KUSTOMIZATION, "app/cm.yaml": CONFIG})
        manifest = tmp_path / "all.yaml"
        manifest.write_text(MANIFESTS.replace("ADDRESS", repo.url))
        with up(data, log) as (process, _):
            kubectl(data, "apply", "-f", str(manifest))
            settled(data, ("app", "repo", "ks"))
            before = kubectl(data, "get", "cm,secret", "-A", "-o", "json")
            process.kill()
            process.wait(timeout=10)
        shutil.rmtree(data / "cache")
        with up(data, log):
            settled(data, ("app", "repo", "ks"))
            # Long enough for every controller to have looked at everything again.
            time.sleep(2)
            after = kubectl(data, "get", "cm,secret", "-A", "-o", "json")
            versions = [
                {
                    (o["metadata"]["namespace"], o["kind"], o["metadata"]["name"]): o["metadata"][
                        "resourceVersion"
                    ]
                    for o in json.loads(text)["items"]
                }
                for text in (before, after)
            ]
            assert versions[0] == versions[1]
            repo.push({"app/cm.yaml": CONFIG.replace("v: x", "v: y")})
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if kubectl(data, "get", "cm", "one", "-o", "jsonpath={.data.v}") == "y":
                    break
                time.sleep(0.1)
            assert kubectl(data, "get", "cm", "one", "-o", "jsonpath={.data.v}") == "y"


def test_secret_values_are_in_no_log_status_event_overview_or_cache(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    with GitServer(tmp_path / "git") as git:
        repo = Repository(git, tmp_path / "clones", "repo")
        repo.push({"app/kustomization.yaml": KUSTOMIZATION, "app/cm.yaml": CONFIG})
        manifest = tmp_path / "all.yaml"
        manifest.write_text(MANIFESTS.replace("ADDRESS", repo.url))
        with up(data, log) as (_, overview):
            kubectl(data, "apply", "-f", str(manifest))
            settled(data, ("app", "repo", "ks"))
            # Drift and a broken commit: the paths on which values could be printed.
            name = kubectl(data, "get", "secret", "-n", "default", "-o", "name").split()[0]
            patch = '{"data":{"password":"' + base64.b64encode(b"drifted").decode() + '"}}'
            kubectl(data, "patch", name, "-p", patch)
            time.sleep(1)
            broken = KUSTOMIZATION + "  - name: creds\n    literals: [password=again]\n"
            repo.push({"app/kustomization.yaml": broken})
            time.sleep(2)
            with urllib.request.urlopen(overview, timeout=5) as answer:
                seen = answer.read().decode()
            seen += kubectl(
                data, "get", "applications,kustomizations,gitrepositories", "-A", "-o", "json"
            )
            seen += kubectl(data, "get", "events", "-A", "-o", "json")
            seen += trimtab("get", "-A", "-o", "wide", "--data", data).stdout
        seen += log.read_text()
        renders = b"".join(
            file.read_bytes() for file in (data / "cache/renders").rglob("*") if file.is_file()
        )
        for value in (CANARY, base64.b64encode(CANARY.encode()).decode()):
            assert value not in seen
            assert value.encode() not in renders
