"""How far each connector is from the server that asks, and whether that server knows it at all.

A Mailbox server sees the connectors of the whole organization, an Edge server only its own. A
connector stands where the nearest of its source servers stands; an Edge server stands, seen
from inside, in the site that it is subscribed to. Without a server, every connector counts as
the asking server's own.
"""

from dataclasses import dataclass

from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.model.topology import Server
from postconnector.selection.sites import Path, SiteMap


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a connector is.

    `cost` is that of the site links to its nearest source server. `hops`: 0 if the asking server
    is a source server itself, 1 if one stands in the same site, 1 more for each link to another.
    `path` leads to another site. `edge`: seen from inside, an Edge server carries it out.
    """

    cost: int = 0
    hops: int = 0
    path: Path | None = None
    edge: bool = False


@dataclass(frozen=True, slots=True)
class Hidden:
    """The asking server acts as if the connector did not exist; `reason` is one sentence."""

    reason: str


HERE = Reach()
_NO_SITE = ""


class UnknownServerError(ValueError):
    """The organization declares no server of the name that asks."""


class Standpoint:
    """An organization as one of its servers sees it."""

    def __init__(self, organization: Organization, server: str | None = None) -> None:
        self.settings = organization.settings
        self.sites = SiteMap(self.settings.sites, self.settings.site_links)
        self.server: Server | None = None
        if server is not None:
            self.server = self.settings.server(server)
            if self.server is None:
                raise UnknownServerError(f"the organization declares no server {server}")
        self._paths = self.sites.paths_from(self._local_site())

    @property
    def is_edge(self) -> bool:
        """Whether an Edge server asks."""
        return self.server is not None and self.server.is_edge

    @property
    def is_inside(self) -> bool:
        """Whether a Mailbox server asks."""
        return self.server is not None and not self.server.is_edge

    def reach(self, connector: SendConnector) -> Reach | Hidden:
        """How far a connector is, or why the asking server does not know it."""
        sources = self.settings.source_servers(connector)
        if self.server is None or not connector.source_transport_servers or self.server in sources:
            return HERE
        if self.is_edge:
            return Hidden(f"not a connector of {self.server.name}, and an Edge server has its own")
        if connector.is_scoped_connector and self._local_site() not in map(self._site, sources):
            return Hidden("scoped: it has no source server in the local site")
        found = [reach for source in sources if (reach := self._reach_of(source)) is not None]
        if not found:
            return Hidden("no path of site links leads to its source servers")
        return min(found, key=_distance)

    def _local_site(self) -> str:
        return (self._site(self.server) if self.server is not None else None) or _NO_SITE

    def _site(self, server: Server) -> str | None:
        """The site that a server counts for, without case; None: no site at all."""
        if server.is_edge:
            site = self.settings.subscribed_site(server)
            return None if site is None else site.casefold()
        return (server.site or _NO_SITE).casefold()

    def _reach_of(self, source: Server) -> Reach | None:
        site = self._site(source)
        path = self._paths.get(site) if site is not None else None
        if path is None:
            return None
        if not path.hops:
            return Reach(0, 1, None, source.is_edge)
        return Reach(path.cost, 1 + path.hops, path, source.is_edge)


def _distance(reach: Reach) -> tuple[int, int, str]:
    site = reach.path.sites[-1].casefold() if reach.path is not None else ""
    return reach.cost, reach.hops, site


def local_server(organization: Organization, hostname: str | None) -> str | None:
    """Which of the organization's servers the host of this name is; None: there are none.

    What the table `[host]` says comes first. Raises UnknownServerError when it can't be told.
    """
    servers = organization.settings.servers
    if organization.host.server is not None or not servers:
        return organization.host.server
    names = {hostname.casefold(), hostname.casefold().partition(".")[0]} if hostname else set()
    for server in servers:
        if any(server.is_named(name) for name in names):
            return server.name
    if len(servers) == 1:
        return servers[0].name
    raise UnknownServerError(
        f"none of the organization's servers is {hostname or 'this host'}; write [host] server ="
        f" one of {', '.join(server.name for server in servers)}"
    )
