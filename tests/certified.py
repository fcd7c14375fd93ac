"""Somebody with a key and its certificate, who signs client assertions."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from tocsin.identity.assertions import Certificate
from tocsin.ticks import SECOND

NOW: Final = 1_700_000_000 * SECOND
SECONDS: Final = NOW // SECOND
APP: Final = "11111111-2222-4333-8444-555555555555"
URL: Final = "https://tocsin.example/default/oauth2/v2.0/token"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def certify(key: PrivateKey, *, begins: int = -1, days: int = 30) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "soar")])
    start = datetime.fromtimestamp(SECONDS, UTC) + timedelta(days=begins)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


class Holder(msgspec.Struct, frozen=True):
    """Somebody with a key and its certificate."""

    key: PrivateKey
    certificate: Certificate

    def header(self, alg: str) -> dict[str, Any]:
        thumbprint = base64.urlsafe_b64encode(bytes.fromhex(self.certificate.thumbprint)).decode().rstrip("=")
        return {"alg": alg, "typ": "JWT", "x5t#S256": thumbprint}

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        key = RSAKey.import_key(self.key) if isinstance(self.key, rsa.RSAPrivateKey) else ECKey.import_key(self.key)
        registry = jws.JWSRegistry(algorithms=["RS256", "PS256", "ES256", "RS384", "HS256"], strict_check_header=False)
        registry.max_header_length = 32_000
        return jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=registry)

    def sign_any(self, header: dict[str, Any]) -> str:
        """A right RS256 signature over whatever the header says."""
        assert isinstance(self.key, rsa.RSAPrivateKey)
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims())]
        signature = self.key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
        return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()

    def assertion(self, alg: str = "RS256", **changes: Any) -> str:
        return self.sign(self.header(alg), claims(**changes))


def claims(**changes: Any) -> dict[str, Any]:
    found = {
        "iss": APP,
        "sub": APP,
        "aud": URL,
        "jti": str(uuid.uuid4()),
        "iat": SECONDS,
        "nbf": SECONDS,
        "exp": SECONDS + 600,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ...}
