"""`trimtab cluster` and `trimtab up` as processes, as people run them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
TRIMTAB, KUBECTL = BIN / "trimtab", BIN / "kubectl"


def trimtab(*args, check=True, **env):
    return subprocess.run(
        [str(TRIMTAB), *map(str, args)],
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
        env={**os.environ, **env},
    )


def kubectl(kubeconfig, *args):
    return subprocess.run(
        [str(KUBECTL), "--kubeconfig", str(kubeconfig), *args],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture
def data(tmp_path):
    yield tmp_path / "data"
    trimtab("cluster", "stop", "--data", tmp_path / "data")


def test_it_starts_serves_kubectl_survives_a_restart_and_stops(data):
    first = trimtab("cluster", "start", "--data", data).stdout
    assert "ready after" in first
    kubeconfig = trimtab("cluster", "kubeconfig", "--data", data).stdout.strip()
    assert oct(Path(kubeconfig).stat().st_mode & 0o777) == "0o600"
    assert oct((data / "cluster").stat().st_mode & 0o777) == "0o700"
    kubectl(kubeconfig, "create", "configmap", "kept", "--from-literal=a=b")
    assert "was running already" in trimtab("cluster", "start", "--data", data).stdout
    status = json.loads(trimtab("cluster", "status", "--data", data, "-o", "json").stdout)
    assert status["status"] == "ready"
    trimtab("cluster", "stop", "--data", data)
    stopped = trimtab("cluster", "status", "--data", data, check=False)
    assert stopped.returncode == 1
    assert "stopped" in stopped.stdout
    trimtab("cluster", "start", "--data", data)
    kubeconfig = trimtab("cluster", "kubeconfig", "--data", data).stdout.strip()
    assert kubectl(kubeconfig, "get", "cm", "kept", "-o", "jsonpath={.data.a}") == "b"


def test_a_killed_cluster_loses_no_acknowledged_write(data):
    trimtab("cluster", "start", "--data", data)
    kubeconfig = trimtab("cluster", "kubeconfig", "--data", data).stdout.strip()
    for number in range(5):
        kubectl(kubeconfig, "create", "configmap", f"c{number}")
    status = json.loads(trimtab("cluster", "status", "--data", data, "-o", "json").stdout)
    os.kill(status["pid"], signal.SIGKILL)
    time.sleep(0.2)
    trimtab("cluster", "start", "--data", data)
    kubeconfig = trimtab("cluster", "kubeconfig", "--data", data).stdout.strip()
    names = kubectl(kubeconfig, "get", "cm", "-o", "name").split()
    assert {f"configmap/c{number}" for number in range(5)} <= set(names)


def test_reset_forgets_everything(data):
    trimtab("cluster", "start", "--data", data)
    trimtab("cluster", "reset", "--data", data)
    assert not (data / "cluster").exists()
    asked = trimtab("cluster", "kubeconfig", "--data", data, check=False)
    assert asked.returncode == 1
    assert "try: trimtab cluster start" in asked.stderr


def test_a_port_in_use_is_said_with_the_way_out(data, tmp_path):
    trimtab("cluster", "start", "--data", data)
    url = json.loads(trimtab("cluster", "status", "--data", data, "-o", "json").stdout)["url"]
    port = url.rpartition(":")[2]
    other = trimtab("cluster", "start", "--data", tmp_path / "other", "--port", port, check=False)
    assert other.returncode == 1
    assert f"port {port} cannot be used" in other.stderr


def test_the_kubeconfig_of_the_user_is_never_touched(data, tmp_path):
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").write_text("mine")
    trimtab("cluster", "start", "--data", data, HOME=str(home))
    assert (home / ".kube" / "config").read_text() == "mine"


def test_up_works_on_a_cluster_that_is_already_there(data, tmp_path):
    trimtab("cluster", "start", "--data", data)
    kubeconfig = trimtab("cluster", "kubeconfig", "--data", data).stdout.strip()
    command = [str(TRIMTAB), "up", "--kubeconfig", kubeconfig, "--data", str(tmp_path / "own")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
        kinds = kubectl(kubeconfig, "api-resources", "-o", "name").split()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=35) == 0
    assert "applications.argoproj.io" in kinds
    assert "kustomizations.kustomize.toolkit.fluxcd.io" in kinds
    assert not (tmp_path / "own" / "cluster").exists()
    assert trimtab("cluster", "status", "--data", data).returncode == 0


def test_up_stays_until_a_signal_and_leaves_no_process(tmp_path):
    data = tmp_path / "up"
    with subprocess.Popen(
        [str(TRIMTAB), "up", "--data", str(data)], stdout=subprocess.PIPE, text=True
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        overview = next(line.split()[-1] for line in lines if line.startswith("overview"))
        assert overview.endswith("/api/overview")
        status = json.loads(trimtab("cluster", "status", "--data", data, "-o", "json").stdout)
        assert status["status"] == "ready"
        rows = trimtab("get", "-A", "--data", data).stdout
        assert rows == "No resources found.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=35) == 0
    assert trimtab("cluster", "status", "--data", data, check=False).returncode == 1
