"""Why a recipient takes the connector it takes: every connector and where it dropped out."""

from collections.abc import Sequence
from dataclasses import dataclass

from postconnector.model.domain import recipient_domain
from postconnector.model.send_connector import SendConnector
from postconnector.selection.routing_table import (
    Address,
    Candidate,
    Outcome,
    RoutingTable,
    Selected,
    addresses_of,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one connector, in one sentence."""

    connector: SendConnector
    selected: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome, a verdict for each connector, and the size at which the outcome changes.

    `changes_above`: the largest size in bytes with this outcome; None if no size changes it.
    """

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    changes_above: int | None


def explain(
    connectors: Sequence[SendConnector], recipient: str, size: int | None = None
) -> Explanation:
    """Explain the decision for a recipient and a message of `size` bytes (None: a small one)."""
    outcome = RoutingTable(connectors).select(recipient, size)
    domain = recipient_domain(recipient)
    rank = {address: n for n, address in enumerate(addresses_of(domain))} if domain else {}
    verdicts = tuple(_verdict(connector, rank, size or 0, outcome) for connector in connectors)
    changes = outcome.connector.max_message_size.limit if isinstance(outcome, Selected) else None
    return Explanation(outcome, verdicts, changes)


def _verdict(
    connector: SendConnector, rank: dict[Address, int], size: int, outcome: Outcome
) -> Verdict:
    if isinstance(outcome, Selected) and outcome.connector is connector:
        space = outcome.candidate.address_space
        return Verdict(connector, True, f"selected by {space}")
    return Verdict(connector, False, _why_not(connector, rank, size, outcome))


def _why_not(
    connector: SendConnector, rank: dict[Address, int], size: int, outcome: Outcome
) -> str:
    limit = connector.max_message_size
    if limit.limit == 0 or not limit.admits(size):
        return f"the message is larger than MaxMessageSize {limit}"
    if not connector.enabled:
        return "not enabled"
    matching = [s for s in connector.address_spaces if (s.specificity, s.domain) in rank]
    if not matching:
        return "no address space matches"
    best = min(matching, key=lambda s: (rank[s.specificity, s.domain], s.cost))
    if not isinstance(outcome, Selected):
        raise AssertionError("a connector that matches and admits the size was not selected")
    winner = outcome.candidate
    if rank[best.specificity, best.domain] > rank[_address(winner)]:
        return f"{best} is less precise than {winner.address_space}"
    if best.cost > winner.address_space.cost:
        return f"{best} costs more than {winner.address_space}"
    return f'its name comes after "{winner.connector.name}" in the alphabet'


def _address(candidate: Candidate) -> Address:
    return candidate.address_space.specificity, candidate.address_space.domain
