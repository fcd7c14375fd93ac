"""Client assertions: an application proves itself with a certificate's key instead of a secret (RFC 7523, section 3).

What real clients send (`tokens.md`): RS256, PS256 or ES256; the key named by `x5t` or `x5t#S256`, at times padded;
`exp` and `iat` as floats; `nbf` absent; the certificate's whole chain in `x5c`, which is not looked at: only what was
registered counts. How often one is good is the caller's to see to, by `Assertion.fingerprint`. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tocsin.errors import InvalidInput, Unauthenticated
from tocsin.identity.credentials import base64url
from tocsin.identity.jwt import parse_object, take_apart
from tocsin.ticks import SECOND

LIFE_SECONDS_MAX: Final = 600
SKEW_SECONDS: Final = 60
RSA_BITS_MIN: Final = 2048
_ALGORITHMS: Final = ("RS256", "PS256", "ES256")
_TIME_MAX: Final = 1e11  # the year 5138; compared before anything becomes a float, which a huge whole number cannot
_PADDING: Final = re.compile("={1,2}$", re.ASCII)
_UNREADABLE: Final = frozenset({"crit", "b64", "zip", "enc"})


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that an application may sign with. `thumbprint` is the SHA-256 of `der` in 64 hex digits; times are
    ticks."""

    thumbprint: str
    der: bytes
    subject: str
    begins: int
    ends: int

    @property
    def names(self) -> frozenset[str]:
        """How a header may name it: `x5t` and `x5t#S256`."""
        sha1 = hashlib.sha1(self.der, usedforsecurity=False).digest()
        return frozenset({base64url(sha1), base64url(bytes.fromhex(self.thumbprint))})


class Assertion(msgspec.Struct, frozen=True):
    """What a valid one leaves to remember. `expires` in ticks, the grace for clocks included."""

    fingerprint: str
    expires: int


class ExpiredAssertion(Unauthenticated):
    """The assertion or its certificate is not valid at this time."""


def parse_certificate(content: bytes) -> Certificate:
    """Read a certificate from PEM (the first one of a file) or DER. Raises InvalidInput for keys that may not sign."""
    try:
        found = (
            x509.load_pem_x509_certificates(content)[0]
            if b"-----BEGIN" in content
            else x509.load_der_x509_certificate(content)
        )
        der = found.public_bytes(serialization.Encoding.DER)
        key = found.public_key()
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"this is no certificate in PEM or DER: {error}") from None
    _require_fitting(key)
    return Certificate(
        thumbprint=found.fingerprint(hashes.SHA256()).hex(),
        der=der,
        subject=found.subject.rfc4514_string()[:200],
        begins=_ticks(found.not_valid_before_utc),
        ends=_ticks(found.not_valid_after_utc),
    )


def check_assertion(
    text: str, *, app_id: str, audiences: Collection[str], certificates: Iterable[Certificate], now: int
) -> Assertion:
    """Check an assertion for one application; `audiences` are the token URL in all the ways it may have been called.

    Raises Unauthenticated whose text says what was wrong without repeating any of it, ExpiredAssertion for times.
    """
    bare = ".".join(_PADDING.sub("", part) for part in text.split(".", 3))
    header_bytes, payload = take_apart(bare)
    header = parse_object(header_bytes, "header")
    certificate = _named(header, certificates)
    if not certificate.begins <= now < certificate.ends:
        raise ExpiredAssertion("the certificate is not valid at this time")
    # azure-identity's asynchronous half pads each part, which joserfc refuses; what it signed is the padded text.
    signed, _, signature = text.encode("ascii").rpartition(b".")
    key = x509.load_der_x509_certificate(certificate.der).public_key()
    if not _is_signed(str(header["alg"]), key, base64.urlsafe_b64decode(signature.rstrip(b"=") + b"=="), signed):
        raise Unauthenticated("the assertion's signature is not that of the certificate's key")
    claims = parse_object(payload, "payload")
    if claims.get("iss") != app_id or claims.get("sub") != app_id:
        raise Unauthenticated("the assertion's iss and sub are not both the application's id")
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        (audience,) = audience
    if not isinstance(audience, str) or audience not in audiences:
        raise Unauthenticated("the assertion's aud is not the address that it was sent to")
    expires = _check_times(claims, now / SECOND)
    unique = claims.get("jti")
    if not isinstance(unique, str) or not unique:
        raise Unauthenticated("the assertion has no jti")
    fingerprint = hashlib.sha256(f"{app_id}\0{unique}".encode("utf-8", "surrogatepass")).hexdigest()
    return Assertion(fingerprint, int((expires + SKEW_SECONDS) * SECOND))


def _named(header: dict[str, Any], certificates: Iterable[Certificate]) -> Certificate:
    if header.get("alg") not in _ALGORITHMS or not _UNREADABLE.isdisjoint(header):
        raise Unauthenticated("the assertion's algorithm is not RS256, PS256 or ES256, or its header has an extension")
    named = [header[name] for name in ("x5t#S256", "x5t") if name in header]
    if not named or not all(isinstance(each, str) for each in named):
        raise Unauthenticated("the assertion's header names no certificate by x5t or x5t#S256")
    wanted = {each.rstrip("=").replace("+", "-").replace("/", "_") for each in named}
    for certificate in certificates:
        if wanted <= certificate.names:
            return certificate
    raise Unauthenticated("the assertion's certificate is not registered for this application")


def _check_times(claims: dict[str, Any], seconds: float) -> float:
    """When it ends, in seconds. azure-identity's asynchronous half says 30 minutes: those are good for the first 10."""
    expires = _time(claims, "exp")
    if expires is None:
        raise ExpiredAssertion("the assertion has no exp")
    begins = [value for name in ("iat", "nbf") if (value := _time(claims, name)) is not None]
    if any(value > seconds + SKEW_SECONDS for value in begins):
        raise ExpiredAssertion("the assertion is not valid yet")
    if not begins and expires > seconds + LIFE_SECONDS_MAX + SKEW_SECONDS:
        raise ExpiredAssertion(f"the assertion lives longer than {LIFE_SECONDS_MAX} seconds")
    ends = min([expires, *(value + LIFE_SECONDS_MAX for value in begins)])
    if seconds >= ends + SKEW_SECONDS:
        raise ExpiredAssertion("the assertion has expired")
    return ends


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _TIME_MAX:
        raise ExpiredAssertion(f"the assertion's {name} is not a time in seconds")
    return float(value)


def _is_signed(algorithm: str, key: object, signature: bytes, signed: bytes) -> bool:
    """RFC 7518 sections 3.3 to 3.5; False for a key of the other kind too."""
    digest = hashes.SHA256()
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm == "RS256":
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        elif isinstance(key, rsa.RSAPublicKey) and algorithm == "PS256":
            key.verify(signature, signed, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == "ES256" and len(signature) == 64:
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _require_fitting(key: object) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS_MIN:
            raise InvalidInput(f"the certificate's RSA key has {key.key_size} bits; {RSA_BITS_MIN} or more are needed")
    elif not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("the certificate's key must be RSA, or elliptic on P-256")


def _ticks(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND
