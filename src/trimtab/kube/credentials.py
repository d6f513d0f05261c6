"""Who we are to an API server, over time: token files, exec plugins, basic auth.

Blocking by design: the small client calls `fetch` directly, the asynchronous one in a thread.
Source: spec/controller-runtime.md 3 (token file every 60 s; exec refreshed at 80 % of its life).
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson

from trimtab.kube.connection import Connection, ExecPlugin
from trimtab.kube.errors import ConfigError, Unauthorized
from trimtab.kube.ports import Timepiece

__all__ = ["Credential", "Credentials"]

TOKEN_FILE_S = 60.0
EXEC_TIMEOUT_S = 30.0
LIFE_SHARE = 0.8

Run = Callable[[list[str], dict[str, str], float], "subprocess.CompletedProcess[bytes]"]


class Credential(msgspec.Struct, frozen=True):
    """What one request carries. `refresh_at` is monotonic seconds, None for never."""

    authorization: str = ""
    cert_pem: str = ""
    key_pem: str = ""
    refresh_at: float | None = None

    def __repr__(self) -> str:
        return f"Credential(refresh_at={self.refresh_at})"


def _run(command: list[str], env: dict[str, str], timeout_s: float) -> Any:
    return subprocess.run(
        command,
        env=env,
        capture_output=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Credentials:
    """The current credential of a connection and how to get the next one."""

    def __init__(self, connection: Connection, *, clock: Timepiece, run: Run = _run) -> None:
        self._connection = connection
        self._clock = clock
        self._run = run
        self._held: Credential | None = None

    def current(self) -> Credential | None:
        """The credential to use, or None when `fetch` must be called."""
        held = self._held
        if held is None or held.refresh_at is None:
            return held
        return held if self._clock.monotonic() < held.refresh_at else None

    def invalidate(self) -> bool:
        """Forget what a 401 refused. False when there is nothing newer to be had."""
        renewable = bool(self._connection.exec or self._connection.token_file)
        if renewable:
            self._held = None
        return renewable

    def fetch(self) -> Credential:
        """Read or make the credential. Blocks. Raises ConfigError, Unauthorized."""
        connection = self._connection
        if connection.exec is not None:
            held = self._from_plugin(connection.exec)
        elif connection.token_file:
            held = self._from_file(connection.token_file)
        elif connection.token:
            held = Credential(authorization=f"Bearer {connection.token}")
        elif connection.username:
            pair = f"{connection.username}:{connection.password}".encode()
            held = Credential(authorization=f"Basic {base64.b64encode(pair).decode()}")
        else:
            held = Credential()
        self._held = held
        return held

    def _from_file(self, path: str) -> Credential:
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(
                "the token file cannot be read", where=path, why=str(error)
            ) from error
        if not token:
            raise ConfigError("the token file is empty", where=path)
        return Credential(
            authorization=f"Bearer {token}", refresh_at=self._clock.monotonic() + TOKEN_FILE_S
        )

    def _from_plugin(self, plugin: ExecPlugin) -> Credential:
        command = [plugin.command, *plugin.args]
        env = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": self._exec_info(plugin)}
        try:
            done = self._run(command, env, EXEC_TIMEOUT_S)
        except FileNotFoundError as error:
            raise Unauthorized(
                f"the credential plugin {plugin.command!r} is not installed",
                hint=plugin.install_hint,
            ) from error
        except subprocess.TimeoutExpired as error:
            raise Unauthorized(
                f"the credential plugin {plugin.command!r} gave no answer",
                why=f"limit of {EXEC_TIMEOUT_S:.0f} s",
            ) from error
        if done.returncode != 0:
            raise Unauthorized(
                f"the credential plugin {plugin.command!r} failed with exit code {done.returncode}",
                why=done.stderr.decode("utf-8", "replace").strip()[:500],
            )
        return self._parse(plugin, done.stdout)

    def _parse(self, plugin: ExecPlugin, output: bytes) -> Credential:
        try:
            status = orjson.loads(output)["status"]
            token = str(status.get("token") or "")
            cert = str(status.get("clientCertificateData") or "")
            key = str(status.get("clientKeyData") or "")
            expires = status.get("expirationTimestamp")
            life = None
            if expires:
                at = datetime.fromisoformat(str(expires))
                life = max(0.0, (at - self._clock.now()).total_seconds())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # The output may hold a token, so it is not quoted.
            raise Unauthorized(
                f"the credential plugin {plugin.command!r} printed no ExecCredential"
            ) from error
        if not token and not cert:
            raise Unauthorized(f"the credential plugin {plugin.command!r} printed no credential")
        return Credential(
            authorization=f"Bearer {token}" if token else "",
            cert_pem=cert,
            key_pem=key,
            refresh_at=None if life is None else self._clock.monotonic() + life * LIFE_SHARE,
        )

    def _exec_info(self, plugin: ExecPlugin) -> str:
        spec: dict[str, Any] = {"interactive": False}
        if plugin.provide_cluster_info:
            connection = self._connection
            ca = connection.ca_pem
            if not ca and connection.ca_file:
                ca = Path(connection.ca_file).read_text(encoding="utf-8")
            cluster: dict[str, Any] = {"server": connection.server}
            if ca:
                cluster["certificate-authority-data"] = base64.b64encode(ca.encode()).decode()
            if connection.insecure_skip_tls_verify:
                cluster["insecure-skip-tls-verify"] = True
            if connection.tls_server_name:
                cluster["tls-server-name"] = connection.tls_server_name
            spec["cluster"] = cluster
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
        return orjson.dumps(info).decode()
