"""A second selector, for the tests: the specification's sentences on a JSON document.

Slow and plain on purpose. It shares no code with the product and knows none of its classes:
lists are filtered one sentence after the other, and the cheapest way between two sites is found
by trying every way there is.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import idna

Json = Mapping[str, Any]

UNITS = {"KB": 1024, "MB": 1024**2}
NO_LIMIT = 2**70
ORDINARY = "normal"


def answer(document: Json, request: Json) -> dict[str, Any]:
    """The answer to a request of `route --batch`, without the path."""
    return _Selector(document, request).answer()


class _Selector:
    def __init__(self, document: Json, request: Json) -> None:
        organization = document.get("Organization", {})
        self.version = organization.get("ExchangeVersion", "2013")
        self.accepted: list[Json] = organization.get("AcceptedDomains", [])
        self.sites: list[Json] = organization.get("Sites", [])
        self.links: list[Json] = organization.get("SiteLinks", [])
        self.servers: list[Json] = organization.get("Servers", [])
        self.subscriptions: list[Json] = organization.get("EdgeSubscriptions", [])
        self.connectors: list[Json] = document.get("SendConnectors", [])
        self.request = request
        self.local = self.server(request.get("server"))
        self.size = self.judged_size()
        self.kind, self.address = self.recipient()

    # --- What is asked

    def judged_size(self) -> int:
        if (self.request.get("message_type") or ORDINARY) != ORDINARY:
            return 1
        known = [self.request.get(name) for name in ("size", "original_size")]
        sizes = [size for size in known if size is not None]
        return max(min(sizes), 1) if sizes else 1

    def recipient(self) -> tuple[str, str]:
        """Type and address, decapsulated where that is done."""
        asked = self.request["recipient"]
        if not isinstance(asked, str):
            if asked["type"].upper() != "SMTP":
                return asked["type"].upper(), asked["address"]
            asked = asked["address"]
        local_part, _, _ = asked.rpartition("@")
        default = [d["DomainName"].lower() for d in self.accepted if d.get("Default")]
        encapsulated = re.fullmatch(r"(?i)imcea([a-z0-9]+)-(.*)", local_part)
        if encapsulated and len(local_part) <= 315 and self.domain_of(asked) in default:
            text = encapsulated[2].replace("_", "/")
            text = re.sub(r"\+([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), text)
            return "IMCEA " + encapsulated[1].upper(), text
        return "SMTP", asked

    @staticmethod
    def domain_of(address: str) -> str:
        domain = address.rpartition("@")[2].removesuffix(".").lower()
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode()

    # --- Servers and sites

    def server(self, name: str | None) -> Json | None:
        found = [s for s in self.servers if name and s["Name"].lower() == name.lower()]
        return found[0] if found else None

    def site_of(self, server: Json) -> str | None:
        """Where a server stands; an Edge server where it is subscribed to, if it is."""
        if server["ServerRole"] == "Edge":
            sites = [s["Site"] for s in self.subscriptions if s["Name"] == server["Name"]]
            return sites[0] if sites else None
        site: str | None = server.get("Site")
        return site or ""

    def every_way(self, here: str, there: str, gone: tuple[str, ...]) -> Iterator[list[str]]:
        if here == there:
            yield [here]
            return
        for site in self.sites:
            if site["Name"] not in (*gone, here) and self.link_between(here, site["Name"]):
                for rest in self.every_way(site["Name"], there, (*gone, here)):
                    yield [here, *rest]

    def link_between(self, here: str, there: str) -> Json | None:
        """The cheapest; of equally cheap ones that with the larger limit."""
        links = [link for link in self.links if {here, there} <= set(link["Sites"])]
        return min(links, key=lambda k: (link_cost(k), -limit_of(k)), default=None)

    def links_of(self, way: Sequence[str]) -> list[Json]:
        found = [self.link_between(a, b) for a, b in itertools.pairwise(way)]
        return [link for link in found if link is not None]

    def way_to(self, there: str | None) -> list[str] | None:
        """The way from the local server's site; None if there is none."""
        here = self.site_of(self.local) if self.local else ""
        if here is None or there is None:
            return None

        def badness(way: list[str]) -> tuple[int, int, list[str]]:
            cost = sum(link_cost(link) for link in self.links_of(way))
            return cost, len(way), [name.lower() for name in reversed(way)]

        return min(self.every_way(here, there, ()), key=badness, default=None)

    # --- The steps

    def answer(self) -> dict[str, Any]:
        if self.kind in ("IMCEA SMTP", "IMCEA X500"):
            return outcome("ndr", code="5.1.3")
        self.kind = self.kind.removeprefix("IMCEA ")
        if self.kind == "SMTP" and self.is_authoritative():
            return outcome("accepted_domain")
        usable = [c for c in self.connectors if c.get("Enabled", True) and self.sees(c)]
        matching = [(c, space) for c in usable for space in self.matching_spaces(c)]
        fitting = [(c, space) for c, space in matching if limit_of(c) >= self.size]
        if fitting:
            return self.route(min(fitting, key=lambda pair: self.rank(*pair))[0])
        if matching:
            return outcome("ndr", code="5.3.4")
        if self.kind != "SMTP":
            return outcome("ndr", code="5.1.2")
        return outcome("unreachable", queue=("Unreachable", "Unreachable Domain"))

    def is_authoritative(self) -> bool:
        if self.local and self.local["ServerRole"] == "Edge":
            return False
        domain = self.domain_of(self.address)
        covering = [d for d in self.accepted if covers(d["DomainName"].lower(), domain)]
        if not covering:
            return False
        best = max(covering, key=lambda d: precision(d["DomainName"].lower()))
        return bool(best.get("DomainType", "Authoritative") == "Authoritative")

    def sources(self, connector: Json) -> list[Json]:
        found = [self.server(name) for name in connector.get("SourceTransportServers", [])]
        return [server for server in found if server is not None]

    def is_local(self, connector: Json) -> bool:
        sources = self.sources(connector)
        return self.local is None or not sources or self.local in sources

    def sees(self, connector: Json) -> bool:
        if self.is_local(connector):
            return True
        assert self.local is not None
        if self.local["ServerRole"] == "Edge":
            return False
        sites = [self.site_of(server) for server in self.sources(connector)]
        if connector.get("IsScopedConnector") and self.site_of(self.local) not in sites:
            return False
        return any(self.way_to(site) is not None for site in sites)

    def best_way(self, connector: Json) -> list[str]:
        """The way to the primary site."""
        if self.is_local(connector):
            return [""]
        ways = [self.way_to(self.site_of(server)) for server in self.sources(connector)]
        known = [way for way in ways if way is not None]
        return min(known, key=lambda w: (self.cost_of(w), len(w), w[-1].lower()))

    def cost_of(self, way: Sequence[str]) -> int:
        return sum(link_cost(link) for link in self.links_of(way))

    def rank(self, connector: Json, space: str) -> tuple[Any, ...]:
        """The lowest wins: most precise, cheapest, nearest, first in the alphabet."""
        _, _, address, cost = parts(space)
        way = self.best_way(connector)
        hops = 0 if self.is_local(connector) else len(way)
        precise = [-n for n in self.precision_of(address)]
        return precise, self.cost_of(way) + cost, hops, connector["Name"].lower()

    def precision_of(self, address: str) -> tuple[int, int]:
        if self.kind == "X400" and address != "*":
            return 1, len(attributes(address))
        if self.kind != "SMTP":
            return (0, 0) if address == "*" else (1, 0)
        if address == "--":
            domain = self.domain_of(self.address)
            return max(precision(d) for d in self.for_the_edge() if covers(d, domain))
        return precision(address.lower())

    def for_the_edge(self) -> list[str]:
        return [
            d["DomainName"].lower()
            for d in self.accepted
            if d.get("DomainType", "Authoritative") != "ExternalRelay"
        ]

    def matching_spaces(self, connector: Json) -> list[str]:
        return [space for space in connector["AddressSpaces"] if self.matches(space)]

    def matches(self, space: str) -> bool:
        kind, _, address, _ = parts(space)
        if kind.upper() != self.kind.upper():
            return False
        if self.kind == "X400":
            return address == "*" or attributes(address) <= attributes(self.address)
        if self.kind != "SMTP":
            return address in ("*",) or address.lower() == self.address.lower()
        domain = self.domain_of(self.address)
        if address == "--":
            inside = self.local is not None and self.local["ServerRole"] != "Edge"
            return not inside and any(covers(d, domain) for d in self.for_the_edge())
        return covers(address.lower(), domain)

    # --- Where it goes

    def route(self, connector: Json) -> dict[str, Any]:
        way = self.best_way(connector)
        if any(limit_of(link) < self.size for link in self.links_of(way)):
            return outcome("ndr", code="5.3.4")
        return outcome("connector", connector["Name"], queue=self.queue(connector, way))

    def queue(self, connector: Json, way: Sequence[str]) -> tuple[str, str]:
        if self.is_local(connector):
            hosts = connector.get("SmartHosts", [])
            if hosts:
                return "SmartHostConnectorDelivery", ",".join(hosts)
            return "DnsConnectorDelivery", self.domain_of(self.address)
        hubs = {site["Name"] for site in self.sites if site.get("HubSiteEnabled")}
        between = [name for name in way[1:-1] if name in hubs]
        if between:
            return "SmtpRelayToRemoteActiveDirectorySite", between[0]
        edge = self.sources(connector)[0]["ServerRole"] == "Edge"
        remote = len(way) > 1
        if remote and (edge or self.version == "2010"):
            return "SmtpRelayToRemoteActiveDirectorySite", way[-1]
        if edge:
            return "SmtpRelayWithinAdSiteToEdge", connector["Name"]
        if self.version == "2010":
            return "SmtpRelayWithinAdSite", connector["Name"]
        return "SmtpRelayToConnectorSourceServers", connector["Name"]


def outcome(
    what: str,
    connector: str | None = None,
    *,
    code: str | None = None,
    queue: tuple[str, str] | tuple[None, None] = (None, None),
) -> dict[str, Any]:
    return {
        "outcome": what,
        "connector": connector,
        "code": code,
        "delivery_type": queue[0],
        "next_hop_domain": queue[1],
    }


def link_cost(link: Json) -> int:
    cost: int = link["ExchangeCost"] if link.get("ExchangeCost") else link.get("ADCost", 100)
    return cost


def limit_of(limited: Json) -> int:
    """The limit of a connector (whose default is not asked for here) or link, in bytes."""
    text = limited.get("MaxMessageSize", "Unlimited")
    if text == "Unlimited":
        return NO_LIMIT
    number, _, unit = text.partition(" ")
    return int(number) * UNITS.get(unit, 1)


def parts(space: str) -> tuple[str, str, str, int]:
    """Type, nothing, address and cost of an address space that states all of them."""
    kind, colon, rest = space.partition(":")
    address, _, cost = rest.rpartition(";")
    return kind, colon, address, int(cost)


def covers(pattern: str, domain: str) -> bool:
    if pattern == "*":
        return True
    if domain.startswith("["):
        return False
    if pattern.startswith("*."):
        return domain == pattern[2:] or domain.endswith(pattern[1:])
    return domain == pattern


def precision(pattern: str) -> tuple[int, int]:
    if pattern == "*":
        return 0, 0
    if pattern.startswith("*."):
        return 1, pattern.count(".")
    return 2, 0


def attributes(address: str) -> set[tuple[str, str]]:
    pairs = [part.partition("=") for part in address.split(";") if "=" in part]
    return {(k.strip().lower(), v.strip().lower()) for k, _, v in pairs if v.strip()}
