"""Connections from a kubeconfig file, or from the pod we run in.

Every error names the file and the field (`users[2].user.exec.command`).
Source: spec/controller-runtime.md 3.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimtab.errors import Location, TrimtabError
from trimtab.kube.connection import Connection, ExecPlugin
from trimtab.kube.errors import ConfigError
from trimtab.lang.yaml import load

__all__ = ["in_cluster", "load_kubeconfig", "parse_kubeconfig"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_VERSIONS = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)


def load_kubeconfig(path: str | Path, context: str | None = None) -> Connection:
    """The connection of a context (default: `current-context`) of a kubeconfig file.

    Relative paths in the file are relative to the file. Raises ConfigError.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "the kubeconfig cannot be read",
            where=str(path),
            why=error.strerror or str(error),
            hint="name another one with --kubeconfig",
        ) from error
    return parse_kubeconfig(content, source=str(path), base=path.parent, context=context)


def parse_kubeconfig(
    content: bytes,
    *,
    source: str,
    base: Path | None = None,
    context: str | None = None,
) -> Connection:
    """The connection of a context in kubeconfig text.

    `base` is the directory of relative paths. Without it the text is not trusted (it came out of
    a Secret): files and exec plugins of this machine are refused. Raises ConfigError.
    """
    try:
        config = load(content, source=source)
    except TrimtabError as error:
        raise ConfigError(
            "the kubeconfig is not YAML", where=error.where or source, why=error.message
        ) from error
    return _Reader(source, base).connection(config, context)


def in_cluster(
    env: Mapping[str, str] | None = None, root: Path = SERVICE_ACCOUNT
) -> Connection | None:
    """The connection of the pod's service account; None outside a pod.

    `env` is the process environment unless given.
    """
    env = os.environ if env is None else env
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    token, ca = root / "token", root / "ca.crt"
    if not host or not port or not token.exists():
        return None
    namespace = root / "namespace"
    return Connection(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca_file=str(ca),
        token_file=str(token),
        namespace=namespace.read_text(encoding="utf-8").strip()
        if namespace.exists()
        else "default",
    )


class _Reader:
    """Walks one kubeconfig and remembers where it is, for errors."""

    def __init__(self, source: str, base: Path | None) -> None:
        self._source = source
        self._base = base

    def connection(self, config: object, context: str | None) -> Connection:
        if not isinstance(config, dict):
            raise self._error("", "is not a mapping")
        name = context or self._text(config, "current-context", "")
        if not name:
            raise self._error(
                "current-context", "is not set", hint="choose one with --context or kubectl"
            )
        ctx, at = self._named(config, "contexts", "context", name)
        cluster, cluster_at = self._named(
            config, "clusters", "cluster", self._text(ctx, "cluster", at)
        )
        user: Mapping[str, Any] = {}
        user_at = ""
        if user_name := self._text(ctx, "user", at):
            user, user_at = self._named(config, "users", "user", user_name)
        self._refuse(user, user_at)
        server = self._text(cluster, "server", cluster_at)
        if not server.startswith(("http://", "https://")):
            raise self._error(f"{cluster_at}.server", "is not an http or https URL")
        return Connection(
            server=server.rstrip("/"),
            ca_pem=self._data(cluster, "certificate-authority-data", cluster_at),
            ca_file=self._file(cluster, "certificate-authority", cluster_at),
            insecure_skip_tls_verify=self._flag(cluster, "insecure-skip-tls-verify", cluster_at),
            tls_server_name=self._text(cluster, "tls-server-name", cluster_at),
            proxy_url=self._text(cluster, "proxy-url", cluster_at),
            token=self._text(user, "token", user_at),
            token_file=self._file(user, "tokenFile", user_at),
            client_cert_pem=self._data(user, "client-certificate-data", user_at),
            client_key_pem=self._data(user, "client-key-data", user_at),
            client_cert_file=self._file(user, "client-certificate", user_at),
            client_key_file=self._file(user, "client-key", user_at),
            username=self._text(user, "username", user_at),
            password=self._text(user, "password", user_at),
            exec=self._exec(user, user_at),
            namespace=self._text(ctx, "namespace", at) or "default",
            impersonate_user=self._text(user, "as", user_at),
            impersonate_uid=self._text(user, "as-uid", user_at),
            impersonate_groups=self._texts(user, "as-groups", user_at),
        )

    def _refuse(self, user: Mapping[str, Any], at: str) -> None:
        """What would change who we are must not be passed over in silence."""
        if user.get("auth-provider"):
            raise self._error(
                f"{at}.auth-provider",
                "is no longer supported by Kubernetes",
                hint="use an exec plugin of your provider",
            )
        if user.get("as-user-extra"):
            raise self._error(f"{at}.as-user-extra", "is not supported")

    def _named(
        self, config: Mapping[str, Any], section: str, member: str, name: str
    ) -> tuple[Mapping[str, Any], str]:
        entries = config.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict) and entry.get("name") == name:
                at = f"{section}[{index}].{member}"
                value = entry.get(member)
                if not isinstance(value, dict):
                    raise self._error(at, "is not a mapping")
                return value, at
        known = [
            str(entry.get("name"))
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict)
        ]
        raise self._error(
            section, f"has no entry named {name!r}", why=f"known: {', '.join(known) or 'none'}"
        )

    def _exec(self, user: Mapping[str, Any], at: str) -> ExecPlugin | None:
        spec = user.get("exec")
        if spec is None:
            return None
        at = f"{at}.exec"
        if not isinstance(spec, dict):
            raise self._error(at, "is not a mapping")
        if self._base is None:
            raise self._error(at, "is not allowed in a kubeconfig that comes out of a Secret")
        version = self._text(spec, "apiVersion", at)
        if version not in EXEC_VERSIONS:
            raise self._error(
                f"{at}.apiVersion", f"{version!r} is not one of {', '.join(EXEC_VERSIONS)}"
            )
        command = self._text(spec, "command", at)
        if not command:
            raise self._error(f"{at}.command", "is not set")
        if spec.get("interactiveMode") == "Always":
            raise self._error(f"{at}.interactiveMode", "Always is not supported: nobody can answer")
        if "/" in command:
            command = str(self._base / command)
        env = []
        for index, pair in enumerate(spec.get("env") or []):
            if not isinstance(pair, dict):
                raise self._error(f"{at}.env[{index}]", "is not a mapping")
            place = f"{at}.env[{index}]"
            env.append((self._text(pair, "name", place), self._text(pair, "value", place)))
        return ExecPlugin(
            command=command,
            args=self._texts(spec, "args", at),
            env=tuple(env),
            api_version=version,
            provide_cluster_info=self._flag(spec, "provideClusterInfo", at),
            install_hint=self._text(spec, "installHint", at),
        )

    def _text(self, mapping: Mapping[str, Any], field: str, at: str) -> str:
        value = mapping.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._error(f"{at}.{field}".lstrip("."), "is not a string")
        return value

    def _texts(self, mapping: Mapping[str, Any], field: str, at: str) -> tuple[str, ...]:
        value = mapping.get(field) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._error(f"{at}.{field}", "is not a list of strings")
        return tuple(value)

    def _flag(self, mapping: Mapping[str, Any], field: str, at: str) -> bool:
        value = mapping.get(field, False)
        if value is not None and not isinstance(value, bool):
            raise self._error(f"{at}.{field}", "is not true or false")
        return bool(value)

    def _file(self, mapping: Mapping[str, Any], field: str, at: str) -> str:
        name = self._text(mapping, field, at)
        if not name:
            return ""
        if mapping.get(f"{field}-data"):
            return ""  # inline data overrides the file, as kubectl does
        if self._base is None:
            raise self._error(
                f"{at}.{field}", "names a file, in a kubeconfig that comes out of a Secret"
            )
        path = self._base / name
        if not path.is_file():
            raise self._error(f"{at}.{field}", f"no such file: {path}")
        return str(path)

    def _data(self, mapping: Mapping[str, Any], field: str, at: str) -> str:
        text = self._text(mapping, field, at)
        try:
            return base64.b64decode(text, validate=False).decode("ascii")
        except ValueError as error:
            raise self._error(f"{at}.{field}", "is not base64 of a PEM text") from error

    def _error(self, field: str, problem: str, *, why: str = "", hint: str = "") -> ConfigError:
        via = (field,) if field else ()
        return ConfigError(
            f"{field or 'the kubeconfig'} {problem}",
            where=Location(self._source, via=via),
            why=why,
            hint=hint,
        )
