"""A certificate that a next hop showed, fit to be read by people. No I/O."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from postconnector.certificates.pem import fingerprint
from postconnector.delivery.tls.names import UnreadableCertificateError, names_in
from postconnector.model.plain_text import clean

_LONGEST = 300
_MOST_NAMES = 1000


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """`names`: of its SAN and CN. `days_left`: whole ones, negative once it has expired.

    `self_signed`: its issuer has its own name. `fingerprint`: SHA-256 of all of it, as OpenSSL
    writes it.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    days_left: int
    names: tuple[str, ...]
    key: str
    fingerprint: str

    @property
    def self_signed(self) -> bool:
        """Whether it is its own authority."""
        return self.subject == self.issuer


def read_certificate(data: bytes, now: datetime) -> ShownCertificate | None:
    """From DER; None for what can't be read."""
    try:
        certificate = x509.load_der_x509_certificate(data)
        return ShownCertificate(
            subject=_shown(certificate.subject.rfc4514_string()),
            issuer=_shown(certificate.issuer.rfc4514_string()),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            days_left=(certificate.not_valid_after_utc - now).days,
            names=_names(data),
            key=_key(certificate),
            fingerprint=fingerprint(certificate),
        )
    except (ValueError, TypeError):
        return None


def _names(data: bytes) -> tuple[str, ...]:
    try:
        return tuple(_shown(name) for name in names_in(data)[:_MOST_NAMES])
    except UnreadableCertificateError:
        return ()


def _key(certificate: x509.Certificate) -> str:
    try:
        match certificate.public_key():
            case rsa.RSAPublicKey(key_size=bits):
                return f"RSA, {bits} bits"
            case ec.EllipticCurvePublicKey(curve=curve):
                return f"ECDSA, {curve.name}"
            case key:
                return type(key).__name__.strip("_").removesuffix("PublicKey")
    except (ValueError, UnsupportedAlgorithm):
        return "unknown"


def _shown(text: str) -> str:
    return clean(text)[:_LONGEST]
