"""Make two self-signed certificates for the laboratory's servers: `site.pem`, and `expired.pem` that ended in 2023."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def write_certificate(stem: Path, name: str, begins: datetime, ends: datetime) -> None:
    """`stem`.pem and `stem`.key, with `name` as subject and issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begins, ends)
    signed = made.sign(key, hashes.SHA256())
    stem.with_suffix(".pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    stem.with_suffix(".key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


def main() -> None:
    work, today = Path(sys.argv[1]), datetime.now(UTC)
    write_certificate(work / "site", "server.example", today - timedelta(days=9), today + timedelta(days=3000))
    past = datetime(2022, 1, 1, tzinfo=UTC)
    write_certificate(work / "expired", "freightline.example", past, past + timedelta(days=365))


if __name__ == "__main__":
    main()
