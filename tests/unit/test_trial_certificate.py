"""Certificates as people read them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from postconnector.delivery.trial.certificate import read_certificate
from tests.lab.chains import CertificateKind, Chains


def leaf(tmp_path: Path, kind: CertificateKind) -> bytes:
    issued = Chains(tmp_path).issue("peer", kind)
    certificate = x509.load_pem_x509_certificates(issued.read_bytes())[0]
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(("key", "shown"), [("ecdsa", "ECDSA, secp256r1"), ("rsa 2048", "RSA, 2")])
def test_what_is_shown(tmp_path: Path, key: str, shown: str) -> None:
    kind = CertificateKind(names=("a.test",), common_names=("b.test\x1b[2J",), key=key)
    data = leaf(tmp_path, kind)
    now = datetime.now(UTC)
    found = read_certificate(data, now)
    assert found is not None
    assert found.names == ("a.test", "b.test\\x1b[2J")
    assert found.subject.isprintable()
    assert found.issuer == "CN=Contoso Test Root,O=Contoso"
    assert not found.self_signed
    assert found.days_left == 29
    assert found.key.startswith(shown)
    assert len(found.fingerprint) == 95
    later = read_certificate(data, now + timedelta(days=40))
    assert later is not None
    assert later.days_left < 0


@pytest.mark.parametrize("data", [b"", b"\x30\x03\x02\x01\x01", b"\xff" * 100])
def test_what_is_no_certificate(data: bytes) -> None:
    assert read_certificate(data, datetime.now(UTC)) is None
