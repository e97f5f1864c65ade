"""Which recipients of a message leave together: by the same connector to the same next hop. Pure.

What selection has no connector for is answered at once; nothing of it is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from postconnector.delivery.envelope import EnvelopeRecipient
from postconnector.delivery.reply import Reply
from postconnector.enforcement.size import MESSAGE_TOO_BIG, refusal, route_recipient
from postconnector.model.domain import recipient_domain
from postconnector.selection.outcome import Accepted, Candidate, NonDelivery, Selected
from postconnector.selection.routing_table import RoutingTable

NO_CONNECTOR = Reply(450, "4.4.4", ("no matching Send connector",))
"""Temporary, as Exchange's Unreachable queue is."""

Position = int
"""Of a recipient in the envelope."""


@dataclass(frozen=True, slots=True)
class Group:
    """Recipients of one connector; of one `domain` where that is where they go to (DNS routing)."""

    candidate: Candidate
    domain: str
    positions: tuple[Position, ...]


@dataclass(slots=True)
class Grouping:
    """Every recipient is in a group, or has its answer."""

    groups: list[Group] = field(default_factory=list)
    answers: dict[Position, Reply] = field(default_factory=dict)


def group_recipients(
    routing: RoutingTable, recipients: Sequence[EnvelopeRecipient], size: int
) -> Grouping:
    """Ask selection for each recipient of a message of `size` bytes."""
    grouping = Grouping()
    found: dict[tuple[str, str], tuple[Candidate, list[Position]]] = {}
    for position, recipient in enumerate(recipients):
        route = route_recipient(routing, recipient.address, size)
        match route.outcome:
            case Selected(candidate):
                domain = _next_hop_domain(candidate, recipient.address)
                key = candidate.connector.sort_name, domain
                found.setdefault(key, (candidate, []))[1].append(position)
            case NonDelivery() if (text := refusal(route, size)) is not None:
                text = text.removeprefix(MESSAGE_TOO_BIG).strip()
                grouping.answers[position] = Reply(552, "5.3.4", (text,))
            case NonDelivery(code=code):
                text = "no Send connector is for addresses of this type"
                grouping.answers[position] = Reply(550, code, (text,))
            case Accepted(domain=accepted):
                text = f"{accepted.domain_name} is the organization's own: no Send connector has it"
                grouping.answers[position] = Reply(450, "4.4.4", (text,))
            case _:
                grouping.answers[position] = NO_CONNECTOR
    grouping.groups = [
        Group(candidate, domain, tuple(positions))
        for (_, domain), (candidate, positions) in found.items()
    ]
    return grouping


def _next_hop_domain(candidate: Candidate, address: str) -> str:
    """The domain that decides where mail goes; another server's connector is that server's."""
    if candidate.reach.hops or not candidate.connector.dns_routing_enabled:
        return ""
    return recipient_domain(address) or ""
