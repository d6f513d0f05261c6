"""TLS with a CA and a client certificate given inline, for both clients."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trimtab.kube import Client, ConfigError, Connection, SimpleClient, Unreachable

from .fault_server import FaultServer


def make(
    name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return certificate, key


def cert_pem(pair: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]) -> str:
    return pair[0].public_bytes(serialization.Encoding.PEM).decode()


def key_pem(pair: tuple[x509.Certificate, ec.EllipticCurvePrivateKey]) -> str:
    return (
        pair[1]
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def test_both_clients_prove_who_they_are_and_check_who_answers(tmp_path: Path) -> None:
    ca, stranger = make("ca"), make("stranger")
    server_pair, client_pair = make("server", ca), make("jane", ca)
    pem = tmp_path / "server.pem"
    pem.write_text(cert_pem(server_pair) + key_pem(server_pair))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.load_verify_locations(cadata=cert_pem(ca))
    context.verify_mode = ssl.CERT_REQUIRED

    async def main() -> None:
        server = FaultServer()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        good = Connection(
            server=url,
            ca_pem=cert_pem(ca),
            client_cert_pem=cert_pem(client_pair),
            client_key_pem=key_pem(client_pair),
        )
        async with Client(good) as client:
            assert (await client.discovery()).minor == 37
        with SimpleClient(good) as small:
            assert (await asyncio.to_thread(small.discovery)).minor == 37
        wrong = Connection(server=url, ca_pem=cert_pem(stranger))
        async with Client(wrong) as client:
            with pytest.raises(Unreachable, match="certificate verify failed"):
                await client.discovery()
        with SimpleClient(wrong) as small, pytest.raises(Unreachable, match="verify failed"):
            await asyncio.to_thread(small.discovery)
        broken = Connection(server=url, ca_pem="not a certificate")
        async with Client(broken) as client:
            with pytest.raises(ConfigError, match="TLS certificates"):
                await client.discovery()
        listening.close()

    asyncio.run(asyncio.wait_for(main(), 20))
