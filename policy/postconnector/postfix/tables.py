"""The lookup tables that an organization becomes on one host. Pure.

The transport table gets the small-message winner of every address: `contoso.com` as it is,
`*.contoso.com` as `.contoso.com` (any depth) and, where nothing more precise claims it,
`contoso.com`. A domain that Postfix delivers to by itself, or that Exchange does, stays there.
"""

from collections.abc import Iterator, Mapping, Sequence

from postconnector.model.address_space import Specificity
from postconnector.model.imcea import encapsulated
from postconnector.model.topology import DomainType
from postconnector.postfix.compiled import Service, Table
from postconnector.postfix.header_firewall import header_firewall
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import logs_in, mutual_tls_domains, next_hops, tls_demand
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.settings import downgrades_dns_failures
from postconnector.postfix.sharing import policy_keys
from postconnector.postfix.table_names import (
    DNS_FAILURES_TABLE,
    DOMAIN_SECURE_TABLE,
    FOREIGN_TABLE,
    TRANSPORT_TABLE,
    password_table,
    tls_policy_table,
)
from postconnector.selection.outcome import Candidate, Selected
from postconnector.selection.routing_table import RoutingTable

MUTUAL_TLS = "secure match=nexthop"
TEMPORARY_DNS_FAILURES = (("/^5([.][0-9.]+.Host.or.domain.name.not.found.*)$/", "4$1"),)
AS_WITHOUT_TABLE = ":"
"""The right-hand side that sends mail where it would go without a table (transport(5))."""


def compile_tables(
    local: LocalRouting, own: OwnNames, passwords: Mapping[str, str], services: Sequence[Service]
) -> Iterator[Table]:
    """All tables; `own` are Postfix' domains, `passwords` by connector name."""
    yield Table(TRANSPORT_TABLE, tuple(sorted(_transport(local, own).items())))
    yield from _foreign_table(local)
    yield from _domain_secure_table(services, local)
    yield from _dns_failures_table(services)
    yield from _header_tables(services, local)
    for service in services:
        yield from _tls_policies(service)
        yield from _passwords(service, passwords)


def authoritative_domains(local: LocalRouting) -> tuple[str, ...]:
    """Keys for the accepted domains that no connector is asked for: Exchange delivers them."""
    if local.table.standpoint.is_edge:
        return ()
    keys: list[str] = []
    for domain in local.settings.accepted_domains:
        if domain.domain_type is DomainType.AUTHORITATIVE and domain.domain_name != "*":
            name = domain.sort_name
            keys.append(name.removeprefix("*."))
            if name.startswith("*."):
                keys.append(name.removeprefix("*"))
    return tuple(keys)


def claimed_by(routing: RoutingTable, domain: str) -> Candidate | None:
    """The connector that an entry of the transport table would give a domain."""
    outcome = routing.select_domain(domain)
    if not isinstance(outcome, Selected):
        return None
    candidate = outcome.candidate
    return None if candidate.address_space.specificity is Specificity.ALL else candidate


def _transport(local: LocalRouting, own: OwnNames) -> dict[str, str]:
    entries: dict[str, str] = {}
    for (specificity, domain), winner in local.table.addresses():
        if specificity is Specificity.EXACT:
            entries[domain] = local.target(winner)  # also over what a wildcard put there
        elif specificity is Specificity.WILDCARD:
            entries[f".{domain}"] = target = local.target(winner)
            entries.setdefault(domain, target)
    for domain in own.names:
        if claimed_by(local.table, domain) is not None:
            entries[domain] = AS_WITHOUT_TABLE
    entries.update(dict.fromkeys(authoritative_domains(local), AS_WITHOUT_TABLE))
    return entries


def _foreign_table(local: LocalRouting) -> Iterator[Table]:
    """Patterns for addresses of other types, which stand in the default accepted domain."""
    domain = local.table.accepted_domains.default
    entries = tuple(
        (_foreign_pattern(kind, text, domain), local.target(winner))
        for kind, text, winner in local.table.foreign_addresses()
        if domain is not None
    )
    if entries:
        yield Table(FOREIGN_TABLE, entries, patterns=True)


def _foreign_pattern(kind: str, text: str | None, domain: str) -> str:
    """Patterns are compared without case; special characters stand in brackets."""
    address = "[^@]*" if text is None else _literal(encapsulated(text))
    return f"/^IMCEA{_literal(kind)}-{address}@{_literal(domain)}$/"


def _literal(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_=" else f"[{c}]" for c in text)


def _domain_secure_table(services: Sequence[Service], local: LocalRouting) -> Iterator[Table]:
    if any(mutual_tls_domains(s.connectors[0], local.settings) for s in services):
        domains = {domain.lower() for domain in local.settings.tls_send_domain_secure_list}
        yield Table(DOMAIN_SECURE_TABLE, tuple((d, MUTUAL_TLS) for d in sorted(domains)))


def _dns_failures_table(services: Sequence[Service]) -> Iterator[Table]:
    if any(downgrades_dns_failures(service.connectors[0]) for service in services):
        yield Table(DNS_FAILURES_TABLE, TEMPORARY_DNS_FAILURES, patterns=True)


def _header_tables(services: Sequence[Service], local: LocalRouting) -> Iterator[Table]:
    firewalls = {header_firewall(s.connectors[0], local.settings): None for s in services}
    for firewall in firewalls:
        if firewall.table is not None:
            yield Table(firewall.table, firewall.patterns, patterns=True)


def _tls_policies(service: Service) -> Iterator[Table]:
    """Only where the connectors of a service differ: else its settings say it all."""
    demands = {connector.name: tls_demand(connector) for connector in service.connectors}
    if len(set(demands.values())) > 1:
        entries = {
            key: policy
            for connector in service.connectors
            if (policy := demands[connector.name].policy) is not None
            for key in policy_keys(connector)
        }
        yield Table(tls_policy_table(service.name), tuple(sorted(entries.items())))


def _passwords(service: Service, passwords: Mapping[str, str]) -> Iterator[Table]:
    entries = {
        hop: f"{credential.user_name}:{passwords[connector.name]}"
        for connector in service.connectors
        if logs_in(connector) and (credential := connector.authentication_credential)
        for hop in next_hops(connector)
    }
    if entries:
        yield Table(password_table(service.name), tuple(sorted(entries.items())), secret=True)
