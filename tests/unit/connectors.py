"""Connectors for the tests: single ones by their properties, and random organizations."""

import functools
from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.selection.routing_table import RoutingTable

KB = 1024

NAMES = ("Internet", "internet 2", "Alpha", "beta", "Beta 10", "Beta 9", "Ärger", "partner")
"""Unique without regard to case; some sort otherwise by case than without."""

DOMAINS = ("com", "a.com", "b.a.com", "c.b.a.com", "A.b.A.com", "aa.com", "net", "a.net", "b.net")
"""Domains of address spaces: nested, and such that one ends in the letters of another."""

RECIPIENT_DOMAINS = (
    *DOMAINS,
    "x.com",
    "x.a.com",
    "y.x.c.b.a.com",
    "xa.com",
    "org",
    "B.NET",
    "a.net.",
    "[192.0.2.1]",
    "[IPv6:2001:db8::1]",
)

SIZES = (None, 0, 1, KB - 1, KB, KB + 1, 2 * KB, 2 * KB + 1, 3 * KB, 3 * KB + 1, 2**40)


def connector(name: str = "Test", /, **properties: object) -> SendConnector:
    """A connector by its properties in TOML's spelling; for the address space * by default."""
    return SendConnector.model_validate({"name": name, "address_spaces": ["*"], **properties})


def routing_table(connectors: Iterable[SendConnector]) -> RoutingTable:
    """Connectors without an organization around them, ready to decide."""
    return RoutingTable(Organization.of(connectors))


ADDRESS_SPACES = tuple(
    f"{address};{cost}"
    for cost in (1, 2)
    for address in ("*", *DOMAINS, *(f"*.{domain}" for domain in DOMAINS))
)

ROUTES: tuple[dict[str, object], ...] = (
    {},
    {"dns_routing_enabled": False, "smart_hosts": ["192.0.2.1", "mx.b.net"]},
    {"dns_routing_enabled": False, "smart_hosts": ["mx.a.net"], "port": 587},
)


@functools.cache
def _connector(
    name: str, spaces: tuple[str, ...], limit: str, enabled: bool, route: int
) -> SendConnector:
    return connector(
        name,
        address_spaces=list(spaces),
        max_message_size=limit,
        enabled=enabled,
        **ROUTES[route],
    )


def organizations() -> st.SearchStrategy[Sequence[SendConnector]]:
    """Up to eight connectors that get into each other's way."""
    return st.lists(
        st.builds(
            _connector,
            st.sampled_from(NAMES),
            st.lists(st.sampled_from(ADDRESS_SPACES), min_size=1, max_size=3).map(tuple),
            st.sampled_from(("0", "1 KB", "2 KB", "3 KB", "unlimited")),
            st.sampled_from((True, True, True, False)),
            st.integers(0, len(ROUTES) - 1),
        ),
        max_size=len(NAMES),
        unique_by=lambda connector: connector.name,
    )
