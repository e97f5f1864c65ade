"""What selection says for one recipient and a message's size, beside what Postfix does by itself.

Postfix routes every recipient to the small-message winner of its domain, which is right until
that connector's limit is exceeded. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from postconnector.model.address_space import Specificity
from postconnector.selection.outcome import Candidate, NonDelivery, Outcome, Selected
from postconnector.selection.routing_table import RoutingTable


@dataclass(frozen=True, slots=True)
class RecipientRoute:
    """A recipient, and what selection says for this message.

    `moved`: the connector is not the one that Postfix takes by itself. `only_default`: nothing but
    the address space `*` matches. `kept`: Postfix delivers to the domain itself, so that no
    connector takes part, and nothing moves. `rewritten`: Postfix makes other recipients of it when
    it queues the message; until then it is kept. Both are looked for only where the size matters.
    """

    recipient: str
    outcome: Outcome
    moved: bool = False
    only_default: bool = False
    kept: bool = False
    rewritten: bool = False

    def as_kept(self) -> "RecipientRoute":
        """The same where Postfix delivers to the domain itself."""
        return replace(self, moved=False, kept=True)

    def as_rewritten(self) -> "RecipientRoute":
        """The same where Postfix makes other recipients of it."""
        return replace(self, moved=False, kept=True, rewritten=True)

    @property
    def connector_name(self) -> str:
        """Of the connector that is decided about: the one that takes it, or is too small for it;
        empty if there is none.
        """
        match self.outcome:
            case Selected(candidate) | NonDelivery(largest=Candidate() as candidate):
                return "" if self.kept else candidate.connector.name
        return ""


def route_recipient(routing: RoutingTable, recipient: str, size: int) -> RecipientRoute:
    """What selection says for one recipient and a message of `size` bytes."""
    outcome, small = routing.select(recipient, size), routing.select(recipient)
    if not isinstance(small, Selected):
        return RecipientRoute(recipient, outcome)
    return RecipientRoute(
        recipient,
        outcome,
        moved=isinstance(outcome, Selected) and outcome.connector is not small.connector,
        only_default=small.candidate.address_space.specificity is Specificity.ALL,
    )


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
    every = all(isinstance(route.outcome, Selected) and not route.kept for route in routes)
    if not every or len(connectors) != 1 or not any(route.moved for route in routes):
        return None
    return next(iter(connectors.values()))


def connectors_of(routes: Iterable[RecipientRoute]) -> set[str]:
    """The names of all connectors that are decided about; an empty one if some have none."""
    return {route.connector_name for route in routes}
