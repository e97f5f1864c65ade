"""The connectors as one Postfix host carries them out: which are its own, where each leads.

A connector whose source server this host is has a service here, its own or one that it shares;
mail for another's goes to that connector's source servers, which decide again.
"""

from collections.abc import Iterator

from postconnector.model.organization import HostSettings, Organization
from postconnector.model.send_connector import SendConnector
from postconnector.model.smart_host import SmartHost
from postconnector.model.topology import Server
from postconnector.postfix.native import agent_reason, next_hop
from postconnector.postfix.service_names import AGENT_SERVICE, service_names
from postconnector.postfix.sharing import connector_services
from postconnector.selection.outcome import Candidate
from postconnector.selection.routing_table import RoutingTable
from postconnector.selection.standpoint import Hidden, local_server

_BETWEEN_SERVERS = "smtp"
"""The host's own smtp(8) service: what is between servers is not the connector's business."""


class UnknownAddressError(Exception):
    """Mail can't be handed to a server of the organization whose host name is not declared."""


def path_of(host: HostSettings, candidate: Candidate, server: Server | None) -> str:
    """Which path a candidate's mail takes on a server: `native`, or by the `agent`."""
    own = candidate.reach.hops == 0
    return "agent" if own and agent_reason(candidate.connector, server, host) else "native"


class LocalRouting:
    """An organization on the host that is the server of this name (None: it declares none).

    `services`: of the connectors that Postfix carries out by itself, which stand there with the
    Mailbox servers, if these are known, for the smart host --. `names`: by connector name, the
    names of the services.

    Raises UnknownServerError.
    """

    def __init__(self, organization: Organization, server: str | None) -> None:
        self.table = RoutingTable(organization, server)
        self.server = self.table.standpoint.server
        self.settings = organization.settings
        self.organization = organization
        self._agent_reasons: dict[str, str | None] = {}
        self.own = tuple(c for c in organization.connectors if self.is_own(c))
        native = [self.known(c) for c in self.own if self.agent_reason(c) is None]
        own_names = service_names(connector.name for connector in organization.connectors)
        self.services = connector_services(native, own_names, organization.settings)
        self._targets: dict[str, str] = {}
        self.names = {c.name: own_names[c.name] for c in self.own} | {
            c.name: service.name for service in self.services for c in service.connectors
        }

    @classmethod
    def on_host(cls, organization: Organization, hostname: str | None) -> "LocalRouting":
        """The same on the host of this name, which says what server it is."""
        return cls(organization, local_server(organization, hostname))

    @property
    def has_connectors(self) -> bool:
        """Whether any connector may take mail from here, another server's too."""
        return any(connector.enabled for connector in self.organization.connectors)

    def is_own(self, connector: SendConnector) -> bool:
        """Whether this host carries a connector out."""
        reach = self.table.standpoint.reach(connector)
        return connector.enabled and not isinstance(reach, Hidden) and reach.hops == 0

    def agent_reason(self, connector: SendConnector) -> str | None:
        """Why Postfix can't deliver for a connector of this host by itself; None if it can."""
        name = connector.name
        if name not in self._agent_reasons:
            reason = agent_reason(connector, self.server, self.organization.host)
            self._agent_reasons[name] = reason
        return self._agent_reasons[name]

    def is_by_agent(self, candidate: Candidate) -> bool:
        """Whether the delivery agent carries a candidate out on this host."""
        return path_of(self.organization.host, candidate, self.server) == "agent"

    def next_hop(self, connector: SendConnector) -> str:
        """The nexthop of a connector of this host; empty means the recipient's domain."""
        return next_hop(self.resolved(connector))

    def resolved(self, connector: SendConnector) -> SendConnector:
        """The connector with the subscribed site's Mailbox servers for the smart host `--`."""
        if not any(host.is_subscribed_site for host in connector.smart_hosts):
            return connector
        hosts = tuple(
            resolved
            for host in connector.smart_hosts
            for resolved in (self._subscribed_servers() if host.is_subscribed_site else (host,))
        )
        return connector.model_copy(update={"smart_hosts": hosts})

    def known(self, connector: SendConnector) -> SendConnector:
        """The same, as far as the Mailbox servers are known: the connector as services have it."""
        try:
            return self.resolved(connector)
        except UnknownAddressError:
            return connector

    def target(self, candidate: Candidate) -> str:
        """A candidate as the right-hand side of a transport table: `service:nexthop`."""
        connector, _, reach = candidate
        if reach.hops == 0:
            target = self._targets.get(connector.name)
            if target is None:
                target = self._targets[connector.name] = self.own_target(connector)
            return target
        servers = ", ".join(f"[{host.host}]" for host in self.source_hosts(candidate))
        return f"{_BETWEEN_SERVERS}:{servers}"

    def source_hosts(self, candidate: Candidate) -> list[SmartHost]:
        """The source servers to which mail for another server's connector goes.

        Raises UnknownAddressError.
        """
        sources = self._sources(candidate)
        return [SmartHost(_host_name(server), is_address=False) for server in sources]

    def own_target(self, connector: SendConnector) -> str:
        """The same for a connector of this host: its service and next hop, or the agent."""
        if self.agent_reason(connector) is not None:
            return f"{AGENT_SERVICE}:{self.organization.host.delivery_agent}"
        return f"{self.names[connector.name]}:{self.next_hop(connector)}"

    def _sources(self, candidate: Candidate) -> list[Server]:
        """The source servers of the site where the connector stands for us."""
        path = candidate.reach.path
        local = self.server.site if self.server is not None else None
        site = path.sites[-1] if path is not None else local
        found = []
        for server in self.settings.source_servers(candidate.connector):
            stands = self.settings.subscribed_site(server) if server.is_edge else server.site
            if (stands or "").casefold() == (site or "").casefold():
                found.append(server)
        return found

    def _subscribed_servers(self) -> Iterator[SmartHost]:
        site = self.settings.subscribed_site(self.server) if self.server is not None else None
        servers = [s for s in self.settings.servers if not s.is_edge]
        if site is not None:
            servers = [s for s in servers if (s.site or "").casefold() == site.casefold()]
        if not servers:
            raise UnknownAddressError(
                "the smart host -- stands for the Mailbox servers of the subscribed site, but the"
                " organization declares none; add [[organization.server]]"
            )
        for server in servers:
            yield SmartHost(_host_name(server), is_address=False)


def _host_name(server: Server) -> str:
    if server.fqdn is None:
        raise UnknownAddressError(
            f"mail goes to server {server.name}, but its fqdn is not declared; add it under"
            " [[organization.server]]"
        )
    return server.fqdn
