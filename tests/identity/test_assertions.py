"""An assertion signed with a registered certificate is taken; whatever is not quite that is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from certified import APP, NOW, SECONDS, URL, Holder, certify, claims
from tocsin.errors import InvalidInput, Unauthenticated
from tocsin.identity.assertions import (
    ExpiredAssertion,
    check_assertion,
    parse_certificate,
)


@pytest.fixture(scope="module")
def rsa_holder() -> Holder:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Holder(key, parse_certificate(certify(key)))


@pytest.fixture(scope="module")
def ec_holder() -> Holder:
    key = ec.generate_private_key(ec.SECP256R1())
    return Holder(key, parse_certificate(certify(key)))


def check(text: str, *holders: Holder, now: int = NOW, app_id: str = APP) -> str:
    certificates = [holder.certificate for holder in holders]
    return check_assertion(text, app_id=app_id, audiences=[URL], certificates=certificates, now=now).fingerprint


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256"])
def test_each_algorithm_of_the_clients_is_taken(rsa_holder: Holder, ec_holder: Holder, alg: str) -> None:
    signer = ec_holder if alg == "ES256" else rsa_holder
    assert check(signer.assertion(alg), rsa_holder, ec_holder)


@pytest.mark.parametrize(
    "changes",
    [{"exp": SECONDS + 599.5, "iat": SECONDS + 0.25}, {"nbf": ...}, {"iat": ..., "nbf": ...}, {"aud": [URL]},
     {"exp": SECONDS - 59, "iat": SECONDS - 600}, {"iat": SECONDS + 30, "nbf": SECONDS + 30},
     {"exp": SECONDS + 1800, "iat": ...}, {"exp": SECONDS + 1800, "iat": ..., "nbf": SECONDS - 659}],
)  # fmt: skip
def test_the_forms_that_clients_give_times_and_audience_are_taken(rsa_holder: Holder, changes: dict[str, Any]) -> None:
    assert check(rsa_holder.assertion(**changes), rsa_holder)


def test_the_certificate_may_be_named_by_sha1_padded_or_in_plain_base64(rsa_holder: Holder) -> None:
    der = rsa_holder.certificate.der
    for digest, name in ((hashes.SHA1(), "x5t"), (hashes.SHA256(), "x5t#S256")):
        raw = x509.load_der_x509_certificate(der).fingerprint(digest)
        for text in (base64.urlsafe_b64encode(raw), base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=")):
            header = {"alg": "RS256", "typ": "JWT", name: text.decode()}
            assert check(rsa_holder.sign(header, claims()), rsa_holder)


def test_parts_that_are_padded_are_taken_as_they_were_signed(rsa_holder: Holder) -> None:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (rsa_holder.header("RS256"), claims())]
    assert any(part.endswith(b"=") for part in parts)
    assert isinstance(rsa_holder.key, rsa.RSAPrivateKey)
    signature = rsa_holder.key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
    text = b".".join([*parts, base64.urlsafe_b64encode(signature)]).decode()
    assert check(text, rsa_holder)
    for spoilt in (text.replace("=", ""), text + "===", f"={text}", text + ".="):
        with pytest.raises(Unauthenticated):
            check(spoilt, rsa_holder)


def test_a_chain_in_the_header_has_room_and_is_not_looked_at(rsa_holder: Holder, ec_holder: Holder) -> None:
    chain = [base64.b64encode(ec_holder.certificate.der).decode()] * 8
    header = {**rsa_holder.header("RS256"), "x5c": chain, "kid": "whatever"}
    text = rsa_holder.sign(header, claims())
    assert len(text) > 4096
    assert check(text, rsa_holder)
    with pytest.raises(Unauthenticated, match="not registered"):
        check(text, ec_holder)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"}, {"sub": "other"}, {"iss": ...}, {"aud": "https://tocsin.example/"}, {"aud": ...}, {"aud": []},
        {"aud": [URL, URL]}, {"aud": URL + "/"}, {"aud": {"x": URL}}, {"jti": ...}, {"jti": ""}, {"jti": 7},
        {"exp": ...}, {"exp": None}, {"exp": "x"}, {"exp": True}, {"exp": SECONDS - 60},
        {"exp": SECONDS + 661, "iat": ..., "nbf": ...}, {"exp": 10**40}, {"exp": 10**400}, {"iat": SECONDS - 660},
        {"nbf": SECONDS - 660}, {"iat": SECONDS + 61}, {"nbf": SECONDS + 61},
        {"iat": "x"}, {"nbf": False}, {"iat": -(10**400)},
    ],
)  # fmt: skip
def test_no_claim_may_be_wrong(rsa_holder: Holder, changes: dict[str, Any]) -> None:
    assert check(rsa_holder.assertion(), rsa_holder)
    with pytest.raises(Unauthenticated):
        check(rsa_holder.assertion(**changes), rsa_holder)


@pytest.mark.parametrize(
    "changes",
    [{"alg": "RS384"}, {"x5t#S256": 5}, {"x5t#S256": "AAAA"}, {"x5t": "AAAA"}, {"crit": ["exp"]},
     {"zip": "DEF"}, {"b64": True}],
)  # fmt: skip
def test_no_part_of_the_header_that_is_read_may_be_wrong(rsa_holder: Holder, changes: dict[str, Any]) -> None:
    header = rsa_holder.header("RS256")
    assert check(rsa_holder.sign_any(header), rsa_holder)
    with pytest.raises(Unauthenticated):
        check(rsa_holder.sign_any({**header, **changes}), rsa_holder)


def test_a_header_that_names_no_certificate_or_two_is_refused(rsa_holder: Holder, ec_holder: Holder) -> None:
    bare = {"alg": "RS256", "typ": "JWT"}
    two = {**rsa_holder.header("RS256"), "x5t": ec_holder.header("ES256")["x5t#S256"]}
    for header in (bare, two):
        with pytest.raises(Unauthenticated):
            check(rsa_holder.sign(header, claims()), rsa_holder, ec_holder)


def test_another_key_under_the_registered_name_is_refused(rsa_holder: Holder) -> None:
    stranger = Holder(rsa.generate_private_key(public_exponent=65537, key_size=2048), rsa_holder.certificate)
    with pytest.raises(Unauthenticated, match="signature"):
        check(stranger.assertion(), rsa_holder)


def test_no_algorithm_and_a_public_key_as_a_secret_are_refused(rsa_holder: Holder) -> None:
    for alg in ("none", "NONE", "HS256"):
        header = base64.urlsafe_b64encode(json.dumps(rsa_holder.header(alg)).encode()).decode().rstrip("=")
        payload = base64.urlsafe_b64encode(json.dumps(claims()).encode()).decode().rstrip("=")
        with pytest.raises(Unauthenticated):
            check(f"{header}.{payload}.AAAA", rsa_holder)


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(256), b"\xff" * 64])
def test_a_made_up_signature_is_refused(rsa_holder: Holder, ec_holder: Holder, signature: bytes) -> None:
    made_up = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    for holder, alg in ((rsa_holder, "RS256"), (rsa_holder, "PS256"), (ec_holder, "ES256")):
        head, _, right = holder.assertion(alg).rpartition(".")
        assert check(f"{head}.{right}", holder)
        with pytest.raises(Unauthenticated):
            check(f"{head}.{made_up}", holder)


def test_the_key_must_be_of_the_kind_that_the_algorithm_says(rsa_holder: Holder, ec_holder: Holder) -> None:
    for holder, alg in ((rsa_holder, "ES256"), (ec_holder, "RS256")):
        header = base64.urlsafe_b64encode(json.dumps(holder.header(alg)).encode()).decode().rstrip("=")
        _, payload, signature = holder.assertion("RS256" if holder is rsa_holder else "ES256").split(".")
        with pytest.raises(Unauthenticated, match="signature"):
            check(f"{header}.{payload}.{signature}", holder)


def test_a_certificate_counts_only_within_its_time() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for begins, days in ((1, 30), (-30, 30)):
        holder = Holder(key, parse_certificate(certify(key, begins=begins, days=days)))
        with pytest.raises(ExpiredAssertion):
            check(holder.assertion(), holder)


def test_the_fingerprint_is_that_of_application_and_jti(rsa_holder: Holder) -> None:
    one = check(rsa_holder.assertion(jti="a"), rsa_holder)
    assert check(rsa_holder.assertion(jti="a", exp=SECONDS + 500), rsa_holder) == one
    assert check(rsa_holder.assertion(jti="b"), rsa_holder) != one


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_certificate(content)


def test_weak_and_odd_keys_are_not_registered() -> None:
    for key in (
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
        ec.generate_private_key(ec.SECP384R1()),
    ):
        with pytest.raises(InvalidInput):
            parse_certificate(certify(key))
