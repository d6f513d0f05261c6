"""The demo holds what it claims; `get` and `sync` act on a running system."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from tests.support.flux_plane import Repository

from trimtab.cli.demo.gitserver import GitServer
from trimtab.cli.demo.story import Story

BIN = Path(sys.executable).parent
APPLICATION = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: NAME, namespace: argocd}
spec:
  project: default
  source: {repoURL: ADDRESS, targetRevision: main, path: app}
  destination: {server: "https://kubernetes.default.svc", namespace: default}
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {v: x}\n"


def run(*args, check=True):
    done = subprocess.run(
        [str(BIN / args[0]), *map(str, args[1:])],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert not check or done.returncode == 0, f"{args}\n{done.stdout}\n{done.stderr}"
    return done


def processes_naming(path):
    """Command lines of running processes that name `path` (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = entry.read_bytes()
            if str(path).encode() in line:
                found.append(line)
    return found


def test_the_demo_holds_every_claim_and_leaves_nothing(tmp_path):
    data = tmp_path / "demo"
    done = run("trimtab", "up", "--demo", "--data", data)
    claims = re.findall(r"^    ok: (.+)$", done.stdout, re.MULTILINE)
    assert len(claims) == 9
    assert f"All {len(claims)} claims hold." in done.stdout
    assert "FAILED" not in done.stdout
    assert "exactly one application was rendered again" in claims
    assert not data.exists()
    assert processes_naming(data) == []


def test_the_demo_keeps_its_data_when_asked_and_never_takes_a_directory_of_somebody(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    refused = run("trimtab", "up", "--demo", "--data", tmp_path, check=False)
    assert refused.returncode == 1
    assert "must be empty or a former demo's" in refused.stderr
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_claim_that_does_not_hold_is_named():
    printed = []
    story = Story(printed.append)
    story.claim("two and two are four", held=True)
    story.claim("the moon is made of cheese", held=False)
    assert story.broken == ["the moon is made of cheese"]
    assert printed[-1].strip() == "FAILED: the moon is made of cheese"


@pytest.fixture
def system(tmp_path):
    data = tmp_path / "data"
    command = [str(BIN / "trimtab"), "up", "--data", str(data), "--poll", "300ms"]
    with (
        GitServer(tmp_path / "git") as git,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
    ):
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        overview = next(line.split()[-1] for line in lines if line.startswith("overview"))
        yield data, git, overview
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=35) == 0


def test_get_and_sync_show_and_act(system, tmp_path):
    data, git, overview = system
    repo = Repository(git, tmp_path / "clones", "repo")
    repo.push({"app/one.yaml": CONFIG})
    kubeconfig = run("trimtab", "cluster", "kubeconfig", "--data", data).stdout.strip()
    for name, url in (("good", repo.url), ("lost", "http://127.0.0.1:9/none.git")):
        manifest = tmp_path / f"{name}.yaml"
        manifest.write_text(APPLICATION.replace("NAME", name).replace("ADDRESS", url))
        run("kubectl", "--kubeconfig", kubeconfig, "apply", "-f", manifest)
    target = ("-n", "argocd", "--data", data)
    synced = run("trimtab", "sync", "good", *target, "--timeout", "30s").stdout
    assert "application/good: Synced Healthy" in synced
    found = run("kubectl", "--kubeconfig", kubeconfig, "get", "cm", "one", "-o", "name").stdout
    assert found == "configmap/one\n"

    rows = json.loads(run("trimtab", "get", "-A", "-o", "json", "--data", data).stdout)["items"]
    states = {row["name"]: row for row in rows}
    assert states["good"]["settled"] is True
    assert states["lost"]["problem"] is True
    problems = run("trimtab", "get", "-A", "--problems", "--data", data, check=False)
    assert problems.returncode == 3
    assert "lost" in problems.stdout
    assert "good" not in problems.stdout
    assert (
        run("trimtab", "get", "app", "good", *target, "-o", "name").stdout == "application/good\n"
    )
    missing = run("trimtab", "get", "app", "nope", *target, check=False)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert 'error: Application "nope" not found' in missing.stderr

    failed = run("trimtab", "sync", "lost", *target, "--timeout", "10s", check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")

    with urllib.request.urlopen(overview, timeout=5) as answer:
        seen = json.loads(answer.read())
    assert (seen["total"], seen["problems"]) == (2, 1)


def test_two_syncs_at_once_are_refused(system, tmp_path):
    data, git, _ = system
    repo = Repository(git, tmp_path / "clones", "repo")
    slow = (
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: first\n"
        "  annotations: {argocd.argoproj.io/hook: PreSync}\nspec:\n  template:\n    spec:\n"
        "      restartPolicy: Never\n      containers: [{name: c, image: 'x:1'}]\n"
    )
    repo.push({"app/one.yaml": CONFIG, "app/hook.yaml": slow})
    kubeconfig = run("trimtab", "cluster", "kubeconfig", "--data", data).stdout.strip()
    manifest = tmp_path / "app.yaml"
    manifest.write_text(APPLICATION.replace("NAME", "slow").replace("ADDRESS", repo.url))
    run("kubectl", "--kubeconfig", kubeconfig, "apply", "-f", manifest)
    target = ("-n", "argocd", "--data", data)
    run("trimtab", "sync", "slow", *target, "--async")

    async def until_running():
        for _ in range(100):
            app = run(
                "kubectl",
                "--kubeconfig",
                kubeconfig,
                "-n",
                "argocd",
                "get",
                "app",
                "slow",
                "-o",
                "json",
            )
            state = json.loads(app.stdout).get("status", {}).get("operationState", {})
            if state.get("phase") == "Running":
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the operation did not begin")

    asyncio.run(until_running())
    second = run("trimtab", "sync", "slow", *target, check=False)
    assert second.returncode == 1
    assert "another operation is already in progress" in second.stderr
