"""What a connector may say depends on the servers that carry it out: Mailbox or Edge.

As long as the organization declares no servers, nothing is known, and little is refused.
"""

from collections.abc import Iterator

from postconnector.model.address_space import Specificity
from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import some_of
from postconnector.model.rules.rule import Finding, Rule, rule_for, warning
from postconnector.model.send_connector import SendConnector

RULES: list[Rule] = []
_EDGE = 'declare the server under [[organization.server]] with server_role = "Edge"'


@rule_for(RULES, "source_transport_servers")
def _source_servers(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V15."""
    if not settings.servers:
        return
    for name in connector.source_transport_servers:
        if settings.server(name) is None:
            yield Finding(
                "source_transport_servers",
                f"there is no server {name} in the organization; known are"
                f" {some_of(server.name for server in settings.servers)}",
            )
    roles = {server.is_edge for server in settings.source_servers(connector)}
    if len(roles) > 1:
        yield Finding(
            "source_transport_servers", "Mailbox and Edge servers can't carry out one connector"
        )
    if roles and all(server.is_edge for server in settings.servers):
        yield warning(
            "source_transport_servers",
            "SourceTransportServers can't be given on an Edge server; take it out",
        )


@rule_for(RULES, "address_spaces", "source_transport_servers")
def _address_space_types(
    connector: SendConnector, settings: OrganizationSettings
) -> Iterator[Finding]:
    """V14, V21."""
    if settings.is_on_edge(connector):
        for space in connector.address_spaces:
            if not space.is_smtp:
                yield Finding(
                    "address_spaces",
                    f"{space}: on an Edge server the type of an address space must be SMTP",
                )
    elif Specificity.ACCEPTED_DOMAINS in [s.specificity for s in connector.address_spaces]:
        yield Finding(
            "address_spaces",
            "-- (all accepted domains) can only be used on an Edge server; write the domains,"
            f" or {_EDGE}",
        )


@rule_for(RULES, "smart_hosts", "source_transport_servers")
def _smart_hosts(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    """V21."""
    if settings.is_on_edge(connector):
        return
    if any(host.is_subscribed_site for host in connector.smart_hosts):
        yield Finding(
            "smart_hosts",
            "-- (the servers of the subscribed site) can only be used on an Edge server; write"
            f" the hosts, or {_EDGE}",
        )


@rule_for(RULES, "source_ip_address", "source_transport_servers")
def _source_ip_address(
    connector: SendConnector, settings: OrganizationSettings
) -> Iterator[Finding]:
    """V16."""
    if connector.source_ip_address is None or not settings.servers:
        return
    if not settings.is_on_edge(connector):
        yield Finding(
            "source_ip_address", "SourceIPAddress can only be used on an Edge server; take it out"
        )


@rule_for(RULES, "is_scoped_connector", "source_transport_servers")
def _scope(connector: SendConnector, settings: OrganizationSettings) -> Iterator[Finding]:
    if connector.is_scoped_connector and not settings.servers:
        yield warning(
            "is_scoped_connector",
            "has no effect: the organization declares no servers and sites to tell near from far",
        )


@rule_for(RULES, "source_transport_servers")
def _unreachable_edge(
    connector: SendConnector, settings: OrganizationSettings
) -> Iterator[Finding]:
    if not any(not server.is_edge for server in settings.servers):
        return
    for server in settings.source_servers(connector):
        if server.is_edge and settings.subscribed_site(server) is None:
            yield warning(
                "source_transport_servers",
                f"{server.name} is subscribed to no site: no Mailbox server uses this connector"
                " by it; add [[organization.edge_subscription]]",
            )
