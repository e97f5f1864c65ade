"""Picking the certificate that a TlsCertificateName names. Pure: the clock is an argument."""

from datetime import datetime

from postconnector.certificates.store import CertificateStore, OwnCertificate
from postconnector.model.tls_certificate_name import TlsCertificateName

_MOST_NAMED = 5


class NoCertificateError(Exception):
    """No certificate can be shown for this name; the text says why and what to do.

    `latest`: the one that could be if it were its time.
    """

    def __init__(self, text: str, latest: OwnCertificate | None = None) -> None:
        super().__init__(text)
        self.latest = latest


def choose_certificate(
    name: TlsCertificateName, store: CertificateStore, now: datetime
) -> OwnCertificate:
    """Return the certificate with this issuer and subject that is valid at `now`.

    Of several valid ones, as after a renewal, the one that became valid last is taken.
    Raises NoCertificateError when there is none.
    """
    named = _named(name, store)
    if not named:
        raise NoCertificateError(
            "no certificate with this issuer and subject and with its private key is in"
            f" {store.directory}; put a PEM file with both there{_what_is_there(name, store)}"
        )
    if valid := [c for c in named if c.not_before <= now <= c.not_after]:
        return max(valid, key=_becomes_valid)
    latest = max(named, key=lambda c: (c.not_after, c.sha256))
    if latest.not_after < now:
        raise NoCertificateError(
            f"the certificate in {latest.file} expired on {latest.not_after:%Y-%m-%d %H:%M} UTC;"
            " renew it",
            latest,
        )
    raise NoCertificateError(
        f"the certificate in {latest.file} is not valid before"
        f" {latest.not_before:%Y-%m-%d %H:%M} UTC",
        latest,
    )


def reason_for(
    chosen: OwnCertificate, name: TlsCertificateName, store: CertificateStore, now: datetime
) -> str:
    """Why `choose_certificate` took this one; the same text until it takes another."""
    others = [c for c in _named(name, store) if c.sha256 != chosen.sha256]
    if not others:
        return "the only one with this issuer and subject"
    listed = sorted(others, key=_becomes_valid, reverse=True)
    why = ", ".join(_not_taken(other, chosen, now) for other in listed[:_MOST_NAMED])
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return f"of {len(others) + 1}, the valid one that became valid last; not {why}{more}"


def _not_taken(other: OwnCertificate, chosen: OwnCertificate, now: datetime) -> str:
    if _becomes_valid(other) <= _becomes_valid(chosen):
        why = f"valid since {other.not_before:%Y-%m-%d %H:%M}"
    elif other.not_after < now:
        why = f"expired on {other.not_after:%Y-%m-%d %H:%M}"
    else:
        why = f"not valid before {other.not_before:%Y-%m-%d %H:%M}"
    return f"{other.file.name} ({why})"


def _becomes_valid(certificate: OwnCertificate) -> tuple[datetime, datetime, str]:
    """Orders also those that became valid at once, by nothing that a new name of a file changes."""
    return certificate.not_before, certificate.not_after, certificate.sha256


def _named(name: TlsCertificateName, store: CertificateStore) -> list[OwnCertificate]:
    return [c for c in store.certificates if c.issuer == name.issuer and c.subject == name.subject]


def _what_is_there(name: TlsCertificateName, store: CertificateStore) -> str:
    for keyless in store.keyless:
        if (keyless.issuer, keyless.subject) == (name.issuer, name.subject):
            return f" ({keyless.file.name} has the certificate, and no file has its key)"
    if store.problems:
        return f" (not all could be read: {store.problems[0]})"
    return ""
