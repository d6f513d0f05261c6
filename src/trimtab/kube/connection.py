"""How to reach one API server, as a value. Secrets never show in its repr (SEC-12)."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

import msgspec

from trimtab.kube.errors import ConfigError

__all__ = ["Connection", "ExecPlugin", "ssl_context"]


class ExecPlugin(msgspec.Struct, frozen=True):
    """A program that prints an ExecCredential. `env` is added to the caller's environment."""

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"
    provide_cluster_info: bool = False
    install_hint: str = ""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One API server and one identity. Empty strings mean not set.

    Files (`*_file`) are read again when they change; PEM texts are used as they are.
    """

    server: str
    ca_pem: str = ""
    ca_file: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    token: str = ""
    token_file: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    username: str = ""
    password: str = ""
    exec: ExecPlugin | None = None
    proxy_url: str = ""
    namespace: str = "default"
    impersonate_user: str = ""
    impersonate_uid: str = ""
    impersonate_groups: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Connection(server={self.server!r}, namespace={self.namespace!r})"

    @property
    def files(self) -> tuple[str, ...]:
        """The files the TLS context is made from: a change of one means a new context."""
        every = (self.ca_file, self.client_cert_file, self.client_key_file)
        return tuple(name for name in every if name)


def ssl_context(
    connection: Connection, *, cert_pem: str = "", key_pem: str = ""
) -> ssl.SSLContext | None:
    """The TLS context of a connection, None for plain http.

    `cert_pem` and `key_pem` override the connection's own client certificate (exec plugins).
    Raises ConfigError when a certificate or key cannot be read.
    """
    if not connection.server.startswith("https:"):
        return None
    try:
        context = ssl.create_default_context(
            cafile=connection.ca_file or None, cadata=connection.ca_pem or None
        )
        # Cluster CAs are often made without the extensions that strict mode asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if connection.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _load_client_certificate(context, connection, cert_pem, key_pem)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "the TLS certificates of the cluster connection cannot be used",
            where=connection.server,
            why=str(error),
        ) from error
    return context


def _load_client_certificate(
    context: ssl.SSLContext, connection: Connection, cert_pem: str, key_pem: str
) -> None:
    cert = cert_pem or connection.client_cert_pem
    key = key_pem or connection.client_key_pem
    if not cert and connection.client_cert_file:
        if not key:
            context.load_cert_chain(connection.client_cert_file, connection.client_key_file or None)
            return
        cert = Path(connection.client_cert_file).read_text(encoding="utf-8")
    if not cert:
        return
    if not key and connection.client_key_file:
        key = Path(connection.client_key_file).read_text(encoding="utf-8")
    # The ssl module reads certificates from files only; this one is private and short-lived.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as file:
        file.write(f"{cert.rstrip()}\n{key.rstrip()}\n")
        file.flush()
        context.load_cert_chain(file.name)
