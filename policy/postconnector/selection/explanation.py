"""Why a recipient takes the connector it takes: every connector and where it dropped out."""

from dataclasses import dataclass
from enum import StrEnum

from postconnector.model.address_space import AddressSpace, Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.imcea import ForeignAddress, comparable
from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.model.x400 import x400_attributes
from postconnector.selection.message import Message, MessageType
from postconnector.selection.outcome import Accepted, Candidate, NonDelivery, Outcome, Selected
from postconnector.selection.recipients import Recipient, RefusedType
from postconnector.selection.routing_table import Address, RoutingTable, addresses_of
from postconnector.selection.standpoint import Hidden


class Step(StrEnum):
    """The steps of selection, in their order; each but the last lets connectors drop out."""

    SIZE = "size"
    ENABLED = "enabled"
    SCOPE = "scope"
    MATCH = "match"
    SPECIFICITY = "specificity"
    COST = "cost"
    HOPS = "hops"
    NAME = "name"
    NOT_ASKED = "not asked"
    SELECTED = "selected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one connector: the step at which it dropped out, and why."""

    connector: SendConnector
    step: Step
    reason: str

    @property
    def selected(self) -> bool:
        """Whether this is the connector that the recipient takes."""
        return self.step is Step.SELECTED


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome, a verdict for each connector, and the size at which the outcome changes.

    `changes_above`: the largest size in bytes with this outcome; None if no size changes it.
    """

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    changes_above: int | None


def explain(
    organization: Organization, table: RoutingTable, recipient: Recipient, message: Message
) -> Explanation:
    """Explain the decision of `table`, which is the organization's, for a recipient."""
    outcome = table.select(recipient, message)
    explainer = _Explainer(table, recipient, message, outcome)
    verdicts = tuple(explainer.verdict(connector) for connector in organization.connectors)
    return Explanation(outcome, verdicts, _changes_above(outcome, table, recipient, message))


def _changes_above(
    outcome: Outcome, table: RoutingTable, recipient: Recipient, message: Message
) -> int | None:
    if message.type is not MessageType.NORMAL:
        return None
    limits: list[int] = []
    match outcome:
        case Selected(candidate):
            limits = _limits(candidate)
        case NonDelivery(largest=candidate, link=link) if candidate is not None and link:
            limit = candidate.connector.max_message_size.limit
            larger = limit is not None and table.select(recipient, limit + 1) != outcome
            return limit if larger else None
    return min(limits, default=None)


def _limits(candidate: Candidate) -> list[int]:
    sizes = [candidate.connector.max_message_size]
    path = candidate.reach.path
    if path is not None and path.narrowest is not None:
        sizes.append(path.narrowest.max_message_size)
    return [size.limit for size in sizes if size.limit is not None]


class _Explainer:
    """Asks of each connector, step by step, what kept it from being selected."""

    def __init__(
        self, table: RoutingTable, recipient: Recipient, message: Message, outcome: Outcome
    ) -> None:
        self._table = table
        self._size = message.judged_size
        self._outcome = outcome
        self._winner = outcome.candidate if isinstance(outcome, Selected) else None
        if isinstance(outcome, NonDelivery) and outcome.link is not None:
            self._winner = outcome.largest
        resolved = recipient
        if isinstance(recipient, str):
            found = table.accepted_domains.resolve(recipient)
            resolved = found.address if isinstance(found, RefusedType) else found
        self._recipient = resolved
        domain = recipient_domain(resolved) if isinstance(resolved, str) else None
        addresses = addresses_of(domain) if domain else ()
        self._rank: dict[Address, int] = {address: n for n, address in enumerate(addresses)}

    def verdict(self, connector: SendConnector) -> Verdict:
        if self._winner is not None and self._winner.connector is connector:
            if isinstance(self._outcome, Selected):
                return Verdict(connector, Step.SELECTED, f"by {self._winner.address_space}")
            return Verdict(
                connector, Step.SIZE, "selected, but a site link on the way is too small"
            )
        return Verdict(connector, *self._why_not(connector))

    def _why_not(self, connector: SendConnector) -> tuple[Step, str]:
        if isinstance(self._outcome, Accepted):
            return Step.NOT_ASKED, "the domain is one of the organization's own"
        limit = connector.max_message_size
        if not limit.admits(self._size):
            return Step.SIZE, f"the message is larger than MaxMessageSize {limit}"
        if not connector.enabled:
            return Step.ENABLED, "not enabled"
        reach = self._table.standpoint.reach(connector)
        if isinstance(reach, Hidden):
            return Step.SCOPE, reach.reason
        matching = [
            (precision, Candidate(connector, space, reach))
            for space in connector.address_spaces
            if (precision := self._precision(space)) is not None
        ]
        if not matching:
            return Step.MATCH, "no address space matches"
        precision, best = min(matching, key=lambda found: (found[0], found[1].cost))
        if self._winner is None:
            return Step.NOT_ASKED, "the type of the address is refused"
        return self._lost(precision, best, self._winner)

    def _lost(self, precision: int, best: Candidate, winner: Candidate) -> tuple[Step, str]:
        """Against the winner, by the first thing in which it is better."""
        of_winner = self._precision(winner.address_space)
        spaces = f"{best.address_space} against {winner.address_space}"
        if of_winner is not None and precision > of_winner:
            return (
                Step.SPECIFICITY,
                f"{best.address_space} is less precise than {winner.address_space}",
            )
        if best.cost > winner.cost:
            sites = f" (site links {best.reach.cost} against {winner.reach.cost})"
            shown = sites if best.reach.cost or winner.reach.cost else ""
            return Step.COST, f"costs {best.cost}, not {winner.cost}: {spaces}{shown}"
        if best.reach.hops > winner.reach.hops:
            return Step.HOPS, f"{best.reach.hops} hops away, not {winner.reach.hops}"
        return Step.NAME, f'its name comes after "{winner.connector.name}" in the alphabet'

    def _precision(self, space: AddressSpace) -> int | None:
        """How precisely an address space matches: lower is more precise, None not at all."""
        if isinstance(self._recipient, str):
            if not space.is_smtp:
                return None
            ranks = [self._rank.get(address) for address in self._table.addresses_named(space)]
            return min((rank for rank in ranks if rank is not None), default=None)
        return _foreign_precision(space, self._recipient)


def _foreign_precision(space: AddressSpace, recipient: ForeignAddress) -> int | None:
    if space.type.casefold() != recipient.type.casefold():
        return None
    if space.specificity is Specificity.ALL:
        return 0
    if space.attributes:
        matches = space.attributes <= x400_attributes(recipient.address)
        return -len(space.attributes) if matches else None
    return -1 if space.domain == comparable(recipient.address) else None
