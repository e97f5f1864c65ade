"""Whether a certificate carries a name. No I/O.

As Exchange does, and unlike RFC 6125, the subject's common name counts beside the DNS names of
subjectAltName, whether there are any or not; of several, which Exchange's pages say nothing of,
each, as with OpenSSL. Addresses, e-mail addresses and URIs are no names. A wildcard is the whole
first label and stands for one label, above at least two others: *.contoso.com for
mail.contoso.com, not for contoso.com or mx.eu.contoso.com; *.com for nothing. Internationalised
names are compared as A-labels, as RFC 5280 has them, and without case.
"""

import re
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from postconnector.enforcement.tls_requirement import CertificateName

_LARGEST = 128 * 1024
"""Bytes of a certificate; OpenSSL takes no chain above 100 KB, so that names are bounded too."""

_LONGEST = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?P<wildcard>[*][.](?=[^.]+[.]))?(?P<domain>{_LABEL}(?:[.]{_LABEL})*)")


class UnreadableCertificateError(Exception):
    """The names of a certificate can't be read, so that it carries none."""


def names_in(certificate: bytes) -> tuple[str, ...]:
    """The names in a certificate (DER) as they are written there, those of the SAN first.

    Raises UnreadableCertificateError.
    """
    if len(certificate) > _LARGEST:
        raise UnreadableCertificateError(f"it is larger than {_LARGEST // 1024} KB")
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        common = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        written = [str(attribute.value) for attribute in common]
        return tuple(dict.fromkeys([*_alternative_names(parsed), *written]))
    except (ValueError, TypeError) as error:
        raise UnreadableCertificateError("it is not as RFC 5280 wants it") from error


def carries(names: Iterable[str], demanded: Sequence[CertificateName]) -> bool:
    """Whether one of a certificate's names is one of those demanded."""
    return any(_meets(name, each) for name in names for each in demanded)


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _meets(name: str, demanded: CertificateName) -> bool:
    """A wildcard in the certificate meets `*.domain` if all that it stands for lies below."""
    written = _NAME.fullmatch(name) if len(name) <= _LONGEST else None
    if written is None:
        return False
    domain, wanted = written["domain"].lower(), demanded.domain.lower()
    if demanded.subdomains:
        is_domain = written["wildcard"] is not None and domain == wanted
        return is_domain or domain.endswith(f".{wanted}")
    if written["wildcard"] is not None:
        return wanted.partition(".")[2] == domain
    return domain == wanted
