"""spec/controller-runtime.md 3: kubeconfig, exec plugins, token files, in-cluster; SEC-12."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from trimtab.errors import Location
from trimtab.kube import (
    ConfigError,
    Connection,
    ExecPlugin,
    Unauthorized,
    in_cluster,
    load_kubeconfig,
    parse_kubeconfig,
)
from trimtab.kube.credentials import Credentials
from trimtab.runtime import ManualClock


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(user: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "other", "context": {"cluster": "c", "user": "nobody"}},
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443/", **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
    }


def load(tmp_path: Path, config: dict[str, Any], context: str | None = None) -> Connection:
    path = tmp_path / "config"
    path.write_bytes(orjson.dumps(config))
    return load_kubeconfig(path, context)


def test_inline_data_wins_over_files_and_relative_files_are_beside_the_kubeconfig(
    tmp_path: Path,
) -> None:
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "key").write_text("K")
    config = kubeconfig(
        {
            "client-certificate-data": b64("CERT"),
            "client-certificate": "missing",
            "client-key": "key",
            "as": "jane",
            "as-groups": ["a", "b"],
        },
        **{"certificate-authority": "ca.crt", "tls-server-name": "kubernetes"},
    )
    connection = load(tmp_path, config)
    assert connection.server == "https://api.example:6443"
    assert connection.namespace == "team"
    assert connection.ca_file == str(tmp_path / "ca.crt")
    assert connection.client_cert_pem == "CERT"
    assert connection.client_cert_file == ""
    assert connection.client_key_file == str(tmp_path / "key")
    assert connection.tls_server_name == "kubernetes"
    assert (connection.impersonate_user, connection.impersonate_groups) == ("jane", ("a", "b"))


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"current-context": ""}, "current-context", "is not set"),
        ({"current-context": "nope"}, "contexts", "known: other, here"),
        ({"current-context": "other"}, "users", "no entry named 'nobody'"),
        ({"clusters": []}, "clusters", "no entry named 'c'"),
        ({"users": [{"name": "u", "user": 3}]}, "users[0].user", "not a mapping"),
        ({"users": [{"name": "u", "user": {"token": 3}}]}, "users[0].user.token", "string"),
        (
            {"users": [{"name": "u", "user": {"client-key-data": "%%%é"}}]},
            "users[0].user.client-key-data",
            "base64",
        ),
        (
            {"users": [{"name": "u", "user": {"tokenFile": "absent"}}]},
            "users[0].user.tokenFile",
            "no such file",
        ),
        (
            {"users": [{"name": "u", "user": {"auth-provider": {"name": "gcp"}}}]},
            "users[0].user.auth-provider",
            "no longer supported",
        ),
        (
            {"users": [{"name": "u", "user": {"exec": {"apiVersion": "v0", "command": "x"}}}]},
            "users[0].user.exec.apiVersion",
            "is not one of",
        ),
        (
            {"users": [{"name": "u", "user": {"as": "j", "as-user-extra": {"a": ["b"]}}}]},
            "users[0].user.as-user-extra",
            "not supported",
        ),
        (
            {"clusters": [{"name": "c", "cluster": {"server": "api"}}]},
            "clusters[0].cluster.server",
            "http",
        ),
    ],
)
def test_errors_name_the_file_and_the_field(
    tmp_path: Path, change: dict[str, Any], field: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {**kubeconfig(), **change})
    assert caught.value.where == Location(str(tmp_path / "config"), via=(field,))
    assert problem in str(caught.value)


def test_a_missing_or_broken_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_kubeconfig(tmp_path / "none")
    (tmp_path / "bad").write_text("a: [")
    with pytest.raises(ConfigError, match="bad") as caught:
        load_kubeconfig(tmp_path / "bad")
    assert "not YAML" in str(caught.value)


def test_a_kubeconfig_out_of_a_secret_may_not_use_this_machine() -> None:
    for user in (
        {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "id"}},
        {"tokenFile": "/etc/hostname"},
    ):
        with pytest.raises(ConfigError, match="out of a Secret"):
            parse_kubeconfig(orjson.dumps(kubeconfig(user)), source="Secret a/b")
    inline = parse_kubeconfig(orjson.dumps(kubeconfig({"token": "abcdef"})), source="Secret a/b")
    assert inline.token == "abcdef"
    assert "abcdef" not in repr(inline)


def test_a_pod_finds_its_own_cluster(tmp_path: Path) -> None:
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert in_cluster({}, tmp_path) is None
    assert in_cluster(env, tmp_path) is None
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("flux-system")
    connection = in_cluster(env, tmp_path)
    assert connection is not None
    assert connection.server == "https://[fd00::1]:443"
    assert connection.namespace == "flux-system"
    assert connection.token_file == str(tmp_path / "token")


def plugin(code: str, **more: Any) -> Connection:
    return Connection(
        server="https://x",
        ca_pem="CA",
        exec=ExecPlugin(command=sys.executable, args=("-c", code), **more),
    )


def test_an_exec_plugin_is_told_the_cluster_and_refreshed_at_four_fifths_of_its_life() -> None:
    clock = ManualClock()
    expires = (clock.now() + timedelta(seconds=100)).isoformat()
    code = (
        "import json, os;"
        "info = json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        "assert info['spec']['cluster']['server'] == 'https://x', info;"
        f"print(json.dumps({{'status': {{'token': os.environ['WHO'],"
        f" 'expirationTimestamp': '{expires}'}}}}))"
    )
    connection = plugin(code, env=(("WHO", "me"),), provide_cluster_info=True)
    credentials = Credentials(connection, clock=clock)
    assert credentials.current() is None
    held = credentials.fetch()
    assert held.authorization == "Bearer me"
    assert held.refresh_at == pytest.approx(80, abs=1)
    assert "me" not in repr(held)
    assert credentials.current() is held
    clock._elapsed = 81
    assert credentials.current() is None


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import sys; print('no luck', file=sys.stderr); sys.exit(3)", "exit code 3: no luck"),
        ("print('{}')", "printed no ExecCredential"),
        ("print('secret-token')", "printed no ExecCredential"),
        ("print('{\"status\": {}}')", "printed no credential"),
    ],
)
def test_a_failing_plugin_is_unauthorized_and_its_output_stays_secret(
    code: str, problem: str
) -> None:
    credentials = Credentials(plugin(code), clock=ManualClock())
    with pytest.raises(Unauthorized) as caught:
        credentials.fetch()
    assert problem in str(caught.value)
    assert "secret-token" not in str(caught.value)


def test_a_missing_or_hanging_plugin_is_said_with_its_hint() -> None:
    missing = Connection(
        server="https://x", exec=ExecPlugin(command="no-such-plugin", install_hint="get it")
    )
    with pytest.raises(Unauthorized, match="not installed") as caught:
        Credentials(missing, clock=ManualClock()).fetch()
    assert caught.value.hint == "get it"

    def hang(command: list[str], env: dict[str, str], timeout_s: float) -> Any:
        raise subprocess.TimeoutExpired(command, timeout_s)

    with pytest.raises(Unauthorized, match="gave no answer"):
        Credentials(plugin("pass"), clock=ManualClock(), run=hang).fetch()


def test_a_token_file_is_read_every_minute(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    file = tmp_path / "token"
    file.write_text("one\n")
    credentials = Credentials(Connection(server="https://x", token_file=str(file)), clock=clock)
    assert credentials.fetch().authorization == "Bearer one"
    file.write_text("two")
    assert credentials.current() is not None
    clock._elapsed = 60
    assert credentials.current() is None
    assert credentials.fetch().authorization == "Bearer two"
    file.write_text("")
    with pytest.raises(ConfigError, match="empty"):
        credentials.fetch()
