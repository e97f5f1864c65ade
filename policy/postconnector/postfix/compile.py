"""Compiling an organization for one Postfix host. Pure: the same input gives the same output.

The winner of `*` becomes the default route, never a `*` in the transport table: that would swallow
local and relay domains.
"""

from collections.abc import Iterator, Mapping, Sequence

from postconnector.model.organization import HostSettings, Unmatched
from postconnector.postfix.agent import agent_files, agent_parameters, agent_services
from postconnector.postfix.agent_path import return_parameter
from postconnector.postfix.compiled import AgentOnly, Compiled, Parameter, Service
from postconnector.postfix.conflicts import conflicts
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.host_listeners import asked_restrictions, told_of_itself
from postconnector.postfix.live_routes import (
    live_transport,
    lookup_warnings,
    routes_in_turn,
    with_certificate_check,
)
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.lookup_tables import joined
from postconnector.postfix.milter import (
    milter_conflicts,
    milter_parameters,
    milter_tables,
)
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.quoting import main_cf_value
from postconnector.postfix.refusals import refusals
from postconnector.postfix.settings import (
    HOST_TABLES,
    PART_CHECKS,
    part_checks,
    service_settings,
)
from postconnector.postfix.sharing import ConnectorService
from postconnector.postfix.table_names import (
    FOREIGN_TABLE,
    ROUND_ROBIN_TABLE,
    TRANSPORT_TABLE,
    certificate_file,
)
from postconnector.postfix.tables import compile_tables
from postconnector.selection.outcome import Candidate

UNREACHABLE = "retry:4.4.4 no matching Send connector"
"""Keeps mail in the queue, as Exchange does in the Unreachable queue; error(8) says this text."""


def compile_organization(
    local: LocalRouting,
    facts: PostfixFacts,
    own: OwnNames,
    passwords: Mapping[str, str],
    certificates: Mapping[str, bytes],
    entries: HostEntries,
) -> Compiled:
    """Compile; `own` are Postfix' domains, `passwords` and `certificates` by connector name.

    `entries` are those of the host's own tables: its domains keep theirs, and what works against
    the connectors is said.
    Raises UnknownAddressError for a server that mail goes to but whose fqdn is not declared.
    """
    native = tuple(_service(service, local, facts) for service in local.services)
    services = (*native, *agent_services(local, facts))
    in_turn = routes_in_turn(local, facts)
    host = local.organization.host
    tables = (
        *compile_tables(local, own, passwords, native, entries, in_turn),
        *milter_tables(host, facts),
    )
    default = local.table.default
    parameters = (
        *_routing_parameters(default, local, facts, {table.name for table in tables}),
        *_policy_parameters(local, facts),
        *milter_parameters(host, facts),
        *_host_tables(native, facts),
        *agent_parameters(services),
    )
    names = [parameter.name for parameter in parameters]
    return Compiled(
        services=services,
        tables=tables,
        parameters=parameters,
        certificates={
            certificate_file(service.name): certificates[service.connectors[0].name]
            for service in native
            if service.connectors[0].name in certificates
        },
        agent_files=agent_files(local, passwords, certificates),
        agent_only=tuple(
            AgentOnly(connector, reason)
            for connector in local.own
            if (reason := local.agent_reason(connector)) is not None
        ),
        warnings=(
            *conflicts(local, facts, own, native, default, entries, names),
            *lookup_warnings(local, facts),
            *milter_conflicts(host, facts),
        ),
        refusals=tuple(refusals(facts, local, own, entries, (s.name for s in services))),
    )


def _service(service: ConnectorService, local: LocalRouting, facts: PostfixFacts) -> Service:
    connectors = tuple(local.resolved(connector) for connector in service.connectors)
    settings = service_settings(service.name, connectors, facts, local.settings)
    settings = with_certificate_check(settings, connectors, facts, local.organization.host)
    return Service(service.name, connectors, settings, service.why_own)


def _routing_parameters(
    default: Candidate | None, local: LocalRouting, facts: PostfixFacts, tables: set[str]
) -> Iterator[Parameter]:
    ours = facts.table(TRANSPORT_TABLE)
    if FOREIGN_TABLE in tables:
        ours += f", {facts.pattern_table(FOREIGN_TABLE)}"
    if ROUND_ROBIN_TABLE in tables:
        ours += f", {live_transport(facts, local.organization.host)}"
    yield Parameter(
        "transport_maps",
        joined(ours, facts.parameter("transport_maps")),
        "the address spaces of the connectors, before the host's own tables",
    )
    if default is not None:
        yield from _default_route(default, local, facts)
    elif local.organization.host.unmatched is Unmatched.UNREACHABLE:
        yield Parameter(
            "default_transport",
            main_cf_value(UNREACHABLE),
            "[host] unmatched: what no connector matches waits, as in Exchange",
        )


def _default_route(
    default: Candidate, local: LocalRouting, facts: PostfixFacts
) -> Iterator[Parameter]:
    service, _, hop = local.target(default).partition(":")
    yield Parameter(
        "default_transport",
        main_cf_value(service + (f":{hop}" if hop else "")),
        f'Send connector "{default.connector.name}" has the address space *',
    )
    relayhost = facts.parameter("relayhost")
    if not hop and relayhost:
        yield Parameter("relayhost", "", f'"{default.connector.name}" routes by DNS')
        transport, _, next_hop = facts.parameter("relay_transport").partition(":")
        if not next_hop:
            yield Parameter(
                "relay_transport",
                f"{transport}:{relayhost}",
                "relay domains keep the relayhost that they had",
            )


def _policy_parameters(local: LocalRouting, facts: PostfixFacts) -> Iterator[Parameter]:
    host = local.organization.host
    listener = told_of_itself(facts, host)
    for name in asked_restrictions(host):
        asked = _policy_service(host, f" {{ policy_context={listener} }},")
        yield Parameter(name, joined(asked, facts.parameter(name)), "MaxMessageSize")
    if local.has_connectors:
        yield return_parameter(_policy_service(host))


def _policy_service(host: HostSettings, context: str = "") -> str:
    """Our own fault defers: what the host says for other policy services does not count here."""
    return (
        f"check_policy_service {{ {host.policy_service}, timeout=20s,{context}"
        " { default_action=451 4.3.5 Connector policy service is unavailable } }"
    )


def _host_tables(services: Sequence[Service], facts: PostfixFacts) -> Iterator[Parameter]:
    """The host's own value, unchanged, for services that ask a table of ours before it."""
    used = {setting.then for service in services for setting in service.settings}
    for name in HOST_TABLES:
        if f"postconnector_{name}" in used:
            yield Parameter(
                f"postconnector_{name}",
                facts.parameter(name),
                f"the host's own {name}, which connectors ask after theirs",
            )
    for name in PART_CHECKS:
        if f"postconnector_{name}" in used and (value := part_checks(name, facts)) is not None:
            yield Parameter(
                f"postconnector_{name}",
                value,
                f"the host's own {name}, without those of connectors",
            )
