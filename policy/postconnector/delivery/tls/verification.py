"""Whether a session's TLS meets the demand, and in plain words why it does not. No I/O.

OpenSSL verifies the chain while it shakes hands; names are looked at afterwards, before anything
else is said.
"""

import ssl
from collections.abc import Iterable

from postconnector.delivery.tls.names import UnreadableCertificateError, carries, names_in
from postconnector.delivery.tls.policy import CertificateName, TlsFacts, TlsFailedError, TlsPolicy
from postconnector.model.plain_text import clean

_MOST_SHOWN = 5
_LONGEST_SHOWN = 100

_CHAIN_FAILURES = {
    2: "a certificate of an authority is missing in its chain (unable to get issuer certificate)",
    3: "an authority of its chain has no revocation list here (unable to get certificate CRL)",
    9: "a certificate of its chain is not valid yet",
    10: "a certificate of its chain has expired",
    11: "the revocation list of an authority is not valid yet",
    12: "the revocation list of an authority has expired",
    18: "it is self-signed, and not trusted here",
    19: "its chain leads to an authority that is not trusted here (self-signed certificate in"
    " chain)",
    20: "its chain leads to no authority that is trusted here, or the server does not send its"
    " intermediate certificates (unable to get local issuer certificate)",
    21: "its chain leads to no authority that is trusted here, or the server does not send its"
    " intermediate certificates (unable to verify the first certificate)",
    23: "a certificate of its chain has been revoked",
    26: "it is not for servers (unsupported certificate purpose)",
    66: "its key is too weak",
    67: "the key of an authority of its chain is too weak",
    68: "a certificate of its chain is signed with a digest that is too weak",
    79: "an authority of its chain is no authority (invalid CA certificate)",
}
"""By OpenSSL's X509_V_ERR numbers (x509_vfy.h)."""

_HANDSHAKE_FAILURES = {
    "WRONG_VERSION_NUMBER": "what the server sends is not TLS",
    "HTTP_REQUEST": "what the server sends is not TLS",
    "UNSUPPORTED_PROTOCOL": "the server has no TLS version that is accepted here (1.2 at least)",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the server has no TLS version that is accepted here"
    " (1.2 at least)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server found no cipher in common, or wants a certificate"
    " of ours (TlsCertificateName)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a certificate of ours"
    " (TlsCertificateName)",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not trust the authority of our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server does not accept our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "the server does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the server does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "for the server our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "for the server our certificate has been revoked",
    "TLSV1_ALERT_ACCESS_DENIED": "the server accepts our certificate, and denies us access",
    "TLSV1_UNRECOGNIZED_NAME": "the server does not know the name that it was reached by",
    "DH_KEY_TOO_SMALL": "the server's key is too weak",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection",
}
"""By OpenSSL's names of reasons (sslerr.h)."""


def verify(policy: TlsPolicy, session: ssl.SSLObject) -> TlsFacts:
    """What was agreed on, after the handshake; raises TlsFailedError if it is not enough."""
    certificate = session.getpeercert(binary_form=True)
    if policy.names is not None:
        _verify_names(policy.names, certificate)
    name, version, bits = session.cipher() or ("", "", 0)
    chain = policy.context is not None and policy.context.verify_mode is ssl.CERT_REQUIRED
    return TlsFacts(session.version() or version, name, bits, certificate, verified=chain)


def handshake_failure(error: Exception) -> TlsFailedError:
    """What broke a handshake off, or a session under TLS, as a sentence for senders."""
    if isinstance(error, TlsFailedError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        said = clean(str(error.verify_message))[:_LONGEST_SHOWN]
        reason = _CHAIN_FAILURES.get(error.verify_code, said)
        return TlsFailedError(f"the server's certificate can't be trusted: {reason}")
    return TlsFailedError(f"the TLS handshake failed: {_handshake_reason(error)}")


def _verify_names(demanded: tuple[CertificateName, ...], certificate: bytes | None) -> None:
    expected = _shown(str(name) for name in demanded) or "a name, which an address has not"
    try:
        seen = names_in(certificate) if certificate else ()
    except UnreadableCertificateError as error:
        raise TlsFailedError(
            f"the names in the server's certificate can't be read ({error}); expected: {expected}"
        ) from error
    if not carries(seen, demanded):
        raise TlsFailedError(
            "the server's certificate has another name; expected:"
            f" {expected}; seen: {_shown(seen) or 'none'}"
        )


def _handshake_reason(error: Exception) -> str:
    match error:
        case TimeoutError() | ConnectionAbortedError(errno=None):  # the latter is asyncio's
            return "the server did not answer in time"
        case ssl.SSLEOFError() | EOFError() | ConnectionError():
            return "the server closed the connection"
        case ssl.SSLError(reason=str(reason)):
            return _HANDSHAKE_FAILURES.get(reason, clean(reason.replace("_", " ").lower()))
        case OSError(strerror=str(text)):
            return clean(text)
        case _:
            return type(error).__name__


def _shown(names: Iterable[str]) -> str:
    """The first of them, fit for a reply: a certificate may have thousands."""
    every = [clean(name)[:_LONGEST_SHOWN] for name in names]
    more = len(every) - _MOST_SHOWN
    shown = ", ".join(every[:_MOST_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
