"""Selection from the standpoint of servers, over sites: examples, and the naive selector.

Sources: "Connector selection in external message routing", "Mail routing", "Route mail between
Active Directory sites", "Queues and messages in queues"; what they leave open: docs/decisions.md.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.selection.batch import BadRequestError, Batch
from postconnector.sources.document import read_document
from tests.unit.naive_selection import answer as naive_answer

Json = dict[str, Any]
MB = 1024**2


def batch(document: Mapping[str, Any]) -> Batch:
    reading = read_document(document)
    assert reading.organization is not None, [str(problem) for problem in reading.problems]
    return Batch(reading.organization)


def both(document: Json, request: Json) -> Json:
    """What the product answers, and the naive selector too."""
    answered = {k: v for k, v in batch(document).answer(request).items() if k != "path"}
    assert answered == naive_answer(document, request)
    return answered


def site(name: str, hub: bool = False) -> Json:
    return {"Name": name, "HubSiteEnabled": hub}


def link(*sites: str, cost: int = 10, name: str = "", **more: object) -> Json:
    return {"Name": name or "-".join(sites), "Sites": list(sites), "ADCost": cost, **more}


def mailbox(name: str, at: str) -> Json:
    return {"Name": name, "Fqdn": f"{name}.contoso.com", "Site": at, "ServerRole": "Mailbox"}


EDGE = {"Name": "EDGE1", "Fqdn": "edge1.contoso.com", "Site": None, "ServerRole": "Edge"}


def connector(name: str, spaces: str | list[str], *servers: str, **more: object) -> Json:
    listed = [spaces] if isinstance(spaces, str) else spaces
    entry = {"Name": name, "AddressSpaces": listed, "SourceTransportServers": list(servers)}
    return {**entry, "MaxMessageSize": "Unlimited", **more}


def organization(*connectors: Json, **parts: object) -> Json:
    """HQ - Hub - Branch, with a server each; HQ is 10 from Hub, Hub 10 from Branch."""
    settled: Json = {
        "ExchangeVersion": "2016",
        "AcceptedDomains": [{"DomainName": "contoso.com", "Default": True}],
        "Sites": [site("HQ"), site("Hub"), site("Branch")],
        "SiteLinks": [link("HQ", "Hub"), link("Hub", "Branch")],
        "Servers": [
            mailbox("MBX1", "HQ"),
            mailbox("MBX2", "HQ"),
            mailbox("HUB1", "Hub"),
            mailbox("BR1", "Branch"),
            EDGE,
        ],
        "EdgeSubscriptions": [{"Name": "EDGE1", "Site": "Branch"}],
    }
    return {"Organization": {**settled, **parts}, "SendConnectors": list(connectors)}


def asked(
    document: Json, server: str | None = "MBX1", recipient: object = "bob@fabrikam.com", **more: Any
) -> tuple[str | None, str | None, str | None]:
    """Connector (or what becomes of the recipient), delivery type, next hop domain."""
    request = {"recipient": recipient, "server": server, **more}
    found = both(document, request)
    shown = found["connector"] or found["code"] or found["outcome"]
    return shown, found["delivery_type"], found["next_hop_domain"]


RELAY = "SmtpRelayToConnectorSourceServers"
TO_SITE = "SmtpRelayToRemoteActiveDirectorySite"
DNS = "DnsConnectorDelivery"


@pytest.mark.parametrize(
    ("connectors", "server", "expected"),
    [
        # Aggregate cost: links and address space together.
        (
            [connector("Far", "SMTP:*;1", "BR1"), connector("Near", "SMTP:*;30", "MBX1")],
            "MBX1",
            ("Far", RELAY, "Far"),
        ),
        (
            [connector("Far", "SMTP:*;1", "BR1"), connector("Near", "SMTP:*;20", "MBX1")],
            "MBX1",
            ("Near", DNS, "fabrikam.com"),
        ),
        # ... but never before the more precise address space.
        (
            [connector("Far", "SMTP:fabrikam.com;100", "BR1"), connector("N", "SMTP:*;1", "MBX1")],
            "MBX1",
            ("Far", RELAY, "Far"),
        ),
        # Equal cost: this server, then its site, then others.
        (
            [connector("A", "SMTP:*;1", "MBX2"), connector("B", "SMTP:*;1", "MBX1")],
            "MBX1",
            ("B", DNS, "fabrikam.com"),
        ),
        (
            [connector("A", "SMTP:*;1", "HUB1"), connector("B", "SMTP:*;11", "MBX2")],
            "MBX1",
            ("B", RELAY, "B"),
        ),
        (
            [connector("A", "SMTP:*;1", "BR1"), connector("B", "SMTP:*;11", "HUB1")],
            "MBX1",
            ("B", RELAY, "B"),
        ),
        # Several source servers: the nearest counts.
        ([connector("A", "SMTP:*;1", "BR1", "MBX2")], "MBX1", ("A", RELAY, "A")),
        ([connector("A", "SMTP:*;1", "BR1", "MBX1")], "MBX1", ("A", DNS, "fabrikam.com")),
        # Scope.
        (
            [connector("A", "SMTP:*;1", "BR1", IsScopedConnector=True)],
            "MBX1",
            ("unreachable", "Unreachable", "Unreachable Domain"),
        ),
        (
            [connector("A", "SMTP:*;1", "MBX2", IsScopedConnector=True)],
            "MBX1",
            ("A", RELAY, "A"),
        ),
        # Edge servers stand where they are subscribed to, and see their own connectors alone.
        ([connector("A", "SMTP:*;1", "EDGE1")], "BR1", ("A", "SmtpRelayWithinAdSiteToEdge", "A")),
        ([connector("A", "SMTP:*;1", "EDGE1")], "MBX1", ("A", TO_SITE, "Branch")),
        ([connector("A", "SMTP:*;1", "EDGE1")], "EDGE1", ("A", DNS, "fabrikam.com")),
        (
            [connector("A", "SMTP:*;1", "BR1")],
            "EDGE1",
            ("unreachable", "Unreachable", "Unreachable Domain"),
        ),
        # Without a standpoint every connector is the asking server's own.
        (
            [connector("B", "SMTP:*;1", "MBX1"), connector("A", "SMTP:*;1", "BR1")],
            None,
            ("A", DNS, "fabrikam.com"),
        ),
    ],
)
def test_standpoints(
    connectors: list[Json], server: str | None, expected: tuple[str, str, str]
) -> None:
    assert asked(organization(*connectors), server) == expected
    assert asked(organization(*reversed(connectors)), server) == expected


def test_mail_stops_at_a_hub_site_on_the_way() -> None:
    hubs = {"Sites": [site("HQ", True), site("Hub", True), site("Branch", True)]}
    document = organization(connector("A", "SMTP:*;1", "BR1"), **hubs)
    assert asked(document) == ("A", TO_SITE, "Hub")
    assert asked(document, "HUB1") == ("A", RELAY, "A")
    edge = organization(connector("A", "SMTP:*;1", "EDGE1"), **hubs)
    assert asked(edge) == ("A", TO_SITE, "Hub")


@pytest.mark.parametrize(
    ("links", "hub"),
    [
        # Cheaper, though longer; equal cost: fewer links; then the name nearest the destination.
        ([link("HQ", "Hub"), link("Hub", "Branch"), link("HQ", "Branch", cost=21)], "Hub"),
        ([link("HQ", "Hub"), link("Hub", "Branch"), link("HQ", "Branch", cost=20)], None),
        (
            [link("HQ", "Hub"), link("Hub", "Branch"), link("HQ", "Alt"), link("Alt", "Branch")],
            "Alt",
        ),
        # ExchangeCost replaces ADCost; of several links the cheapest counts.
        (
            [
                link("HQ", "Hub", cost=1, ExchangeCost=50),
                link("HQ", "Hub", cost=30, name="again"),
                link("Hub", "Branch"),
                link("HQ", "Branch", cost=41),
            ],
            "Hub",
        ),
        # A link of three sites is one hop between any two.
        ([link("HQ", "Hub", "Branch")], None),
    ],
)
def test_the_way_between_sites(links: list[Json], hub: str | None) -> None:
    sites = [site("HQ"), site("Hub", True), site("Branch"), site("Alt", True)]
    document = organization(connector("A", "SMTP:*;1", "BR1"), Sites=sites, SiteLinks=links)
    expected = ("A", TO_SITE, hub) if hub else ("A", RELAY, "A")
    assert asked(document) == expected


def test_a_link_that_is_too_small_bounces_and_nothing_else_is_tried() -> None:
    links = [link("HQ", "Hub"), link("Hub", "Branch", MaxMessageSize="5 MB")]
    document = organization(
        connector("Exact", "SMTP:fabrikam.com;1", "BR1"),
        connector("All", "SMTP:*;1", "MBX1"),
        SiteLinks=links,
    )
    assert asked(document, size=5 * MB)[0] == "Exact"
    assert asked(document, size=5 * MB + 1)[0] == "5.3.4"
    assert asked(document, size=5 * MB + 1, original_size=MB)[0] == "Exact"
    for kind in ("dsn", "journal_report", "system", "agent_generated", "quarantined"):
        assert asked(document, size=50 * MB, message_type=kind)[0] == "Exact"


def test_of_equally_cheap_links_the_larger_one_is_taken() -> None:
    links = [
        link("HQ", "Branch", name="a", MaxMessageSize="64 KB"),
        link("HQ", "Branch", name="b", MaxMessageSize="1 MB"),
    ]
    document = organization(connector("A", "SMTP:*;1", "BR1"), SiteLinks=links)
    assert asked(document, size=MB)[0] == "A"
    assert asked(document, size=MB + 1)[0] == "5.3.4"


def test_exchange_2010_relays_to_the_site() -> None:
    document = organization(connector("A", "SMTP:*;1", "BR1"), ExchangeVersion="2010")
    assert asked(document) == ("A", TO_SITE, "Branch")


HOSTS = {"SmartHosts": ["[10.0.0.1]", "relay.contoso.com"], "DNSRoutingEnabled": False}
FOREIGN = [
    connector("Fax", "FAX:*;1", "MBX1", **HOSTS),
    connector("One fax", "FAX:+1 425 555 0100;9", "MBX1", **HOSTS),
    connector("X.400", "X400:c=US;a= ;1", "MBX1", **HOSTS),
    connector("X.400 of Contoso", "X400:C=US;P=Contoso;5", "MBX1", **HOSTS),
    connector("Internet", "SMTP:*;1", "MBX1"),
]


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ({"type": "FAX", "address": "+1 425 555 0199"}, "Fax"),
        ({"type": "fax", "address": "+1 425 555 0100"}, "One fax"),
        ("IMCEAFAX-+2B1+20425+20555+200100@contoso.com", "One fax"),
        ("imceafax-+2b1+20425+20555+200199@CONTOSO.com", "Fax"),
        ("IMCEAFAX-x@fabrikam.com", "Internet"),
        ("IMCEATELEX-x@contoso.com", "5.1.2"),
        ("IMCEASMTP-a+40b@contoso.com", "5.1.3"),
        ("IMCEAX500-_o=x@contoso.com", "5.1.3"),
        (f"IMCEAFAX-{'x' * 400}@contoso.com", "accepted_domain"),
        ({"type": "X400", "address": "c=us;p=contoso;o=Sales"}, "X.400 of Contoso"),
        ({"type": "X400", "address": "c=us;a=;p=fabrikam"}, "X.400"),
        ({"type": "X400", "address": "p=contoso"}, "5.1.2"),
        ({"type": "SMTP", "address": "bob@fabrikam.com"}, "Internet"),
        ("ann@contoso.com", "accepted_domain"),
    ],
)
def test_types_of_addresses(recipient: object, expected: str) -> None:
    document = organization(*FOREIGN)
    assert asked(document, recipient=recipient)[0] == expected


def test_smart_hosts_are_the_next_hop_of_other_types() -> None:
    fax = {"type": "FAX", "address": "1"}
    expected = ("Fax", "SmartHostConnectorDelivery", "[10.0.0.1],relay.contoso.com")
    assert asked(organization(*FOREIGN), recipient=fax) == expected


ACCEPTED = {
    "AcceptedDomains": [
        {"DomainName": "contoso.com", "Default": True},
        {"DomainName": "*.relayed.com", "DomainType": "InternalRelay"},
        {"DomainName": "own.relayed.com", "DomainType": "Authoritative"},
        {"DomainName": "partner.com", "DomainType": "ExternalRelay"},
    ]
}
INBOUND = connector("In", "SMTP:--;5", "EDGE1", SmartHosts=["--"], DNSRoutingEnabled=False)


@pytest.mark.parametrize(
    ("recipient", "inside", "edge"),
    [
        ("a@contoso.com", "accepted_domain", "In"),
        ("a@x.relayed.com", "Out", "In"),
        ("a@relayed.com", "Out", "In"),
        ("a@own.relayed.com", "accepted_domain", "In"),
        ("a@partner.com", "Out", "Out"),
        ("a@sub.contoso.com", "Out", "Out"),
    ],
)
def test_accepted_domains_inside_and_at_the_edge(recipient: str, inside: str, edge: str) -> None:
    document = organization(INBOUND, connector("Out", "SMTP:*;1", "EDGE1"), **ACCEPTED)
    assert asked(document, "BR1", recipient)[0] == inside
    assert asked(document, "EDGE1", recipient)[0] == edge


def test_dashes_are_as_precise_as_the_domain_itself() -> None:
    exact = connector("Exact", "SMTP:contoso.com;4", "EDGE1")
    wild = connector("Wild", "SMTP:*.contoso.com;1", "EDGE1")
    assert asked(organization(INBOUND, exact, wild), "EDGE1", "a@contoso.com")[0] == "Exact"
    assert asked(organization(INBOUND, wild), "EDGE1", "a@contoso.com")[0] == "In"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], "not an object"),
        ({}, "recipient is neither"),
        ({"recipient": {"type": "X400"}}, "recipient is neither"),
        ({"recipient": "a@b.c", "size": "big"}, "size is not a number"),
        ({"recipient": "a@b.c", "size": -1}, "size is not a number"),
        ({"recipient": "a@b.c", "size": True}, "size is not a number"),
        ({"recipient": "a@b.c", "message_type": "spam"}, "message_type is none of"),
        ({"recipient": "a@b.c", "message_type": ["dsn"]}, "message_type is none of"),
        ({"recipient": "a@b.c", "server": "NOBODY"}, "declares no server NOBODY"),
        ({"recipient": "a@b.c", "server": 1}, "server is not a name"),
        ({"recipient": "a@b.c", "sizes": 1}, "unknown entry"),
    ],
)
def test_requests_that_are_none(request_: object, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        batch(organization()).answer(request_)


# --- Random organizations

SITES = ("HQ", "branch", "Alt", "Zeta")
MAILBOXES = {"MBX1": "HQ", "MBX2": "HQ", "BR1": "branch", "ALT1": "Alt", "Z1": "Zeta"}
EDGES = ("EDGE1", "EDGE2")
NAMES = ("Internet", "alpha", "Beta", "beta 2", "Conn 10", "Conn 9")
DOMAINS = ("com", "a.com", "b.a.com", "c.b.a.com", "aa.com", "net")
PATTERNS = ("*", "*", "*", "a.com", "*.a.com", *DOMAINS, *(f"*.{domain}" for domain in DOMAINS))
FOREIGN_SPACES = ("FAX:*", "FAX:1", "X400:*", "X400:c=US", "X400:c=US;p=x", "X400:c=US;a= ;o=y")
LIMITS = ("Unlimited", "Unlimited", "2 KB", "1 KB", "0")
RECIPIENTS: tuple[object, ...] = (
    *("u@a.com", "u@x.a.com", "u@x.org") * 4,
    *(f"u@{domain}" for domain in (*DOMAINS, "x.com", "B.A.com.", "[192.0.2.1]")),
    "IMCEAFAX-1@a.com",
    "IMCEAX400-c=US+3Bp=X+3Bo=y@a.com",
    "IMCEASMTP-x@a.com",
    {"type": "X400", "address": "c=us;p=X;o=Y"},
    {"type": "FAX", "address": "1"},
    {"type": "TELEX", "address": "1"},
)


class Dice:
    """Throws organizations in which much is equal, so that every tie-break has its turn."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.one_of = self._random.choice

    def some(self, of: Sequence[Any], least: int, most: int) -> list[Any]:
        return self._random.sample(of, self._random.randint(least, min(most, len(of))))

    def happens(self, one_in: int) -> bool:
        return self._random.randrange(one_in) == 0

    def document(self) -> Json:
        topology: Json = {
            "ExchangeVersion": self.one_of(("2013", "2016")),
            "AcceptedDomains": self.accepted_domains(),
            "Sites": [site(name, self.happens(2)) for name in SITES],
            "SiteLinks": [self.link(f"L{n}") for n in range(self._random.randint(2, 7))],
            "Servers": [mailbox(name, at) for name, at in MAILBOXES.items()]
            + [{**EDGE, "Name": name, "Fqdn": f"{name}.x.org"} for name in EDGES],
            "EdgeSubscriptions": [
                {"Name": edge, "Site": self.one_of(SITES)} for edge in self.some(EDGES, 1, 2)
            ],
        }
        connectors = [self.connector(name) for name in self.some(NAMES, 1, 6)]
        return {"Organization": topology, "SendConnectors": connectors}

    def link(self, name: str) -> Json:
        limit = self.one_of(("Unlimited", "Unlimited", "64 KB"))
        over = self.one_of((None, None, None, 10))
        cost = self.one_of((5, 10, 10, 10, 20))
        ends = self.some(SITES, 2, 3 if self.happens(5) else 2)
        return link(*ends, cost=cost, name=name, MaxMessageSize=limit, ExchangeCost=over)

    def accepted_domains(self) -> list[Json]:
        kinds = ("Authoritative", "InternalRelay", "InternalRelay", "ExternalRelay")
        names = ["a.com", *self.some(("x.org", "*.a.com", "b.a.com", "*.com", "net"), 0, 2)]
        domains = [{"DomainName": name, "DomainType": self.one_of(kinds)} for name in names]
        domains[0]["Default"] = not self.happens(3)
        return domains

    def connector(self, name: str) -> Json:
        at_the_edge = self.happens(4)
        spaces = [self.space(at_the_edge) for _ in range(self._random.randint(1, 3))]
        servers = self.some(EDGES if at_the_edge else tuple(MAILBOXES), 1, 2)
        entry = connector(
            name,
            spaces,
            *servers,
            Enabled=not self.happens(6),
            IsScopedConnector=self.happens(4),
            MaxMessageSize=self.one_of(LIMITS),
        )
        foreign = any(not space.startswith("SMTP:") for space in spaces)
        return entry | HOSTS if foreign or self.happens(3) else entry

    def space(self, at_the_edge: bool) -> str:
        cost = self.one_of((1, 1, 11, 6))
        if not at_the_edge and self.happens(4):
            return f"{self.one_of(FOREIGN_SPACES)};{cost}"
        if at_the_edge and self.happens(3):
            return f"SMTP:--;{cost}"
        return f"SMTP:{self.one_of(PATTERNS)};{cost}"

    def request(self) -> Json:
        return {
            "recipient": self.one_of(RECIPIENTS),
            "server": self.one_of((None, *MAILBOXES, *MAILBOXES, *EDGES)),
            "size": self.one_of((None, 0, 1024, 1025, 2048, 2049, 65536, 65537)),
            "original_size": self.one_of((None, None, None, 1024, 65536)),
            "message_type": self.one_of((None, "normal", "normal", "normal", "dsn")),
        }


@settings(max_examples=200)
@given(st.integers(0, 2**64))
def test_as_the_naive_selector(seed: int) -> None:
    dice = Dice(seed)
    document = dice.document()
    product = batch(document)
    for _ in range(30):
        request = dice.request()
        answered = {k: v for k, v in product.answer(request).items() if k != "path"}
        assert answered == naive_answer(document, request), (document, request)
