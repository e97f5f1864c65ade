"""Which recipients of a message leave together, and which are Postfix' to deliver. Pure.

What selection has no connector for is answered at once where there is no Postfix to have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from postconnector.delivery.received import Received
from postconnector.delivery.reply import Reply
from postconnector.enforcement.judgement import Judgement
from postconnector.enforcement.recipient_route import RecipientRoute
from postconnector.model.domain import recipient_domain
from postconnector.postfix.local_routing import LocalRouting
from postconnector.selection.outcome import Accepted, Candidate, NonDelivery, Outcome, Selected

NO_CONNECTOR = Reply(450, "4.4.4", ("no matching Send connector",))
"""Temporary, as Exchange's Unreachable queue is."""

_GOES_ROUND = Reply(
    451, "4.4.6", ("Postfix and the delivery agent go by different connectors just now",)
)
"""They do while connectors are being published."""

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
    """Every recipient is in a group, is handed back to Postfix, or has its answer.

    `returned`: those that are handed back together, as Postfix takes them by one route, by the name
    of the connector that they move to because of the size; empty: they do not.
    """

    groups: list[Group] = field(default_factory=list)
    returned: dict[str, tuple[Position, ...]] = field(default_factory=dict)
    answers: dict[Position, Reply] = field(default_factory=dict)


def group_recipients(
    local: LocalRouting,
    routes: Sequence[RecipientRoute],
    judgement: Judgement,
    received: Received | None,
) -> Grouping:
    """Sort the recipients; `received` is None where no Postfix has sent the message."""
    grouping = Grouping()
    grouping.answers = {
        position: Reply(answer.code, answer.enhanced, (answer.text,))
        for position, answer in judgement.answers.items()
    }
    found: dict[tuple[str, str], tuple[Candidate, list[Position]]] = {}
    returned: dict[str, list[Position]] = {}
    for position, route in enumerate(routes):
        if position in grouping.answers:
            continue
        candidate = _ours(local, route, received)
        if candidate is not None:
            domain = _next_hop_domain(candidate, route.recipient)
            key = candidate.connector.sort_name, domain
            found.setdefault(key, (candidate, []))[1].append(position)
        elif received is None:
            grouping.answers[position] = _without_connector(route.outcome)
        elif received.came_back:
            grouping.answers[position] = _GOES_ROUND
        else:
            returned.setdefault(_moved_to(route), []).append(position)
    grouping.groups = [
        Group(candidate, domain, tuple(positions))
        for (_, domain), (candidate, positions) in found.items()
    ]
    grouping.returned = {by: tuple(positions) for by, positions in returned.items()}
    return grouping


def _ours(
    local: LocalRouting, route: RecipientRoute, received: Received | None
) -> Candidate | None:
    """The connector that we deliver by; None: it is not for us to deliver.

    On the agent path nothing is: Postfix finds its way to us again for what is ours.
    """
    if not isinstance(route.outcome, Selected):
        return None
    candidate = route.outcome.candidate
    if received is None:
        return candidate
    return candidate if not received.on_agent_path and local.is_by_agent(candidate) else None


def _moved_to(route: RecipientRoute) -> str:
    if route.moved and isinstance(route.outcome, Selected):
        return route.outcome.connector.sort_name
    return ""


def _without_connector(outcome: Outcome) -> Reply:
    match outcome:
        case NonDelivery(code=code):
            return Reply(550, code, ("no Send connector is for addresses of this type",))
        case Accepted(domain=accepted):
            text = f"{accepted.domain_name} is the organization's own: no Send connector has it"
            return Reply(450, "4.4.4", (text,))
    return NO_CONNECTOR


def _next_hop_domain(candidate: Candidate, address: str) -> str:
    """The domain that decides where mail goes; another server's connector is that server's."""
    if candidate.reach.hops or not candidate.connector.dns_routing_enabled:
        return ""
    return recipient_domain(address) or ""
