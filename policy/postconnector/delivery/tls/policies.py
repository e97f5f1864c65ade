"""From a connector to the TLS policy of a session with its next hop."""

from datetime import datetime

from cryptography import x509

from postconnector.certificates.choice import NoCertificateError
from postconnector.delivery.tls.contexts import TlsContexts
from postconnector.delivery.tls.policy import TlsPolicy
from postconnector.enforcement.tls_requirement import Starttls, certificate_names, requirement_to
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import SendConnector


def certificate_to_show(
    connector: SendConnector, published: bytes | None, now: datetime
) -> bytes | None:
    """The certificate of ours that the connector shows; None if TlsCertificateName names none.

    `published`: key, certificate and intermediates (PEM), as `apply` picked them from the store.
    Raises NoCertificateError if they are not there, or not valid at `now`: then mail waits, as in
    Exchange. The certificate that Exchange picks by Fqdn when none is named is not shown.
    """
    if not connector.shows_certificate:
        return None
    if published is None:
        raise NoCertificateError("the certificate named by TlsCertificateName can't be read")
    try:
        certificate = x509.load_pem_x509_certificate(published)
    except ValueError:
        raise NoCertificateError("the certificate named by TlsCertificateName is none") from None
    if certificate.not_valid_after_utc < now:
        raise NoCertificateError(
            "the certificate named by TlsCertificateName expired on"
            f" {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it"
        )
    if certificate.not_valid_before_utc > now:
        raise NoCertificateError(
            "the certificate named by TlsCertificateName is not valid before"
            f" {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        )
    return published


def tls_policy(
    domain: str,
    connector: SendConnector,
    settings: OrganizationSettings,
    contexts: TlsContexts,
    shown: bytes | None,
) -> TlsPolicy:
    """What is demanded for mail to `domain` (as `model.domain.recipient_domain` has it).

    The same for every target of the connector. Its smart hosts are what `LocalRouting.resolved`
    makes of them; `shown` is what `certificate_to_show` returned. Raises TrustError,
    NoCertificateError.
    """
    requirement = requirement_to(domain, connector, settings)
    if requirement.starttls is Starttls.NEVER:
        return TlsPolicy(Starttls.NEVER, None)
    return TlsPolicy(
        requirement.starttls,
        contexts.context(chain=requirement.chain, shown=shown),
        certificate_names(requirement, domain, connector),
    )
