"""The lookup tables that an organization becomes on one host. Pure.

The transport table gets the small-message winner of every address: `contoso.com` as it is,
`*.contoso.com` as `.contoso.com` (any depth) and, where nothing more precise claims it,
`contoso.com`. A domain with A-labels is there with U-labels too: Postfix looks it up as it is
written. A domain that Postfix delivers to by itself, or that Exchange does, stays there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from postconnector.enforcement.failure_policy import failure_policy
from postconnector.enforcement.header_firewall import header_firewall
from postconnector.enforcement.tls_requirement import mutual_tls_domains
from postconnector.model.address_space import X400, Specificity
from postconnector.model.domain import compared_domain, in_unicode
from postconnector.model.imcea import encapsulated
from postconnector.model.organization import Unmatched
from postconnector.model.send_connector import SendConnector
from postconnector.model.topology import DomainType
from postconnector.postfix.compiled import Service, Table
from postconnector.postfix.failures import failure_patterns, failure_table
from postconnector.postfix.header_checks import header_patterns, header_table
from postconnector.postfix.host_entries import AS_WITHOUT_TABLE, HostEntries
from postconnector.postfix.live_routes import certificate_failures_table, round_robin_table
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import logs_in, next_hops, tls_demand
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.sharing import policy_keys
from postconnector.postfix.table_names import (
    DOMAIN_SECURE_TABLE,
    FOREIGN_TABLE,
    TRANSPORT_TABLE,
    password_table,
    tls_policy_table,
)
from postconnector.selection.outcome import Candidate, Selected
from postconnector.selection.routing_table import RoutingTable

MUTUAL_TLS = "secure match=nexthop"
_ANY_SUBDOMAIN = "any"


def compile_tables(
    local: LocalRouting,
    own: OwnNames,
    passwords: Mapping[str, str],
    services: Sequence[Service],
    entries: HostEntries,
    in_turn: Collection[str] = (),
) -> Iterator[Table]:
    """All tables; `own` are Postfix' domains, `passwords` by connector name.

    `in_turn`: the routes whose smart hosts take turns.
    """
    routes = _transport(local, own, entries)
    fixed = [(key, routes[key]) for key in sorted(routes) if routes[key] not in in_turn]
    yield Table(TRANSPORT_TABLE, tuple(fixed))
    yield from round_robin_table(routes, in_turn)
    yield from certificate_failures_table(services)
    yield from _foreign_table(local)
    yield from _domain_secure_table(services, local)
    yield from _failure_tables(services, local)
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


def claimed_keys(local: LocalRouting) -> list[str]:
    """The keys by which address spaces claim domains."""
    found: dict[str, None] = {}
    for (specificity, domain), _ in local.table.addresses():
        match specificity:
            case Specificity.EXACT:
                found[domain] = None
            case Specificity.WILDCARD:
                found |= {domain: None, f".{domain}": None}
    return list(found)


def claimed_by(routing: RoutingTable, domain: str) -> Candidate | None:
    """The connector that an entry of the transport table would give a domain."""
    outcome = routing.select_domain(domain)
    if not isinstance(outcome, Selected):
        return None
    candidate = outcome.candidate
    return None if candidate.address_space.specificity is Specificity.ALL else candidate


def claim_on_key(routing: RoutingTable, key: str) -> Candidate | None:
    """The connector that a key of a transport table is about; .contoso.com is any subdomain."""
    return claimed_by(routing, f"{_ANY_SUBDOMAIN}{key}" if key.startswith(".") else key)


def kept_domains(local: LocalRouting, own: OwnNames) -> list[str]:
    """The host's own domains that address spaces cover."""
    claims = ((domain, claimed_by(local.table, compared_domain(domain))) for domain in own.names)
    return sorted(domain for domain, claim in claims if claim is not None)


def _transport(local: LocalRouting, own: OwnNames, host: HostEntries) -> dict[str, str]:
    entries: dict[str, str] = {}
    for (specificity, domain), winner in local.table.addresses():
        if specificity is Specificity.EXACT:
            entries[domain] = local.target(winner)  # also over what a wildcard put there
        elif specificity is Specificity.WILDCARD:
            entries[f".{domain}"] = target = local.target(winner)
            entries.setdefault(domain, target)
    for key in [key for key in entries if "xn--" in key]:
        if (written := in_unicode(key)) is not None:
            entries[written] = entries[key]
    for key in (*kept_domains(local, own), *authoritative_domains(local)):
        if key in host.transport:
            entries.pop(key, None)  # the host's own entry is found under the same key
        else:
            entries[key] = host.transport_for(key.removeprefix(".")) or AS_WITHOUT_TABLE
    unreachable = local.organization.host.unmatched is Unmatched.UNREACHABLE
    if local.table.default is not None or unreachable:
        # A next hop alone goes by the default transport, which is now ours.
        entries = {**host.bare_next_hops, **entries}
    return entries


def _foreign_table(local: LocalRouting) -> Iterator[Table]:
    """Patterns for addresses of other types, which stand in the default accepted domain."""
    domain = local.table.accepted_domains.default
    if domain is None:
        return
    entries = [
        (_foreign_pattern(kind, text, domain), local.target(winner))
        for kind, text, winner in local.table.foreign_addresses()
    ]
    if (agent := _compares_attributes(local)) is not None:
        entries.insert(0, (_foreign_pattern(X400, None, domain), local.own_target(agent)))
    if entries:
        yield Table(FOREIGN_TABLE, tuple(entries), patterns=True)


def _compares_attributes(local: LocalRouting) -> SendConnector | None:
    """A connector for X.400 addresses by their attributes: the agent then decides for all."""
    return next((c for c in local.own if any(s.attributes for s in c.address_spaces)), None)


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


def _failure_tables(services: Sequence[Service], local: LocalRouting) -> Iterator[Table]:
    policies = {failure_policy(s.connectors[0], local.settings): None for s in services}
    for policy in policies:
        if (name := failure_table(policy)) is not None:
            yield Table(name, failure_patterns(policy), patterns=True)


def _header_tables(services: Sequence[Service], local: LocalRouting) -> Iterator[Table]:
    firewalls = {header_firewall(s.connectors[0], local.settings): None for s in services}
    for firewall in firewalls:
        if (name := header_table(firewall)) is not None:
            yield Table(name, header_patterns(firewall), patterns=True)


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
