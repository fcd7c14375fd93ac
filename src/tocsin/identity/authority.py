"""The server's TLS certificate and the small certificate authority that signs it, made at the first start.

Sign-in libraries refuse plain http (`tokens.md`), so there must be https before anybody has bought a certificate.
In `<data_dir>/tls/`: `ca-key.pem` (authority: key and certificate), `ca.pem` (its certificate, for clients to
trust), `server.pem` (server: key and chain). Key and certificate share a file because two files could be left
unequal by a crash between them. The authority is kept; the server's certificate is renewed at a start.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tocsin.errors import InvalidInput, StoreError
from tocsin.identity.keyfiles import make_private_folder, read_private, write_private
from tocsin.ticks import SECOND

AUTHORITY_DAYS: Final = 3650
SERVER_DAYS: Final = 397  # the longest that systems' trust stores take from a public authority
RENEW_DAYS: Final = 90  # a server that is restarted within this many days before the end never serves an expired one
_BACKDATE: Final = timedelta(days=1)  # a client's clock may be behind ours


class TlsFiles(msgspec.Struct, frozen=True):
    """`server` holds key and chain, as `ssl_certfile` takes them; `authority` is what clients trust."""

    authority: Path
    server: Path


class _Pair(msgspec.Struct, frozen=True):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def ensure_tls(data_dir: Path, hosts: Sequence[str], now: int) -> TlsFiles:
    """Make what is missing, renew the server's certificate where it is due or `hosts` changed. `now` in ticks.

    Raises StoreError for a damaged file, which is never overwritten, and for an authority past its end.
    """
    folder = data_dir / "tls"
    make_private_folder(folder)
    moment = datetime.fromtimestamp(now / SECOND, UTC)
    files = TlsFiles(authority=folder / "ca.pem", server=folder / "server.pem")
    authority = _ensure_authority(folder / "ca-key.pem", files.authority, moment)
    server = _read_pair(files.server)
    if server is None or _is_due(server, authority, hosts, moment):
        fresh = _make_server(authority, hosts, moment)
        write_private(files.server, _pem(fresh) + authority.certificate.public_bytes(serialization.Encoding.PEM))
    return files


def _ensure_authority(path: Path, public_path: Path, moment: datetime) -> _Pair:
    authority = _read_pair(path)
    public = read_private(public_path)
    if authority is None:
        if public is not None:
            raise StoreError(f"{path} is missing but {public_path} is there; put it back, or remove both to begin anew")
        authority = _make_authority(moment)
        write_private(path, _pem(authority))
    if authority.certificate.not_valid_after_utc <= moment:
        raise StoreError(f"the authority in {path} has expired; remove it and {public_path}, and trust the new one")
    certificate = authority.certificate.public_bytes(serialization.Encoding.PEM)
    if public is None:
        write_private(public_path, certificate)
    elif public.strip() != certificate.strip():
        raise StoreError(f"{public_path} is not the certificate in {path}; remove {public_path} to have it made again")
    return authority


def _read_pair(path: Path) -> _Pair | None:
    content = read_private(path)
    if content is None:
        return None
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificates(content)[0]
    except (ValueError, TypeError, IndexError) as error:
        raise StoreError(f"{path} is damaged ({error}); restore it, or remove it to have a new one made") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise StoreError(f"{path} is damaged: its key and its certificate do not belong together; restore or remove it")
    return _Pair(key, certificate)


def _pem(pair: _Pair) -> bytes:
    key = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key + pair.certificate.public_bytes(serialization.Encoding.PEM)


def _is_due(server: _Pair, authority: _Pair, hosts: Sequence[str], moment: datetime) -> bool:
    certificate = server.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError):
        return True
    if not certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc - timedelta(days=RENEW_DAYS):
        return True
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(named) != set(_alternative_names(hosts))


def _alternative_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative_name(host) for host in dict.fromkeys((*hosts, "localhost", "127.0.0.1", "::1"))]


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host.encode("idna").decode("ascii"))
    except UnicodeError:
        raise InvalidInput(f"{host[:80]!r} cannot stand in a certificate as a host name") from None


def _make_authority(moment: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The number in the name keeps two authorities apart in a client's trust store.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Tocsin local authority {serial % 16**8:08x}")])
    end = moment + timedelta(days=AUTHORITY_DAYS)
    certificate = (
        _builder(name, name, key, moment, end)
        .serial_number(serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _Pair(key, certificate)


def _make_server(authority: _Pair, hosts: Sequence[str], moment: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(moment + timedelta(days=SERVER_DAYS), authority.certificate.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tocsin")])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(subject, authority.certificate.subject, key, moment, end)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(hosts)), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Pair(key, certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .not_valid_before(start - _BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
