"""Tokens of service accounts: signed by the cluster, bound to the account's uid.

JWTs by ES256 with the cluster's own key (spec/embedded-cluster.md 12).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import msgspec
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

__all__ = ["AUDIENCE", "AccountToken", "Tokens"]

AUDIENCE: Final = "https://kubernetes.default.svc.cluster.local"
_HALF: Final = 32  # bytes of each half of a P-256 signature


class AccountToken(msgspec.Struct, frozen=True):
    """Whom a valid token names."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...]


class Tokens:
    """Issues and reads tokens with one private key (PEM, P-256)."""

    def __init__(self, key_pem: bytes) -> None:
        key = serialization.load_pem_private_key(key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._id = _text(hashlib.sha256(public).digest())

    def issue(
        self,
        *,
        namespace: str,
        name: str,
        uid: str,
        audiences: Sequence[str],
        now: datetime,
        seconds: int,
    ) -> str:
        """A token for a service account that ends after `seconds`."""
        began = int(now.timestamp())
        claims = {
            "aud": list(audiences) or [AUDIENCE],
            "exp": began + seconds,
            "iat": began,
            "iss": AUDIENCE,
            "jti": str(uuid4()),
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": name, "uid": uid},
            },
            "nbf": began,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        head = _text(orjson.dumps({"alg": "ES256", "kid": self._id}))
        signed = f"{head}.{_text(orjson.dumps(claims))}"
        first, second = decode_dss_signature(
            self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        )
        raw = first.to_bytes(_HALF, "big") + second.to_bytes(_HALF, "big")
        return f"{signed}.{_text(raw)}"

    def read(self, token: str, *, now: datetime) -> AccountToken | None:
        """Whom the token names; None when it is not ours, was changed or has run out."""
        signed, _, signature = token.rpartition(".")
        try:
            head, _, body = signed.partition(".")
            header, raw = orjson.loads(_bytes(head)), _bytes(signature)
            if header.get("alg") != "ES256" or len(raw) != 2 * _HALF:
                return None
            pair = encode_dss_signature(
                int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big")
            )
            self._key.public_key().verify(pair, signed.encode(), ec.ECDSA(hashes.SHA256()))
            return _account(orjson.loads(_bytes(body)), now)
        except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError):
            return None


def _account(claims: dict[str, Any], now: datetime) -> AccountToken | None:
    moment = now.timestamp()
    # A clock that is read as whole seconds must not make a new token one of the future.
    if claims["iss"] != AUDIENCE or not claims["nbf"] - 1 <= moment < claims["exp"]:
        return None
    bound = claims["kubernetes.io"]
    account = bound["serviceaccount"]
    return AccountToken(bound["namespace"], account["name"], account["uid"], tuple(claims["aud"]))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
