"""Secrets of sources: what becomes credentials, and what is refused rather than half done."""

import asyncio
import base64

import pytest

from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.references import git_credentials, helm_credentials
from trimtab.kube import NotFound


class Secrets:
    """A client that has these Secrets in every namespace."""

    def __init__(self, **held):
        self.held = held

    async def get(self, _gk, _namespace, name):
        if name not in self.held:
            raise NotFound(f"{name} not found")
        data = {k: base64.b64encode(v.encode()).decode() for k, v in self.held[name].items()}
        return {"kind": "Secret", "data": data}


def helm(secrets, secret="", certificates=""):
    return asyncio.run(
        helm_credentials(Secrets(**secrets), "ns", secret=secret, certificates=certificates)
    )


def test_user_and_authority_come_from_their_own_secrets():
    found = helm(
        {"login": {"username": "u", "password": "p"}, "tls": {"ca.crt": "CA"}}, "login", "tls"
    )
    assert (found.username, found.password, found.ca) == ("u", "p", "CA")
    assert helm({}) is None


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "certFile", "keyFile"])
def test_client_certificates_are_refused(key):
    with pytest.raises(Stalled, match="client certificates"):
        helm({"tls": {key: "x", "ca.crt": "CA"}}, certificates="tls")
    with pytest.raises(Stalled, match="client certificates"):
        asyncio.run(git_credentials(Secrets(s={key: "x"}), "ns", "s", "https://example.com/r"))


def test_half_a_login_and_a_missing_secret_are_said():
    with pytest.raises(Stalled, match="needs both username and password"):
        helm({"login": {"username": "u"}}, "login")
    with pytest.raises(NotYet, match="Secret 'ns/login' not found"):
        helm({}, "login")


def test_an_ssh_key_with_a_passphrase_is_refused():
    data = {"identity": "key", "known_hosts": "hosts", "password": "phrase"}
    with pytest.raises(Stalled, match="passphrase"):
        asyncio.run(git_credentials(Secrets(s=data), "ns", "s", "ssh://git@example.com/r"))
