"""Compiling an organization for one Postfix host. Pure: the same input gives the same output.

The transport table gets the small-message winner of every address: `contoso.com` as it is,
`*.contoso.com` as `.contoso.com` (any depth) and, where nothing more precise claims it,
`contoso.com`. A domain that Postfix delivers to by itself, or that Exchange does, stays there.
The winner of `*` becomes the default route, never a `*` in the table: that would swallow local
and relay domains.
"""

from collections.abc import Iterator, Mapping

from postconnector.model.address_space import Specificity
from postconnector.model.imcea import encapsulated
from postconnector.model.send_connector import SendConnector
from postconnector.model.size import MaxMessageSize
from postconnector.model.topology import DomainType
from postconnector.postfix.compiled import AgentOnly, Compiled, Parameter, Service, Table
from postconnector.postfix.facts import RESTRICTIONS, PostfixFacts
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.native import (
    DNS_FAILURES_TABLE,
    DOMAIN_SECURE_TABLE,
    MUTUAL_TLS,
    TEMPORARY_DNS_FAILURES,
    certificate_file,
    downgrades_dns_failures,
    mutual_tls_domains,
    next_hop,
    password_table,
    service_settings,
    tls_demand,
)
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.quoting import main_cf_value
from postconnector.selection.outcome import Candidate, Selected
from postconnector.selection.routing_table import RoutingTable

TRANSPORT_TABLE = "transport"
FOREIGN_TABLE = "foreign"
AS_WITHOUT_TABLE = ":"
"""The right-hand side that sends mail where it would go without a table (transport(5))."""


def compile_organization(
    local: LocalRouting,
    facts: PostfixFacts,
    own: OwnNames,
    passwords: Mapping[str, str],
    certificates: Mapping[str, bytes],
) -> Compiled:
    """Compile; `own` are Postfix' domains, `passwords` and `certificates` by connector name.

    Raises UnknownAddressError for a server that mail goes to but whose fqdn is not declared.
    """
    names = local.names
    native = [local.resolved(c) for c in local.own if local.agent_reason(c) is None]
    default = next((c for (s, _), c in local.table.addresses() if s is Specificity.ALL), None)
    return Compiled(
        services=tuple(
            Service(
                names[connector.name],
                connector,
                service_settings(connector, names[connector.name], facts, local.settings),
            )
            for connector in native
        ),
        tables=(
            Table(TRANSPORT_TABLE, tuple(sorted(_transport(local, own).items()))),
            *_foreign_table(local),
            *_domain_secure_table(native, local),
            *_dns_failures_table(native),
            *_password_tables(native, names, passwords),
        ),
        parameters=(
            *_routing_parameters(default, local, facts),
            *_policy_parameters(local, facts),
        ),
        certificates={
            certificate_file(names[connector.name]): certificates[connector.name]
            for connector in native
            if connector.name in certificates
        },
        agent_only=tuple(
            AgentOnly(connector, reason)
            for connector in local.own
            if (reason := local.agent_reason(connector)) is not None
        ),
        warnings=(
            *_own_domain_warnings(local.table, own),
            *_authoritative_warnings(local, own),
            *_warnings(native, default, facts),
        ),
    )


def _transport(local: LocalRouting, own: OwnNames) -> dict[str, str]:
    entries: dict[str, str] = {}
    for (specificity, domain), winner in local.table.addresses():
        target = local.target(winner)
        if specificity is Specificity.EXACT:
            entries[domain] = target  # also over what a wildcard put there
        elif specificity is Specificity.WILDCARD:
            entries[f".{domain}"] = target
            entries.setdefault(domain, target)
    for domain in own.names:
        if _claimed_by(local.table, domain) is not None:
            entries[domain] = AS_WITHOUT_TABLE
    entries.update(_authoritative(local))
    return entries


def _authoritative(local: LocalRouting) -> dict[str, str]:
    """Accepted domains that no connector is asked for, where one would claim them."""
    entries: dict[str, str] = {}
    if local.table.standpoint.is_edge:
        return entries
    for domain in local.settings.accepted_domains:
        if domain.domain_type is DomainType.AUTHORITATIVE and domain.domain_name != "*":
            name = domain.sort_name
            entries[name.removeprefix("*.")] = AS_WITHOUT_TABLE
            if name.startswith("*."):
                entries[name.removeprefix("*")] = AS_WITHOUT_TABLE
    return entries


def _authoritative_warnings(local: LocalRouting, own: OwnNames) -> Iterator[str]:
    """What Exchange delivers itself, Postfix has to know as well, or it would take the way out."""
    for domain in sorted({domain.removeprefix(".") for domain in _authoritative(local)}):
        if domain not in own.names:
            yield (
                f"the accepted domain {domain} is authoritative, so no connector takes its mail:"
                " Postfix needs it in mydestination, its virtual domains or relay_domains"
            )


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


def _dns_failures_table(native: list[SendConnector]) -> Iterator[Table]:
    if any(downgrades_dns_failures(connector) for connector in native):
        yield Table(DNS_FAILURES_TABLE, TEMPORARY_DNS_FAILURES, patterns=True)


def _domain_secure_table(native: list[SendConnector], local: LocalRouting) -> Iterator[Table]:
    if any(mutual_tls_domains(connector, local.settings) for connector in native):
        domains = {domain.lower() for domain in local.settings.tls_send_domain_secure_list}
        yield Table(DOMAIN_SECURE_TABLE, tuple((d, MUTUAL_TLS) for d in sorted(domains)))


def _claimed_by(routing: RoutingTable, domain: str) -> Candidate | None:
    """The connector that an entry of the transport table would give a domain."""
    outcome = routing.select_domain(domain)
    if not isinstance(outcome, Selected):
        return None
    candidate = outcome.candidate
    return None if candidate.address_space.specificity is Specificity.ALL else candidate


def _own_domain_warnings(routing: RoutingTable, own: OwnNames) -> Iterator[str]:
    for domain in sorted(own.names):
        claim = _claimed_by(routing, domain)
        if claim is not None and claim.address_space.specificity is Specificity.EXACT:
            yield (
                f'connector "{claim.connector.name}" names {domain}, but Postfix delivers mail'
                " for it itself (mydestination, virtual domains): it stays here"
            )
    wildcards = any(s is Specificity.WILDCARD for (s, _), _ in routing.addresses())
    if wildcards:
        for table in own.unlisted:
            yield (
                f"the domains in {table} can't be listed: one below an address space with a"
                " wildcard is taken by that connector"
            )


def _password_tables(
    native: list[SendConnector], names: Mapping[str, str], passwords: Mapping[str, str]
) -> Iterator[Table]:
    for connector in native:
        credential = connector.authentication_credential
        if not connector.authenticates or credential is None or not connector.smart_hosts:
            continue
        login = f"{credential.user_name}:{passwords[connector.name]}"
        entries = tuple((hop, login) for hop in next_hop(connector).split(", "))
        yield Table(password_table(names[connector.name]), entries, secret=True)


def _routing_parameters(
    default: Candidate | None, local: LocalRouting, facts: PostfixFacts
) -> Iterator[Parameter]:
    ours = facts.table(TRANSPORT_TABLE)
    if any(_foreign_table(local)):
        ours += f", {facts.pattern_table(FOREIGN_TABLE)}"
    yield Parameter(
        "transport_maps",
        _before(ours, facts.parameter("transport_maps")),
        "the address spaces of the connectors, before the host's own tables",
    )
    if default is None:
        return
    service, _, hop = local.target(default).partition(":")
    yield Parameter(
        "default_transport",
        main_cf_value(service + (f":{hop}" if hop else "")),
        f'Send connector "{default.connector.name}" has the address space *',
    )
    relayhost = facts.parameter("relayhost")
    if not hop and relayhost:
        yield Parameter("relayhost", "", f'"{default.connector.name}" routes by DNS')
        if facts.parameter("relay_transport") == "relay":
            yield Parameter(
                "relay_transport",
                f"relay:{relayhost}",
                "relay domains keep the relayhost that they had",
            )


def _policy_parameters(local: LocalRouting, facts: PostfixFacts) -> Iterator[Parameter]:
    # Our own fault defers: what the host says for other policy services does not count here.
    service = (
        f"check_policy_service {{ {local.organization.host.policy_service}, timeout=20s,"
        " { default_action=451 4.3.5 Connector policy service is unavailable } }"
    )
    for name in RESTRICTIONS:
        yield Parameter(name, _before(service, facts.parameter(name)), "MaxMessageSize")


def _before(ours: str, theirs: str) -> str:
    return f"{ours}, {theirs}" if theirs else ours


def _warnings(
    native: list[SendConnector], default: Candidate | None, facts: PostfixFacts
) -> Iterator[str]:
    if default is not None:
        yield from _default_route_warnings(default.connector, facts)
    for service in facts.unasking_services:
        yield (
            f"master.cf gives {service} restrictions of its own: what comes in there is routed by"
            " the connectors, but the policy service does not see it"
        )
    if facts.parameter("content_filter"):
        yield (
            "main.cf has a content_filter: a message that its size moves to another connector"
            " (FILTER) passes it by"
        )
    yield from _size_warnings(native, facts)
    for connector in native:
        yield from _connector_warnings(connector, facts)


def _size_warnings(native: list[SendConnector], facts: PostfixFacts) -> Iterator[str]:
    """message_size_limit is for the whole host; 0 is none, and an expression is left alone."""
    text = facts.parameter("message_size_limit")
    limit = int(text) if text.isdecimal() else 0
    larger = [c.name for c in native if limit and not _within(c.max_message_size, limit)]
    if larger:
        more = f" and {len(larger) - 1} more" if len(larger) > 1 else ""
        yield (
            f"main.cf has message_size_limit = {limit}: Postfix refuses larger messages before a"
            f' connector is asked, whatever MaxMessageSize of "{larger[0]}"{more} says'
        )


def _within(size: MaxMessageSize, limit: int) -> bool:
    return size.limit is not None and size.limit <= limit


def _default_route_warnings(connector: SendConnector, facts: PostfixFacts) -> Iterator[str]:
    overriding = ["sender_dependent_default_transport_maps"]
    if not next_hop(connector):
        overriding.append("sender_dependent_relayhost_maps")
    for name in overriding:
        if facts.parameter(name):
            yield (
                f'{name} of main.cf wins over connector "{connector.name}" (*) for the senders'
                " that it names"
            )


def _connector_warnings(connector: SendConnector, facts: PostfixFacts) -> Iterator[str]:
    trusts = facts.parameter("smtp_tls_CAfile") or facts.parameter("smtp_tls_CApath")
    if tls_demand(connector).level == "secure" and not trusts:
        yield (
            f'connector "{connector.name}" verifies certificates, but main.cf has neither'
            " smtp_tls_CAfile nor smtp_tls_CApath: its mail will wait"
        )
    if connector.source_ip_address is not None and facts.version < (3, 7):
        yield (
            f'connector "{connector.name}": Postfix before 3.7 sends from another address when'
            " source_ip_address is not there"
        )
