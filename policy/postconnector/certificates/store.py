"""What a certificate store holds. Pure; `pem` reads it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from postconnector.model.x500_name import X500Name


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate with its private key, ready to be shown.

    `pem`: key, certificate and intermediates in this order, as smtp_tls_chain_files wants them.
    `names`: issuer and subject fit to be read. `sha256`: the fingerprint.
    """

    file: Path
    issuer: X500Name
    subject: X500Name
    not_before: datetime
    not_after: datetime
    names: tuple[str, str]
    sha256: str
    pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeylessCertificate:
    """A certificate whose private key is not in the store; most are other people's."""

    file: Path
    issuer: X500Name
    subject: X500Name


@dataclass(frozen=True, slots=True)
class CertificateStore:
    """The certificates that can be shown, others, and what in the folder could not be read."""

    directory: Path
    certificates: tuple[OwnCertificate, ...]
    keyless: tuple[KeylessCertificate, ...]
    problems: tuple[str, ...]
