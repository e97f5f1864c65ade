"""Picking the certificate that a TlsCertificateName names. Pure: the clock is an argument."""

from datetime import datetime

from postconnector.certificates.store import CertificateStore, OwnCertificate
from postconnector.model.tls_certificate_name import TlsCertificateName


class NoCertificateError(Exception):
    """No certificate can be shown for this name; the text says why and what to do."""


def choose_certificate(
    name: TlsCertificateName, store: CertificateStore, now: datetime
) -> OwnCertificate:
    """Return the certificate with this issuer and subject that is valid at `now`.

    Of several valid ones, as after a renewal, the one that became valid last is taken.
    Raises NoCertificateError when there is none.
    """
    named = [c for c in store.certificates if c.issuer == name.issuer and c.subject == name.subject]
    if not named:
        raise NoCertificateError(
            "no certificate with this issuer and subject and with its private key is in"
            f" {store.directory}; put a PEM file with both there"
        )
    valid = [c for c in named if c.not_before <= now <= c.not_after]
    if valid:
        return max(valid, key=lambda c: c.not_before)
    latest = max(named, key=lambda c: c.not_after)
    if latest.not_after < now:
        raise NoCertificateError(
            f"the certificate in {latest.file} expired on {latest.not_after:%Y-%m-%d %H:%M} UTC;"
            " renew it"
        )
    raise NoCertificateError(
        f"the certificate in {latest.file} is not valid before"
        f" {latest.not_before:%Y-%m-%d %H:%M} UTC"
    )
