"""Reading the certificate store: a folder of PEM files with certificates and their private keys.

A certificate and its key may stand in one file or in two; certificates that are nobody's
leaf here serve as intermediates. Keys are only compared with certificates, never kept.

Bounds: 1,000 files, 1 MB each. What can't be read is reported, not passed over.
"""

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from postconnector.certificates.store import CertificateStore, KeylessCertificate, OwnCertificate
from postconnector.model.x500_name import X500Name, folded_part
from postconnector.sources.regular_file import read_regular_file

_MOST_FILES = 1000
_LARGEST_FILE = 1024**2
_LONGEST_NAME = 300
_SUFFIXES = {".pem", ".crt", ".cer", ".key"}
_KEYS = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.LOCALITY_NAME: "L",
    NameOID.STATE_OR_PROVINCE_NAME: "S",
    NameOID.COUNTRY_NAME: "C",
    NameOID.EMAIL_ADDRESS: "E",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.STREET_ADDRESS: "STREET",
    NameOID.TITLE: "T",
    NameOID.GIVEN_NAME: "G",
    NameOID.INITIALS: "I",
    NameOID.SURNAME: "SN",
    NameOID.SERIAL_NUMBER: "SERIALNUMBER",
}
"""Attribute keys as Windows writes them (Win32 CertNameToStr)."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A certificate as it stands in a file; `public_key` finds its private key."""

    file: Path
    certificate: x509.Certificate
    public_key: bytes


def read_store(directory: Path) -> CertificateStore:
    """Read all PEM files of a folder. One that is not there is empty."""
    problems: list[str] = []
    keys: dict[bytes, bytes] = {}
    certificates: list[_Read] = []
    for path in _pem_files(directory, problems):
        try:
            _read_pem(path, keys, certificates)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            problems.append(f"{path}: {error}")
    everything = [read.certificate for read in certificates]
    own = [
        _own(read.file, read.certificate, keys[read.public_key], everything)
        for read in certificates
        if read.public_key in keys
    ]
    keyless = [
        KeylessCertificate(
            read.file, windows_name(read.certificate.issuer), windows_name(read.certificate.subject)
        )
        for read in certificates
        if read.public_key not in keys
    ]
    return CertificateStore(directory, tuple(own), tuple(keyless), tuple(problems))


def _pem_files(directory: Path, problems: list[str]) -> list[Path]:
    try:
        files = sorted(p for p in directory.iterdir() if p.suffix.lower() in _SUFFIXES)
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{directory}: {error.strerror}")
        return []
    if len(files) > _MOST_FILES:
        problems.append(f"{directory}: only the first {_MOST_FILES} files were read")
    return files[:_MOST_FILES]


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, as OpenSSL writes it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def leaf_fingerprint(chain: bytes) -> str:
    """That of the certificate that comes first in PEM contents. Raises ValueError."""
    return fingerprint(x509.load_pem_x509_certificate(chain))


def windows_name(name: x509.Name) -> X500Name:
    """The parts of an X.509 name in Windows' order (most specific first), as they compare."""
    return X500Name(
        tuple(
            frozenset(folded_part(_KEYS.get(a.oid, a.oid.dotted_string), str(a.value)) for a in rdn)
            for rdn in reversed(name.rdns)
        )
    )


def _read_pem(path: Path, keys: dict[bytes, bytes], certificates: list[_Read]) -> None:
    data = read_regular_file(path, _LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError("larger than 1 MB")
    has_certificate = b"-----BEGIN CERTIFICATE-----" in data
    has_key = b"PRIVATE KEY-----" in data
    if not has_certificate and not has_key:
        raise ValueError("holds neither a certificate nor a private key in PEM form")
    if has_certificate:
        found = x509.load_pem_x509_certificates(data)
        certificates.extend([_Read(path, c, _public_bytes(c.public_key())) for c in found])
    if has_key:
        key = serialization.load_pem_private_key(data, password=None)
        keys[_public_bytes(key.public_key())] = key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]
        Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _issuer(
    certificate: x509.Certificate, everything: list[x509.Certificate]
) -> x509.Certificate | None:
    """The intermediate that signed a certificate; a root is the peer's to have."""
    for candidate in everything:
        if candidate.subject != certificate.issuer or candidate.subject == candidate.issuer:
            continue
        try:
            certificate.verify_directly_issued_by(candidate)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return candidate
    return None


def _shown(name: x509.Name) -> str:
    text = name.rfc4514_string()[:_LONGEST_NAME]
    return "".join(character if character.isprintable() else "?" for character in text)


def _own(
    path: Path,
    certificate: x509.Certificate,
    key: bytes,
    everything: list[x509.Certificate],
) -> OwnCertificate:
    chain = [certificate]
    while (issuer := _issuer(chain[-1], everything)) is not None and issuer not in chain:
        chain.append(issuer)
    return OwnCertificate(
        file=path,
        issuer=windows_name(certificate.issuer),
        subject=windows_name(certificate.subject),
        not_before=certificate.not_valid_before_utc.astimezone(UTC),
        not_after=certificate.not_valid_after_utc.astimezone(UTC),
        names=(_shown(certificate.issuer), _shown(certificate.subject)),
        sha256=fingerprint(certificate),
        pem=key + b"".join(c.public_bytes(Encoding.PEM) for c in chain),
    )
