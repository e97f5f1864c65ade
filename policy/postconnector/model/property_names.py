"""The names of a connector's properties, in TOML's snake_case and in Exchange's spelling.

Both are read everywhere, without regard to case and underscores.
"""

import difflib
from collections.abc import Iterable
from functools import lru_cache

EXCHANGE_NAMES = {
    "name": "Name",
    "enabled": "Enabled",
    "usage": "Usage",
    "comment": "Comment",
    "address_spaces": "AddressSpaces",
    "is_scoped_connector": "IsScopedConnector",
    "source_transport_servers": "SourceTransportServers",
    "max_message_size": "MaxMessageSize",
    "dns_routing_enabled": "DNSRoutingEnabled",
    "smart_hosts": "SmartHosts",
    "port": "Port",
    "smart_host_auth_mechanism": "SmartHostAuthMechanism",
    "authentication_credential": "AuthenticationCredential",
    "fqdn": "Fqdn",
    "source_ip_address": "SourceIPAddress",
    "force_helo": "ForceHELO",
    "frontend_proxy_enabled": "FrontendProxyEnabled",
    "use_external_dns_servers_enabled": "UseExternalDNSServersEnabled",
    "ignore_starttls": "IgnoreSTARTTLS",
    "require_tls": "RequireTLS",
    "tls_auth_level": "TlsAuthLevel",
    "tls_domain": "TlsDomain",
    "tls_certificate_name": "TlsCertificateName",
    "domain_secure_enabled": "DomainSecureEnabled",
    "cloud_services_mail_enabled": "CloudServicesMailEnabled",
    "error_policies": "ErrorPolicies",
    "connection_inactivity_time_out": "ConnectionInactivityTimeOut",
    "smtp_max_messages_per_connection": "SmtpMaxMessagesPerConnection",
    "protocol_logging_level": "ProtocolLoggingLevel",
    "connector_type": "ConnectorType",
    "require_oorg": "RequireOorg",
    "is_coexistence_connector": "IsCoexistenceConnector",
    "linked_receive_connector": "LinkedReceiveConnector",
}
"""Every property of a Send connector, in the order in which they are shown."""

USAGE_SWITCHES = ("Custom", "Internal", "Internet", "Partner")
"""Switches of New-SendConnector, each another way to say Usage."""

COMMAND_PARAMETERS = ("DomainController", "Force", "Confirm", "WhatIf")
"""Parameters of the commands that say nothing of the connector."""

READ_ONLY = frozenset(
    (
        "Identity",
        "Id",
        "Guid",
        "DistinguishedName",
        "ObjectCategory",
        "ObjectClass",
        "ObjectState",
        "OrganizationId",
        "OrganizationalUnitRoot",
        "OriginatingServer",
        "WhenChanged",
        "WhenChangedUTC",
        "WhenCreated",
        "WhenCreatedUTC",
        "ExchangeVersion",
        "ExchangeObjectId",
        "AdminDisplayName",
        "IsValid",
        "IsSmtpConnector",
        "SmartHostsString",
        "CertificateSubject",
        "Region",
        "ConnectedDomains",
        "SourceRoutingGroup",
        "HomeMTA",
        "HomeMtaServerId",
        "PSComputerName",
        "PSShowComputerName",
        "RunspaceId",
        "PSSourceJobInstanceId",
    )
)
"""What Get-SendConnector shows besides, and nobody can set."""


_OTHER_NAMES = {
    "ad_cost": "ADCost",
    "external_dns_servers": "ExternalDNSServers",
    "tls_send_domain_secure_list": "TLSSendDomainSecureList",
}


def exchange_name(field: str) -> str:
    """The name of a property, of a connector or of what stands around it, as Exchange has it."""
    known = EXCHANGE_NAMES.get(field) or _OTHER_NAMES.get(field)
    return known or "".join(part.capitalize() for part in field.split("_"))


@lru_cache(maxsize=1000)
def folded(name: str) -> str:
    """A property's name without case and underscores."""
    return name.replace("_", "").casefold()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, if one does."""
    by_folded = {folded(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(folded(name), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None
