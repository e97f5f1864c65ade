"""The header firewall: which of Exchange's headers leave by a connector, and which do not. Pure.

Header firewall (Exchange 2013), Send connectors (Exchange 2016): a connector's permissions to
send routing, organization and forest headers come from its usage type up to 2013, and are the
same for every connector since 2016. Who they are given to is the next hop as it authenticates: we
never speak as Exchange servers do, so a next hop is anonymous, externally secured
(ExternalAuthoritative), or a partner server (its certificate is verified by name).
"""

from dataclasses import dataclass
from enum import Enum

from postconnector.enforcement.tls_requirement import mutual_tls_domains
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import (
    SendConnector,
    SmartHostAuthMechanism,
    TlsAuthLevel,
    Usage,
)
from postconnector.model.versions import is_in_version

ORGANIZATION = "X-MS-Exchange-Organization-"
FOREST = "X-MS-Exchange-Forest-"
CROSS_PREMISES = "X-MS-Exchange-CrossPremises-"
"""With these the names of headers begin, in any case of letters."""

ROUTING = (
    "Received",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Resent-Message-ID",
)
"""Whole names of headers."""

CROSSING = (
    "AuthAs",
    "AuthMechanism",
    "AuthSource",
    "TransportTrafficType",
    "TransportTrafficSubType",
    "SCL",
    "MessageSource",
    "BCC",
    "OriginalClientIPAddress",
    "Antispam-ScanContext",
    "Processed-By-Journaling",
    "Mapi-Admin-Submission",
)
"""What follows ORGANIZATION in the names of those that CrossPremises headers are made of.

Those seen converted in real mail; Microsoft lists none.
"""


class CrossPremises(Enum):
    """What becomes of X-MS-Exchange-CrossPremises- headers (CloudServicesMailEnabled)."""

    AS_THEY_ARE = "kept"
    REMOVED = "removed"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class HeaderFirewall:
    """What one connector does to headers of Exchange, those of the message itself alone.

    `organization`: X-MS-Exchange-Organization- and -Forest- headers leave. `routing`: Received
    and Resent- headers leave. Where CrossPremises headers are made, that comes first.
    """

    organization: bool
    routing: bool
    cross_premises: CrossPremises

    @property
    def is_open(self) -> bool:
        """Whether every header leaves as it is."""
        as_they_are = self.cross_premises is CrossPremises.AS_THEY_ARE
        return self.organization and self.routing and as_they_are

    @property
    def permissions(self) -> tuple[str, ...]:
        """The permissions to send headers, by the names that Exchange's protocol log has."""
        routing = ("SendRoutingHeaders",) if self.routing else ()
        inner = ("SendForestHeaders", "SendOrganizationHeaders") if self.organization else ()
        return (*routing, *inner)


def header_firewall(connector: SendConnector, settings: OrganizationSettings) -> HeaderFirewall:
    """The header firewall of a connector."""
    return HeaderFirewall(
        organization=_leaves_organization(connector, settings),
        routing=_leaves_routing(connector, settings),
        cross_premises=_cross_premises(connector, settings),
    )


def _by_usage(settings: OrganizationSettings) -> bool:
    return settings.exchange_version in (ExchangeVersion.V2010, ExchangeVersion.V2013)


def _is_externally_secured(connector: SendConnector) -> bool:
    return (
        connector.smart_host_auth_mechanism is SmartHostAuthMechanism.EXTERNAL_AUTHORITATIVE
        and not connector.dns_routing_enabled
    )


def _leaves_organization(connector: SendConnector, settings: OrganizationSettings) -> bool:
    return (
        _by_usage(settings)
        and connector.usage is Usage.INTERNAL
        and _is_externally_secured(connector)
    )


def _leaves_routing(connector: SendConnector, settings: OrganizationSettings) -> bool:
    """Exchange 2013 gives Custom no permission either. But Custom is also what a connector is of
    which nobody said the usage, as in every export; and Received headers are how loops end.
    """
    if not _by_usage(settings):
        return True
    match connector.usage:
        case Usage.INTERNAL:
            return _is_externally_secured(connector)
        case Usage.PARTNER:
            verified = connector.tls_auth_level is TlsAuthLevel.DOMAIN_VALIDATION
            return verified or bool(mutual_tls_domains(connector, settings))
        case _:
            return True


def _cross_premises(connector: SendConnector, settings: OrganizationSettings) -> CrossPremises:
    if not is_in_version("cloud_services_mail_enabled", settings.exchange_version):
        return CrossPremises.AS_THEY_ARE
    if connector.cloud_services_mail_enabled:
        return CrossPremises.MADE
    return CrossPremises.REMOVED
