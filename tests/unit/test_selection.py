"""Connector selection: the documented examples, and a second selector to compare with.

The source is "Connector selection in external message routing"; what it leaves open is decided
in docs/decisions.md.
"""

import itertools
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.selection.explanation import Step, explain
from postconnector.selection.message import Message
from postconnector.selection.outcome import Accepted, NonDelivery, Outcome, Selected, Unreachable
from postconnector.selection.routing_table import RoutingTable
from tests.unit.connectors import (
    KB,
    RECIPIENT_DOMAINS,
    SIZES,
    connector,
    organizations,
    routing_table,
)

MB = 1024 * KB


def select(connectors: Sequence[SendConnector], recipient: str, size: int | None = None) -> str:
    return shown(routing_table(connectors).select(recipient, size))


def shown(outcome: Outcome) -> str:
    """The name of the selected connector, or what becomes of the recipient instead."""
    match outcome:
        case Selected(candidate):
            return candidate.connector.name
        case NonDelivery(code):
            return code
        case Unreachable():
            return "unreachable"
        case Accepted():
            return "accepted_domain"


def spaces(**address_spaces: str | list[str]) -> list[SendConnector]:
    """Connectors by name, with their address spaces."""
    return [connector(name, address_spaces=spaces) for name, spaces in address_spaces.items()]


@pytest.mark.parametrize(
    ("connectors", "recipient", "expected"),
    [
        # The documented order: marketing.contoso.com, *.contoso.com, *
        (
            spaces(All="*", Wild="*.contoso.com", Exact="marketing.contoso.com"),
            "julia@marketing.contoso.com",
            "Exact",
        ),
        (spaces(All="*", Wild="*.contoso.com"), "julia@marketing.contoso.com", "Wild"),
        (spaces(All="*", Exact="contoso.com"), "julia@marketing.contoso.com", "All"),
        # Cost counts only among the most precise.
        (spaces(All="*;1", Exact="contoso.com;100"), "bob@contoso.com", "Exact"),
        (spaces(All="*;1", Wild="*.contoso.com;100"), "bob@contoso.com", "Wild"),
        (spaces(Cheap="*.com;1", Near="*.contoso.com;100"), "bob@contoso.com", "Near"),
        (spaces(B="contoso.com;2", A="contoso.com;5"), "bob@contoso.com", "B"),
        # ... and it is the cost of the address space that matches, not of another one.
        (spaces(A=["contoso.com;5", "*;1"], B=["contoso.com;4", "*;9"]), "bob@contoso.com", "B"),
        (spaces(A=["contoso.com;5", "*;1"], B=["contoso.com;4", "*;9"]), "bob@other.org", "A"),
        (spaces(A=["contoso.com;9", "contoso.com;3"], B="contoso.com;5"), "b@contoso.com", "A"),
        # A wildcard matches its apex, at label boundaries, at any depth; most labels win.
        (spaces(Wild="*.contoso.com"), "bob@contoso.com", "Wild"),
        (spaces(Wild="*.contoso.com"), "bob@a.b.c.contoso.com", "Wild"),
        (spaces(Wild="*.contoso.com"), "bob@notcontoso.com", "unreachable"),
        (spaces(Wild="*.contoso.com"), "bob@contoso.com.org", "unreachable"),
        (spaces(Wild="*.contoso.com"), "bob@com", "unreachable"),
        (spaces(Wild="*.contoso.com;1", Exact="contoso.com;9"), "bob@contoso.com", "Exact"),
        (spaces(Two="*.contoso.com", Three="*.a.contoso.com"), "bob@a.contoso.com", "Three"),
        (spaces(Two="*.contoso.com", Three="*.a.contoso.com"), "bob@x.a.contoso.com", "Three"),
        (spaces(Two="*.contoso.com", Three="*.a.contoso.com"), "bob@b.contoso.com", "Two"),
        (spaces(One="*.com", Two="*.contoso.com"), "bob@contoso.com", "Two"),
        (spaces(One="*.com"), "bob@com", "One"),
        # An exact domain matches no subdomain.
        (spaces(Exact="contoso.com"), "bob@mail.contoso.com", "unreachable"),
        # Names break ties, without regard to case, by code points.
        (spaces(beta="*", Alpha="*"), "bob@contoso.com", "Alpha"),
        (spaces(Beta="*", alpha="*"), "bob@contoso.com", "alpha"),
        (
            [connector("Conn 9"), connector("Conn 10")],
            "bob@contoso.com",
            "Conn 10",
        ),
        ([connector("Élan"), connector("Foo")], "bob@contoso.com", "Foo"),
        ([connector("A-1"), connector("A 1")], "bob@contoso.com", "A 1"),
        # Domains are compared without regard to case; U-labels and A-labels are the same.
        (spaces(Exact="Contoso.Com"), "bob@cONTOSO.cOM", "Exact"),
        (spaces(Exact="xn--bcher-kva.example"), "bob@bücher.example", "Exact"),
        (spaces(Exact="bücher.example"), "bob@XN--BCHER-KVA.example", "Exact"),
        (spaces(Wild="*.bücher.example"), "bob@a.bücher.example", "Wild"),
        # A trailing dot does not count. An address literal matches * alone.
        (spaces(Exact="contoso.com"), "bob@contoso.com.", "Exact"),
        (spaces(All="*", Number="*.com"), "bob@[192.0.2.1]", "All"),
        (spaces(Number="*.com"), "bob@[192.0.2.1]", "unreachable"),
        (spaces(All="*"), "bob@my_host.contoso.com", "All"),
        # No address.
        (spaces(All="*"), "bob", "unreachable"),
        (spaces(All="*"), "", "unreachable"),
        ([], "bob@contoso.com", "unreachable"),
    ],
)
def test_address_spaces(connectors: list[SendConnector], recipient: str, expected: str) -> None:
    assert select(connectors, recipient) == expected
    assert select(list(reversed(connectors)), recipient) == expected


SMALL_EXACT = connector("Exact", address_spaces=["contoso.com"], max_message_size="10 MB")
LARGE_ALL = connector("All", max_message_size="35 MB")
MEDIUM_ALL = connector("Also all", max_message_size="20 MB")


@pytest.mark.parametrize(
    ("connectors", "size", "expected"),
    [
        ([SMALL_EXACT, LARGE_ALL], None, "Exact"),
        ([SMALL_EXACT, LARGE_ALL], 10 * MB - 1, "Exact"),
        ([SMALL_EXACT, LARGE_ALL], 10 * MB, "Exact"),
        ([SMALL_EXACT, LARGE_ALL], 10 * MB + 1, "All"),
        ([SMALL_EXACT, LARGE_ALL], 35 * MB + 1, "5.3.4"),
        ([LARGE_ALL, MEDIUM_ALL], 20 * MB, "All"),
        ([MEDIUM_ALL, LARGE_ALL], 20 * MB + 1, "All"),
        ([SMALL_EXACT], 10 * MB + 1, "5.3.4"),
        # amb-004: the larger one is disabled.
        ([SMALL_EXACT, connector("All", enabled=False)], 10 * MB + 1, "5.3.4"),
        # amb-005: too big for all connectors, but none matches.
        ([connector("Other", address_spaces=["fabrikam.com"])], 2**40, "unreachable"),
        # amb-007: 0 takes nothing; a size that is not known is that of the smallest message.
        ([connector("Zero", max_message_size="0")], 0, "5.3.4"),
        ([connector("Zero", max_message_size="0")], 1, "5.3.4"),
        ([connector("Zero", max_message_size="0")], None, "5.3.4"),
        ([connector("A zero", max_message_size="0"), LARGE_ALL], None, "All"),
        ([connector("Unlimited", max_message_size="unlimited")], 2**60, "Unlimited"),
        ([connector("Off", enabled=False)], None, "unreachable"),
        ([connector("A off", enabled=False), LARGE_ALL], None, "All"),
    ],
)
def test_sizes(connectors: list[SendConnector], size: int | None, expected: str) -> None:
    assert select(connectors, "bob@contoso.com", size) == expected
    assert select(list(reversed(connectors)), "bob@contoso.com", size) == expected


def test_a_refusal_names_the_matching_connector_with_the_largest_limit() -> None:
    unrelated = connector("Unrelated", address_spaces=["a.b"], max_message_size="unlimited")
    outcome = routing_table([SMALL_EXACT, MEDIUM_ALL, unrelated, LARGE_ALL]).select(
        "bob@contoso.com", 2**40
    )
    assert isinstance(outcome, NonDelivery)
    assert outcome.largest is not None
    assert outcome.largest.connector is LARGE_ALL


def test_of_equally_large_connectors_a_refusal_names_the_preferred() -> None:
    other = connector("Zoe", max_message_size="35 MB")
    outcome = routing_table([other, LARGE_ALL]).select("bob@contoso.com", 2**40)
    assert isinstance(outcome, NonDelivery)
    assert outcome.largest is not None
    assert outcome.largest.connector is LARGE_ALL


@pytest.mark.parametrize(
    ("connectors", "smallest"),
    [
        ([], None),
        ([connector(max_message_size="unlimited")], None),
        ([SMALL_EXACT, LARGE_ALL], 10 * MB),
        ([LARGE_ALL], 35 * MB),
        ([connector("Off", max_message_size="1 KB", enabled=False), LARGE_ALL], 35 * MB),
        ([connector("Zero", max_message_size="0"), LARGE_ALL], 35 * MB),
    ],
)
def test_smallest_limit(connectors: list[SendConnector], smallest: int | None) -> None:
    assert routing_table(connectors).smallest_limit == smallest


# --- The second selector: the documentation's sentences, one after the other. ---


def documented(connectors: Sequence[SendConnector], domain: str, size: int) -> str:
    domain = domain.lower().removesuffix(".")
    usable = [c for c in connectors if c.enabled]
    fitting = [
        c for c in usable if c.max_message_size.limit is None or c.max_message_size.limit >= size
    ]
    matches = [
        (precision(space.address.lower()), -space.cost, c.name)
        for c in fitting
        for space in c.address_spaces
        if names(space.address.lower(), domain)
    ]
    if matches:
        most_precise = [m for m in matches if m[0] == max(matches)[0]]
        lowest_cost = [m for m in most_precise if m[1] == max(most_precise)[1]]
        return min((name for _, _, name in lowest_cost), key=str.casefold)
    too_small = [
        c for c in usable for space in c.address_spaces if names(space.address.lower(), domain)
    ]
    return "5.3.4" if too_small else "unreachable"


def names(address: str, domain: str) -> bool:
    """Whether an address space names a domain."""
    if address == "*":
        return True
    if address.startswith("*."):
        return domain == address[2:] or domain.endswith(address[1:])
    return domain == address


def precision(address: str) -> tuple[int, int]:
    if address == "*":
        return 0, 0
    if address.startswith("*."):
        return 1, address.count(".")
    return 2, 0


@settings(max_examples=100)
@given(organizations())
def test_as_documented(connectors: Sequence[SendConnector]) -> None:
    table = routing_table(connectors)
    for domain, size in itertools.product(RECIPIENT_DOMAINS, SIZES):
        selected = shown(table.select(f"bob@{domain}", size))
        assert selected == documented(connectors, domain, size or 1), (domain, size)


@settings(max_examples=50)
@given(organizations(), st.randoms(use_true_random=False))
def test_the_order_in_the_file_does_not_count(
    connectors: Sequence[SendConnector], random: Random
) -> None:
    shuffled = list(connectors)
    random.shuffle(shuffled)
    one, other = routing_table(connectors), routing_table(shuffled)
    for domain, size in itertools.product(RECIPIENT_DOMAINS, SIZES):
        assert one.select(f"bob@{domain}", size) == other.select(f"bob@{domain}", size)


@settings(max_examples=100)
@given(organizations())
def test_up_to_the_smallest_limit_size_changes_nothing(
    connectors: Sequence[SendConnector],
) -> None:
    table = routing_table(connectors)
    size = 2**60 if table.smallest_limit is None else table.smallest_limit
    for domain in RECIPIENT_DOMAINS:
        assert table.select(f"bob@{domain}", size) == table.select(f"bob@{domain}")


@settings(max_examples=100)
@given(organizations(), st.sampled_from(RECIPIENT_DOMAINS))
def test_the_explanation_agrees_with_the_selection(
    connectors: Sequence[SendConnector], domain: str
) -> None:
    recipient = f"bob@{domain}"
    table = routing_table(connectors)
    for size in SIZES:
        explanation = explain(Organization.of(connectors), table, recipient, Message(size))
        assert explanation.outcome == table.select(recipient, size)
        assert [verdict.connector for verdict in explanation.verdicts] == list(connectors)
        now = shown(explanation.outcome)
        chosen = [verdict.connector.name for verdict in explanation.verdicts if verdict.selected]
        assert chosen == ([now] if isinstance(explanation.outcome, Selected) else [])

        changes_above = explanation.changes_above
        if changes_above is None:
            assert shown(table.select(recipient, 2**62)) == now
        else:
            assert changes_above >= (size or 0)
            assert shown(table.select(recipient, changes_above)) == now
            assert shown(table.select(recipient, changes_above + 1)) != now


@pytest.mark.parametrize(
    ("loser", "size", "step", "reason"),
    [
        (connector("Off", enabled=False), None, Step.ENABLED, "not enabled"),
        (
            connector("Zero", max_message_size="0"),
            None,
            Step.SIZE,
            "the message is larger than MaxMessageSize 0 B (0 bytes)",
        ),
        (
            connector("Small", address_spaces=["contoso.com"], max_message_size="1 MB"),
            2 * MB,
            Step.SIZE,
            "the message is larger than MaxMessageSize 1 MB (1,048,576 bytes)",
        ),
        (
            connector("Other", address_spaces=["fabrikam.com"]),
            None,
            Step.MATCH,
            "no address space matches",
        ),
        (
            connector("Far", address_spaces=["*.com;1", "a.b"]),
            None,
            Step.SPECIFICITY,
            "SMTP:*.com;1 is less precise than SMTP:*.contoso.com;5",
        ),
        (
            connector("Dear", address_spaces=["*", "*.contoso.com;9", "*.contoso.com;7"]),
            None,
            Step.COST,
            "costs 7, not 5: SMTP:*.contoso.com;7 against SMTP:*.contoso.com;5",
        ),
        (
            connector("Zoe", address_spaces=["*.contoso.com;5"]),
            None,
            Step.NAME,
            'its name comes after "Winner" in the alphabet',
        ),
    ],
)
def test_why_a_connector_dropped_out(
    loser: SendConnector, size: int | None, step: Step, reason: str
) -> None:
    winner = connector("Winner", address_spaces=["*.contoso.com;5"])
    organization = Organization.of([loser, winner])
    table = RoutingTable(organization)
    verdicts = explain(organization, table, "bob@contoso.com", Message(size)).verdicts
    assert [(v.step, v.reason) for v in verdicts] == [
        (step, reason),
        (Step.SELECTED, "by SMTP:*.contoso.com;5"),
    ]
