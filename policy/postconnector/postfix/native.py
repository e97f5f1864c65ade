"""What a connector becomes in Postfix: the settings of its smtp(8) service, or why it can't.

One function a group of properties; docs/properties.md has a row for each property.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from postconnector.model.error_policies import ErrorPolicy
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import (
    DEFAULT_MESSAGES_PER_CONNECTION,
    DEFAULT_TIME_OUT,
    SendConnector,
    SmartHostAuthMechanism,
    TlsAuthLevel,
)
from postconnector.model.topology import Server
from postconnector.postfix.facts import PostfixFacts

Setting = tuple[str, str]

DOMAIN_SECURE_TABLE = "domain-secure"
"""TLS policies of the domains in TLSSendDomainSecureList."""

DNS_FAILURES_TABLE = "dns-failures"
"""What DowngradeDnsFailures makes of failures: a table of patterns."""

TEMPORARY_DNS_FAILURES = (("/^5([.][0-9.]+.Host.or.domain.name.not.found.*)$/", "4$1"),)
MUTUAL_TLS = "secure match=nexthop"


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What a connector demands of the next hop's TLS, in Postfix' words.

    `level` is a TLS security level, or None where the host's own level and policies hold.
    `match`: names for smtp_tls_secure_cert_match. `shown`: for people.
    """

    level: str | None
    shown: str
    match: str | None = None


def agent_reason(connector: SendConnector, server: Server | None = None) -> str | None:
    """Why Postfix on this server can't deliver for this connector by itself; None if it can."""
    if (
        connector.tls_auth_level is TlsAuthLevel.CERTIFICATE_VALIDATION
        and connector.smart_host_auth_mechanism is not SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS
    ):
        return "Postfix can't check a certificate without its name (CertificateValidation)"
    if any(space.attributes for space in connector.address_spaces):
        return "Postfix can't compare the attributes of X.400 addresses"
    asks_own_dns = connector.use_external_dns_servers_enabled and connector.dns_routing_enabled
    if asks_own_dns and server is not None and server.external_dns_servers:
        return (
            "Postfix can't ask other DNS servers for one connector (UseExternalDNSServersEnabled)"
        )
    return None


def mutual_tls_domains(connector: SendConnector, settings: OrganizationSettings) -> tuple[str, ...]:
    """The domains that DomainSecureEnabled reaches only by TLS with the domain's certificate."""
    if not connector.domain_secure_enabled or not connector.dns_routing_enabled:
        return ()
    return () if connector.ignore_starttls else settings.tls_send_domain_secure_list


def next_hop(connector: SendConnector) -> str:
    """The nexthop of a connector's mail; empty means the recipient's domain."""
    if connector.dns_routing_enabled:
        return ""
    return ", ".join(
        f"[{host.host}]:{connector.port}" if host.is_address else f"{host.host}:{connector.port}"
        for host in connector.smart_hosts
    )


def tls_demand(connector: SendConnector) -> TlsDemand:
    """What the connector's TLS properties come to."""
    if connector.ignore_starttls:
        return TlsDemand("none", "none")
    if connector.tls_auth_level is TlsAuthLevel.DOMAIN_VALIDATION:
        if connector.tls_domain is None:
            return TlsDemand("secure", "verified: recipient's domain", "nexthop")
        dot = "." if connector.tls_domain.subdomains else ""
        match = dot + connector.tls_domain.domain
        return TlsDemand("secure", f"verified: {connector.tls_domain}", match)
    if connector.smart_host_auth_mechanism is SmartHostAuthMechanism.BASIC_AUTH_REQUIRE_TLS:
        return TlsDemand("secure", "verified: smart host's name", "nexthop")
    if connector.require_tls:
        return TlsDemand("encrypt", "encrypted")
    return TlsDemand(None, "if offered")


def service_settings(
    connector: SendConnector, service: str, facts: PostfixFacts, settings: OrganizationSettings
) -> tuple[Setting, ...]:
    """All settings (`-o`) of the connector's smtp(8) service."""
    policies = DOMAIN_SECURE_TABLE if mutual_tls_domains(connector, settings) else None
    return (
        ("syslog_name", f"{facts.syslog_name}/{service}"),
        ("smtp_fallback_relay", ""),
        *_greeting(connector),
        *_source_address(connector, facts),
        *_tls(connector, facts, policies),
        *_own_certificate(connector, service, facts),
        *_authentication(connector, service, facts),
        *_connections(connector),
        *_failures(connector, facts),
    )


def _greeting(connector: SendConnector) -> Iterator[Setting]:
    if connector.fqdn is not None:
        yield "smtp_helo_name", connector.fqdn
    if connector.force_helo:
        yield "smtp_never_send_ehlo", "yes"
        yield "smtp_always_send_ehlo", "no"
    if connector.dns_routing_enabled and connector.port != 25:
        yield "smtp_tcp_port", str(connector.port)


def _source_address(connector: SendConnector, facts: PostfixFacts) -> Iterator[Setting]:
    address = connector.source_ip_address
    if address is None:
        return
    yield "smtp_bind_address" if address.version == 4 else "smtp_bind_address6", str(address)
    yield "inet_protocols", f"ipv{address.version}"
    if facts.version >= (3, 7):
        yield "smtp_bind_address_enforce", "yes"


def _tls(connector: SendConnector, facts: PostfixFacts, table: str | None) -> Iterator[Setting]:
    """`table` names the policies that the connector has for single domains."""
    demand = tls_demand(connector)
    policies = facts.table(table) if table is not None else ""
    if demand.level is None:
        if host_tls_level(facts) in ("", "none"):
            yield "smtp_tls_security_level", "may"
        if policies:
            theirs = facts.parameter("smtp_tls_policy_maps")
            yield "smtp_tls_policy_maps", f"{policies}, {theirs}" if theirs else policies
            yield "smtp_tls_loglevel", "1"
        return
    yield "smtp_tls_security_level", demand.level
    # The host's exceptions for single destinations must not weaken what the connector demands.
    yield "smtp_tls_policy_maps", policies
    if facts.parameter("smtp_tls_per_site"):
        yield "smtp_tls_per_site", ""
    if demand.level != "none":
        yield "smtp_tls_loglevel", "1"
    if demand.match is not None:
        yield "smtp_tls_secure_cert_match", demand.match


def _connections(connector: SendConnector) -> Iterator[Setting]:
    """Postfix closes an idle connection after connection_cache_ttl_limit (2 s) at the latest."""
    messages = connector.smtp_max_messages_per_connection
    if messages == 1:
        yield "smtp_connection_cache_on_demand", "no"
        yield "smtp_connection_cache_destinations", ""
    elif messages != DEFAULT_MESSAGES_PER_CONNECTION:
        yield "smtp_connection_reuse_count_limit", str(messages - 1)  # the first is no reuse
    if connector.connection_inactivity_time_out != DEFAULT_TIME_OUT:
        seconds = math.ceil(connector.connection_inactivity_time_out.seconds)
        yield "smtp_connection_cache_time_limit", f"{seconds}s"


def downgrades_dns_failures(connector: SendConnector) -> bool:
    """Whether a domain that DNS does not know is only a temporary failure."""
    return ErrorPolicy.DOWNGRADE_DNS_FAILURES in connector.error_policies.policies


def _failures(connector: SendConnector, facts: PostfixFacts) -> Iterator[Setting]:
    if downgrades_dns_failures(connector):
        yield "smtp_delivery_status_filter", facts.pattern_table(DNS_FAILURES_TABLE)


def host_tls_level(facts: PostfixFacts) -> str:
    """The host's TLS security level, with the two parameters of old that stand for one."""
    level = facts.parameter("smtp_tls_security_level")
    if not level and facts.parameter("smtp_enforce_tls") == "yes":
        return "encrypt"
    if not level and facts.parameter("smtp_use_tls") == "yes":
        return "may"
    return level


def _own_certificate(
    connector: SendConnector, service: str, facts: PostfixFacts
) -> Iterator[Setting]:
    if connector.tls_certificate_name is not None and not connector.ignore_starttls:
        yield "smtp_tls_chain_files", f"{facts.live_directory}/{certificate_file(service)}"


def certificate_file(service: str) -> str:
    """Where a service's own certificate stands, in the folder of a generation."""
    return f"certificates/{service}.pem"


def password_table(service: str) -> str:
    """The name of the table with a service's credentials."""
    return f"passwords/{service}"


def _authentication(
    connector: SendConnector, service: str, facts: PostfixFacts
) -> Iterator[Setting]:
    if not connector.authenticates or not connector.smart_hosts:
        # The host's own credentials are not for this connector's next hops.
        yield "smtp_sasl_auth_enable", "no"
        return
    yield "smtp_sasl_auth_enable", "yes"
    yield "smtp_sasl_password_maps", facts.table(password_table(service))
    yield "smtp_sasl_security_options", "noanonymous"
    yield "smtp_sasl_tls_security_options", "noanonymous"
    yield "smtp_sender_dependent_authentication", "no"
