"""The names of a connector's properties, in TOML's snake_case and in Exchange's spelling.

Both are read everywhere, without regard to case and underscores.
"""

import difflib
from collections.abc import Iterable

EXCHANGE_NAMES = {
    "name": "Name",
    "enabled": "Enabled",
    "usage": "Usage",
    "comment": "Comment",
    "address_spaces": "AddressSpaces",
    "max_message_size": "MaxMessageSize",
    "dns_routing_enabled": "DNSRoutingEnabled",
    "smart_hosts": "SmartHosts",
    "port": "Port",
    "smart_host_auth_mechanism": "SmartHostAuthMechanism",
    "authentication_credential": "AuthenticationCredential",
    "fqdn": "Fqdn",
    "source_ip_address": "SourceIPAddress",
    "force_helo": "ForceHELO",
    "ignore_starttls": "IgnoreSTARTTLS",
    "require_tls": "RequireTLS",
    "tls_auth_level": "TlsAuthLevel",
    "tls_domain": "TlsDomain",
    "tls_certificate_name": "TlsCertificateName",
}
"""Properties that this version carries out."""

NOT_CARRIED_OUT = {
    "cloud_services_mail_enabled": "CloudServicesMailEnabled",
    "connection_inactivity_time_out": "ConnectionInactivityTimeOut",
    "connector_type": "ConnectorType",
    "domain_secure_enabled": "DomainSecureEnabled",
    "error_policies": "ErrorPolicies",
    "frontend_proxy_enabled": "FrontendProxyEnabled",
    "is_coexistence_connector": "IsCoexistenceConnector",
    "is_scoped_connector": "IsScopedConnector",
    "linked_receive_connector": "LinkedReceiveConnector",
    "protocol_logging_level": "ProtocolLoggingLevel",
    "require_oorg": "RequireOorg",
    "smtp_max_messages_per_connection": "SmtpMaxMessagesPerConnection",
    "source_transport_servers": "SourceTransportServers",
    "use_external_dns_servers_enabled": "UseExternalDNSServersEnabled",
}
"""Properties of Exchange that this version refuses rather than overlooks."""


def folded(name: str) -> str:
    """A property's name without case and underscores."""
    return name.replace("_", "").casefold()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like `name`, if one does."""
    by_folded = {folded(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(folded(name), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None
