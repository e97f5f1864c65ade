"""What a connector's TLS properties come to, in our own words. Pure.

New-SendConnector: IgnoreSTARTTLS, RequireTLS, TlsAuthLevel, TlsDomain, SmartHostAuthMechanism,
DomainSecureEnabled; the last of them together with TLSSendDomainSecureList of Set-TransportConfig.
What Postfix calls these demands stands in `postfix.native`, how the delivery agent carries them
out in `delivery.tls`.
"""

from dataclasses import dataclass
from enum import Enum

from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import (
    SendConnector,
    SmartHostAuthMechanism,
    TlsAuthLevel,
)


class Starttls(Enum):
    """Whether a session goes over to TLS."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    REQUIRED = "required"


class NameSource(Enum):
    """Where the name comes from that the next hop's certificate must carry."""

    TLS_DOMAIN = "TlsDomain"
    RECIPIENT_DOMAIN = "recipient's domain"
    NEXT_HOP = "smart host's name"


@dataclass(frozen=True, slots=True)
class CertificateName:
    """A name that the next hop's certificate may carry; with `subdomains` any below `domain`."""

    domain: str
    subdomains: bool = False

    def __str__(self) -> str:
        return f"*.{self.domain}" if self.subdomains else self.domain


@dataclass(frozen=True, slots=True)
class TlsRequirement:
    """What a session must have before mail goes out.

    `chain`: the certificate must lead to an authority that we trust, and not be revoked.
    `name`: it must carry that name too; None: any.
    """

    starttls: Starttls
    chain: bool = False
    name: NameSource | None = None


_NEVER = TlsRequirement(Starttls.NEVER)
_IF_OFFERED = TlsRequirement(Starttls.IF_OFFERED)
_ENCRYPTED = TlsRequirement(Starttls.REQUIRED)
_TRUSTED = TlsRequirement(Starttls.REQUIRED, chain=True)
_NAMED = {
    name: TlsRequirement(Starttls.REQUIRED, chain=True, name=name)
    for name in (NameSource.TLS_DOMAIN, NameSource.RECIPIENT_DOMAIN, NameSource.NEXT_HOP)
}


def tls_requirement(connector: SendConnector) -> TlsRequirement:
    """What the connector demands wherever its mail goes.

    BasicAuthRequireTLS demands the chain as well: without it, whoever stands between us and the
    smart host could write the name into a certificate of their own, and be told the password.
    """
    if connector.ignore_starttls:
        return _NEVER
    if connector.tls_auth_level is TlsAuthLevel.DOMAIN_VALIDATION:
        named = connector.tls_domain is not None
        return _NAMED[NameSource.TLS_DOMAIN if named else NameSource.RECIPIENT_DOMAIN]
    if connector.smart_host_auth_mechanism is SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS:
        return _NAMED[NameSource.NEXT_HOP]
    if connector.tls_auth_level is TlsAuthLevel.CERTIFICATE_VALIDATION:
        return _TRUSTED
    return _ENCRYPTED if connector.require_tls else _IF_OFFERED


def mutual_tls_domains(connector: SendConnector, settings: OrganizationSettings) -> tuple[str, ...]:
    """The domains that DomainSecureEnabled reaches only by TLS with the domain's certificate."""
    if not connector.domain_secure_enabled or not connector.dns_routing_enabled:
        return ()
    return () if connector.ignore_starttls else settings.tls_send_domain_secure_list


def requirement_to(
    domain: str, connector: SendConnector, settings: OrganizationSettings
) -> TlsRequirement:
    """What is demanded for mail to one domain (as `model.domain.recipient_domain` has it)."""
    if domain in {each.lower() for each in mutual_tls_domains(connector, settings)}:
        return _NAMED[NameSource.RECIPIENT_DOMAIN]
    return tls_requirement(connector)


def certificate_names(
    requirement: TlsRequirement, domain: str, connector: SendConnector
) -> tuple[CertificateName, ...] | None:
    """The names of which a certificate must carry one; None: names are not looked at.

    An address has no name, so that nothing can meet the demand. Each smart host may prove itself
    by the name of any of the connector's: they are trusted with the same mail and password.
    """
    match requirement.name:
        case None:
            return None
        case NameSource.TLS_DOMAIN:
            demanded = connector.tls_domain
            return (CertificateName(demanded.domain, demanded.subdomains),) if demanded else ()
        case NameSource.NEXT_HOP if connector.smart_hosts:
            hosts = connector.smart_hosts
            return tuple(CertificateName(h.host) for h in hosts if not h.is_address)
    return () if domain.startswith("[") else (CertificateName(domain),)
