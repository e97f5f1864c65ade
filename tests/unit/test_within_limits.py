"""Messages within every limit: the short way says what selection says."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.enforcement.recipient_route import route_recipient
from postconnector.enforcement.size import too_big
from postconnector.enforcement.within_limits import WithinLimits
from postconnector.model.organization import Organization, OrganizationSettings
from postconnector.model.send_connector import SendConnector
from postconnector.selection.outcome import Selected
from postconnector.selection.routing_table import RoutingTable
from tests.unit.connectors import KB, RECIPIENT_DOMAINS, SIZES, connector, organizations

LOCAL_PARTS = ("bob", '"a@b"', "IMCEAFAX-1@x", "imceaEX-_o=a", "")


def short_way(connectors: Sequence[SendConnector]) -> tuple[WithinLimits, RoutingTable]:
    organization = Organization.of(connectors)
    routing = RoutingTable(organization)
    return WithinLimits(organization, routing), routing


@settings(max_examples=300)
@given(
    organizations(),
    st.lists(
        st.tuples(
            st.sampled_from(LOCAL_PARTS),
            st.sampled_from(RECIPIENT_DOMAINS),
            st.sampled_from([size for size in SIZES if size is not None]),
        ),
        max_size=20,
    ),
)
def test_what_it_covers_is_neither_refused_nor_moved(
    connectors: Sequence[SendConnector], asked: list[tuple[str, str, int]]
) -> None:
    within, routing = short_way(connectors)
    for local_part, domain, size in asked:
        if not within.covers(size):
            continue
        route = route_recipient(routing, f"{local_part}@{domain}", size)
        assert not route.moved
        assert too_big(route, size) is None
        name = route.outcome.connector.name if isinstance(route.outcome, Selected) else ""
        assert within.connector(f"{local_part}@{domain}") == name


@pytest.mark.parametrize(
    ("limits", "covered", "not_covered"),
    [
        ((), (0, 1, 2**40), ()),
        (("unlimited",), (0, 1, 2**40), ()),
        (("unlimited", "2 KB", "3 KB"), (0, 1, 2 * KB), (2 * KB + 1, 3 * KB)),
        (("0",), (), (0, 1, KB)),
    ],
)
def test_sizes(limits: Sequence[str], covered: Sequence[int], not_covered: Sequence[int]) -> None:
    connectors = [connector(f"C{n}", max_message_size=limit) for n, limit in enumerate(limits)]
    within, _ = short_way(connectors)
    assert all(within.covers(size) for size in covered)
    assert not any(within.covers(size) for size in not_covered)


def test_a_limit_between_sites_counts() -> None:
    settings = OrganizationSettings.model_validate(
        {
            "site_links": [{"name": "Link", "sites": ["A", "B"], "max_message_size": "64 KB"}],
            "sites": [{"name": "A"}, {"name": "B"}],
        }
    )
    organization = Organization((connector(max_message_size="unlimited"),), settings=settings)
    within = WithinLimits(organization, RoutingTable(organization))
    assert within.covers(64 * KB)
    assert not within.covers(64 * KB + 1)


def test_encapsulated_addresses_are_selected_each_by_itself() -> None:
    """Their domain is the same, and they go different ways."""
    settings = OrganizationSettings.model_validate(
        {"accepted_domains": [{"domain_name": "contoso.com", "default": True}]}
    )
    fax = connector(
        "Fax",
        address_spaces=["FAX:*"],
        dns_routing_enabled=False,
        smart_hosts=["192.0.2.1"],
    )
    organization = Organization((fax, connector("All")), settings=settings)
    routing = RoutingTable(organization)
    within = WithinLimits(organization, routing)
    for address in ("bob@contoso.com", "IMCEAFAX-1234@contoso.com", "imceafax-1@contoso.com"):
        outcome = routing.select(address)
        name = outcome.connector.name if isinstance(outcome, Selected) else ""
        assert within.connector(address) == name
    assert within.connector("IMCEAFAX-1234@contoso.com") == "Fax"
