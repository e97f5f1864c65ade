"""The settings (`-o`) of a connector's smtp(8) service. Pure.

One function a group of properties; docs/properties.md has a row for each property.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from postconnector.enforcement.failure_policy import failure_policy
from postconnector.enforcement.header_firewall import header_firewall
from postconnector.enforcement.tls_requirement import mutual_tls_domains
from postconnector.model.error_policies import ErrorPolicy
from postconnector.model.organization import OrganizationSettings
from postconnector.model.send_connector import (
    DEFAULT_MESSAGES_PER_CONNECTION,
    DEFAULT_TIME_OUT,
    SendConnector,
)
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.failures import failure_table
from postconnector.postfix.header_checks import header_table
from postconnector.postfix.native import TlsDemand, logs_in, tls_demand
from postconnector.postfix.table_names import (
    DOMAIN_SECURE_TABLE,
    certificate_file,
    password_table,
    tls_policy_table,
)


class Setting(NamedTuple):
    """A parameter of the service; `reason` names the properties that it carries out.

    `then`: a parameter of main.cf whose tables are asked after those in `value`.
    """

    name: str
    value: str
    reason: str
    then: str | None = None


_OTHER_PARAMETER = re.compile(r"[$][A-Za-z0-9_]+")

HOST_TABLES = ("smtp_tls_policy_maps", "smtp_header_checks", "smtp_delivery_status_filter")
"""What a service sets although the host's own tables there still count, after ours."""

PART_CHECKS = ("smtp_mime_header_checks", "smtp_nested_header_checks")
"""Of parts and attached messages; a host may have them follow smtp_header_checks."""

_FOLLOWED = re.compile(r"[$](?:smtp_header_checks\b|[({]\s*smtp_header_checks\s*[)}])")


def host_tables(name: str, facts: PostfixFacts) -> str | None:
    """The parameter of main.cf that has the host's own value of one of HOST_TABLES.

    Where that only names another parameter ($default_delivery_status_filter), it is that one.
    """
    value = facts.parameter(name)
    if _OTHER_PARAMETER.fullmatch(value):
        return value.removeprefix("$")
    return f"postconnector_{name}" if value else None


def part_checks(name: str, facts: PostfixFacts) -> str | None:
    """The host's own value of one of PART_CHECKS; None if it does not follow smtp_header_checks.

    Ours there are for the headers of the message itself, so that it is put without them.
    """
    value, theirs = facts.parameter(name), host_tables("smtp_header_checks", facts)
    found = _FOLLOWED.search(value)
    return _FOLLOWED.sub(f"${theirs}" if theirs else "", value) if found else None


def own_settings(
    connector: SendConnector, facts: PostfixFacts, settings: OrganizationSettings
) -> Iterator[Setting]:
    """What no table can say for single next hops: connectors that differ here share no service."""
    yield from _greeting(connector)
    yield from _source_address(connector, facts)
    yield from _connections(connector)
    yield from _failures(connector, facts, settings)
    yield from _headers(connector, facts, settings)


def service_settings(
    service: str,
    connectors: Sequence[SendConnector],
    facts: PostfixFacts,
    settings: OrganizationSettings,
) -> tuple[Setting, ...]:
    """All settings of a service that carries out these connectors (see `sharing`)."""
    first = connectors[0]
    demands = {tls_demand(connector) for connector in connectors}
    return (
        Setting("syslog_name", f"{facts.syslog_name}/{service}", "Name"),
        Setting("smtp_fallback_relay", "", "SmartHosts"),
        *own_settings(first, facts, settings),
        *_not_as_the_host(first, facts),
        *_tls(demands, facts, _tls_tables(service, first, demands, facts, settings)),
        *_own_certificate(service, first, facts),
        *_login(service, first, facts),
    )


def host_tls_level(facts: PostfixFacts) -> str:
    """The host's TLS security level, with the two parameters of old that stand for one."""
    level = facts.parameter("smtp_tls_security_level")
    if not level and facts.parameter("smtp_enforce_tls") == "yes":
        return "encrypt"
    if not level and facts.parameter("smtp_use_tls") == "yes":
        return "may"
    return level


def _greeting(connector: SendConnector) -> Iterator[Setting]:
    if connector.fqdn is not None:
        yield Setting("smtp_helo_name", connector.fqdn, "Fqdn")
    if connector.force_helo:
        yield Setting("smtp_never_send_ehlo", "yes", "ForceHELO")
        yield Setting("smtp_always_send_ehlo", "no", "ForceHELO")
    if connector.dns_routing_enabled and connector.port != 25:
        yield Setting("smtp_tcp_port", str(connector.port), "Port")


def _not_as_the_host(connector: SendConnector, facts: PostfixFacts) -> Iterator[Setting]:
    """What the host has for all its mail, and would undo what a connector says."""
    if facts.parameter("smtp_tls_wrappermode") == "yes":
        yield Setting("smtp_tls_wrappermode", "no", "Port")
    if facts.parameter("smtp_never_send_ehlo") == "yes" and not connector.force_helo:
        yield Setting("smtp_never_send_ehlo", "no", "ForceHELO")
    if not connector.dns_routing_enabled:
        return
    if facts.parameter("disable_dns_lookups") == "yes":
        yield Setting("disable_dns_lookups", "no", "DNSRoutingEnabled")
    if facts.parameter("smtp_dns_support_level") == "disabled":
        yield Setting("smtp_dns_support_level", "enabled", "DNSRoutingEnabled")
    if connector.port == 25 and facts.parameter("smtp_tcp_port") not in ("", "smtp", "25"):
        yield Setting("smtp_tcp_port", "25", "Port")


def _source_address(connector: SendConnector, facts: PostfixFacts) -> Iterator[Setting]:
    address = connector.source_ip_address
    if address is None:
        return
    name = "smtp_bind_address" if address.version == 4 else "smtp_bind_address6"
    yield Setting(name, str(address), "SourceIPAddress")
    yield Setting("inet_protocols", f"ipv{address.version}", "SourceIPAddress")
    if facts.version >= (3, 7):
        yield Setting("smtp_bind_address_enforce", "yes", "SourceIPAddress")


def _connections(connector: SendConnector) -> Iterator[Setting]:
    """Postfix closes an idle connection after connection_cache_ttl_limit (2 s) at the latest."""
    messages, reason = connector.smtp_max_messages_per_connection, "SmtpMaxMessagesPerConnection"
    if messages == 1:
        yield Setting("smtp_connection_cache_on_demand", "no", reason)
        yield Setting("smtp_connection_cache_destinations", "", reason)
    elif messages != DEFAULT_MESSAGES_PER_CONNECTION:
        # The first message is no reuse.
        yield Setting("smtp_connection_reuse_count_limit", str(messages - 1), reason)
    if connector.connection_inactivity_time_out != DEFAULT_TIME_OUT:
        seconds = math.ceil(connector.connection_inactivity_time_out.seconds)
        reason = "ConnectionInactivityTimeOut"
        yield Setting("smtp_connection_cache_time_limit", f"{seconds}s", reason)


def _failures(
    connector: SendConnector, facts: PostfixFacts, settings: OrganizationSettings
) -> Iterator[Setting]:
    table, reason = failure_table(failure_policy(connector, settings)), "ErrorPolicies"
    if table is not None:
        name = "smtp_delivery_status_filter"
        yield Setting(name, facts.pattern_table(table), reason, host_tables(name, facts))
    if ErrorPolicy.DOWNGRADE_AUTH_FAILURES in connector.error_policies.policies:
        yield Setting("smtp_sasl_auth_soft_bounce", "yes", reason)


def _headers(
    connector: SendConnector, facts: PostfixFacts, settings: OrganizationSettings
) -> Iterator[Setting]:
    table = header_table(header_firewall(connector, settings))
    if table is not None:
        name, reason = "smtp_header_checks", "Usage, CloudServicesMailEnabled"
        yield Setting(name, facts.pattern_table(table), reason, host_tables(name, facts))
        for part in PART_CHECKS:
            if part_checks(part, facts) is not None:
                yield Setting(part, "", reason, f"postconnector_{part}")


def _tls_tables(
    service: str,
    connector: SendConnector,
    demands: set[TlsDemand],
    facts: PostfixFacts,
    settings: OrganizationSettings,
) -> Iterator[str]:
    """Our own tables of TLS policies, the one that may demand more first."""
    if mutual_tls_domains(connector, settings):
        yield facts.table(DOMAIN_SECURE_TABLE)
    if len(demands) > 1:
        yield facts.table(tls_policy_table(service))


def _tls(demands: set[TlsDemand], facts: PostfixFacts, tables: Iterator[str]) -> Iterator[Setting]:
    policies, reason = ", ".join(tables), "RequireTLS, TlsAuthLevel, TlsDomain"
    demand = next(iter(demands)) if len(demands) == 1 else _BY_TABLE
    if facts.parameter("smtp_tls_connection_reuse") == "yes" and demand.level != "none":
        # tlsproxy(8), which keeps the connections then, knows nothing of what is set here.
        yield Setting("smtp_tls_connection_reuse", "no", reason)
    if demand.level is None:
        if host_tls_level(facts) in ("", "none"):
            yield Setting("smtp_tls_security_level", "may", "IgnoreSTARTTLS")
        if policies:
            name, reason = "smtp_tls_policy_maps", "DomainSecureEnabled"
            yield Setting(name, policies, reason, host_tables(name, facts))
            yield Setting("smtp_tls_loglevel", "1", reason)
        return
    yield Setting("smtp_tls_security_level", demand.level, reason)
    # The host's exceptions for single destinations must not weaken what the connector demands.
    yield Setting("smtp_tls_policy_maps", policies, reason)
    if facts.parameter("smtp_tls_per_site"):
        yield Setting("smtp_tls_per_site", "", reason)
    if demand.level != "none":
        yield Setting("smtp_tls_loglevel", "1", reason)
    if demand.match is not None:
        yield Setting("smtp_tls_secure_cert_match", demand.match, reason)


_BY_TABLE = TlsDemand("secure", "by next hop", "nexthop")
"""A next hop that the table of policies did not have would have to prove its own name."""


def _own_certificate(
    service: str, connector: SendConnector, facts: PostfixFacts
) -> Iterator[Setting]:
    if connector.shows_certificate:
        file = f"{facts.live_directory}/{certificate_file(service)}"
        yield Setting("smtp_tls_chain_files", file, "TlsCertificateName")


def _login(service: str, connector: SendConnector, facts: PostfixFacts) -> Iterator[Setting]:
    reason = "SmartHostAuthMechanism"
    if not logs_in(connector):
        # The host's own credentials are not for this connector's next hops.
        yield Setting("smtp_sasl_auth_enable", "no", reason)
        return
    yield Setting("smtp_sasl_auth_enable", "yes", reason)
    table = facts.table(password_table(service))
    yield Setting("smtp_sasl_password_maps", table, "AuthenticationCredential")
    if facts.parameter("smtp_sasl_password_result_delimiter") not in ("", ":"):
        yield Setting("smtp_sasl_password_result_delimiter", ":", reason)
    yield Setting("smtp_sasl_security_options", "noanonymous", reason)
    yield Setting("smtp_sasl_tls_security_options", "noanonymous", reason)
    yield Setting("smtp_sender_dependent_authentication", "no", reason)
