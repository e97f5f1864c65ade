"""What one session demands of TLS, ready to be carried out. No I/O."""

import ssl
from dataclasses import dataclass

from postconnector.enforcement.tls_requirement import CertificateName, Starttls

__all__ = ["CertificateName", "Starttls", "TlsFacts", "TlsFailedError", "TlsPolicy"]


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """`context` verifies the chain or not, shows our certificate or none, knows the CRLs.

    `names`: one of them must be in the next hop's certificate; None: names are not looked at.
    None of `context` exactly if STARTTLS is never given.
    """

    starttls: Starttls
    context: ssl.SSLContext | None
    names: tuple[CertificateName, ...] | None = None


class TlsFailedError(Exception):
    """The next hop's TLS does not meet the demand; the text says what was expected and seen."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was agreed with the next hop: `version` (TLSv1.3), `cipher`, `bits` of its key.

    `certificate`: what the next hop showed, DER. `verified`: the chain was verified, and, where
    the policy has names, the name too.
    """

    version: str
    cipher: str
    bits: int
    certificate: bytes | None
    verified: bool
