"""The size rule: what MaxMessageSize means for the recipients of one message.

Only what Postfix would do by itself is questioned: it routes every recipient to the
small-message winner of its domain, which is right until that connector's limit is exceeded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postconnector.model.address_space import Specificity
from postconnector.model.problem import quoted
from postconnector.selection.outcome import Candidate, NonDelivery, Outcome, Selected
from postconnector.selection.routing_table import RoutingTable

MESSAGE_TOO_BIG = "552 5.3.4"


@dataclass(frozen=True, slots=True)
class RecipientRoute:
    """A recipient, and what selection says for this message.

    `moved`: the connector is not the one that Postfix takes by itself.
    `only_default`: nothing but the address space `*` matches; if Postfix has the domain as a
    local, virtual or relay domain, no connector takes part in this recipient's delivery.
    """

    recipient: str
    outcome: Outcome
    moved: bool
    only_default: bool


def route_recipient(routing: RoutingTable, recipient: str, size: int) -> RecipientRoute:
    """What selection says for one recipient and a message of `size` bytes."""
    outcome, small = routing.select(recipient, size), routing.select(recipient)
    if not isinstance(small, Selected):
        return RecipientRoute(recipient, outcome, moved=False, only_default=False)
    return RecipientRoute(
        recipient,
        outcome,
        moved=isinstance(outcome, Selected) and outcome.connector is not small.connector,
        only_default=small.candidate.address_space.specificity is Specificity.ALL,
    )


def refusal(route: RecipientRoute, size: int) -> str | None:
    """The SMTP reply for a recipient to whom no connector takes the message; None if one does."""
    match route.outcome:
        case NonDelivery(largest=Candidate(connector), link=None):
            limit, owner = connector.max_message_size, f"Send connector {quoted(connector.name)}"
        case NonDelivery(link=link) if link is not None:
            limit, owner = link.max_message_size, f"site link {quoted(link.name)}"
        case _:
            return None
    return _reply(
        f"message of {size:,} bytes to {_plain(route.recipient)} is larger than MaxMessageSize"
        f" {limit} of {_plain(owner)}"
    )


def common_refusal(routes: Sequence[RecipientRoute], size: int) -> str | None:
    """The SMTP reply for a message that no connector takes for any of its recipients."""
    replies = [refusal(route, size) for route in routes]
    if not replies or not all(replies):
        return None
    more = len(routes) - 1
    noun = "recipient" if more == 1 else "recipients"
    return f"{replies[0]} (and {more} more {noun} likewise)" if more else replies[0]


def common_detour(routes: Iterable[RecipientRoute]) -> Candidate | None:
    """The one connector that every recipient takes because of the size, where Postfix by itself
    would take another for some; None if there is no such connector.
    """
    routes = list(routes)
    connectors = {
        route.outcome.connector.sort_name: route.outcome.candidate
        for route in routes
        if isinstance(route.outcome, Selected)
    }
    every = all(isinstance(route.outcome, Selected) for route in routes)
    if not every or len(connectors) != 1 or not any(route.moved for route in routes):
        return None
    return next(iter(connectors.values()))


def _reply(text: str) -> str:
    return f"{MESSAGE_TOO_BIG} {text}"


def _plain(text: str) -> str:
    """Printable ASCII without line breaks, as an SMTP reply must be; not endless."""
    shown = "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= 120 else shown[:117] + "..."
