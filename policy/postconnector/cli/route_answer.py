"""What route says of one recipient: Exchange's decision, and what in Postfix realises it."""

from dataclasses import dataclass

from postconnector.model.address_space import AddressSpace, Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.organization import Unmatched
from postconnector.model.problem import quoted
from postconnector.postfix.local_routing import LocalRouting, UnknownAddressError, path_of
from postconnector.selection.batch import outcome_name
from postconnector.selection.delivery import delivery
from postconnector.selection.explanation import Verdict, explain
from postconnector.selection.message import Message
from postconnector.selection.outcome import (
    TOO_BIG,
    Accepted,
    Candidate,
    NonDelivery,
    Outcome,
    Selected,
)
from postconnector.selection.recipients import Recipient


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """One recipient's answer; what does not apply is None."""

    recipient: str
    outcome: str
    connector: str | None
    code: str | None
    delivery_type: str | None
    next_hop_domain: str | None
    path: str | None
    service: str | None
    next_hop: str | None
    reason: str
    changes_above: int | None
    lookup: str | None
    server: str | None
    verdicts: tuple[Verdict, ...]

    def as_json(self, *, with_verdicts: bool) -> dict[str, object]:
        """The answer as JSON has it."""
        answer: dict[str, object] = {
            name: getattr(self, name) for name in self.__slots__ if name != "verdicts"
        }
        if with_verdicts:
            answer["connectors"] = [
                {
                    "name": v.connector.name,
                    "selected": v.selected,
                    "step": v.step.value,
                    "reason": v.reason,
                }
                for v in self.verdicts
            ]
        return answer


def answer_for(local: LocalRouting, recipient: Recipient, message: Message) -> RouteAnswer:
    """Decide for a recipient, and find what in Postfix does it."""
    explanation = explain(local.organization, local.table, recipient, message)
    outcome = explanation.outcome
    queue = delivery(outcome, recipient, local.table.standpoint)
    candidate = outcome.candidate if isinstance(outcome, Selected) else None
    path = (
        path_of(local.organization.host, candidate, local.server) if candidate is not None else None
    )
    service, next_hop, lookup, reason = None, None, None, _reason(local, outcome)
    try:
        service, next_hop = _target(local, candidate, recipient) if candidate else (None, None)
        lookup = _lookup(local, recipient, outcome) if path != "agent" else None
    except UnknownAddressError as error:
        reason = f"{reason}; {error}"
    return RouteAnswer(
        recipient=str(recipient),
        outcome=outcome_name(outcome),
        connector=candidate.connector.name if candidate is not None else None,
        code=outcome.code if isinstance(outcome, NonDelivery) else None,
        delivery_type=queue.type if queue is not None else None,
        next_hop_domain=queue.next_hop_domain if queue is not None else None,
        path=path,
        service=service if path == "native" else None,
        next_hop=next_hop,
        reason=reason,
        changes_above=explanation.changes_above,
        lookup=lookup,
        server=local.server.name if local.server is not None else None,
        verdicts=explanation.verdicts,
    )


def _target(local: LocalRouting, candidate: Candidate, recipient: Recipient) -> tuple[str, str]:
    service, _, next_hop = local.target(candidate).partition(":")
    return service, next_hop or f"MX of {_domain(recipient)}"


def _domain(recipient: Recipient) -> str | None:
    return recipient_domain(recipient) if isinstance(recipient, str) else None


def _reason(local: LocalRouting, outcome: Outcome) -> str:
    match outcome:
        case Selected(candidate):
            agent = local.agent_reason(candidate.connector) if candidate.reach.hops == 0 else None
            return agent or f"address space {candidate.address_space}"
        case NonDelivery(code, _, link) if link is not None:
            return f"{code}: larger than {link.max_message_size} of site link {quoted(link.name)}"
        case NonDelivery(code, largest) if largest is not None:
            connector = largest.connector
            limit = connector.max_message_size
            return f'{code}: larger than MaxMessageSize {limit} of "{connector.name}"'
        case NonDelivery(code):
            return f"{code}: no connector is for addresses of this type"
        case Accepted(domain):
            return f"{domain.domain_name} is an authoritative domain of the organization"
        case _ if local.organization.host.unmatched is Unmatched.UNREACHABLE:
            return "no connector matches: mail waits, as in Exchange ([host] unmatched)"
        case _:
            return "no connector matches: Postfix routes by itself"


def _lookup(local: LocalRouting, recipient: Recipient, outcome: Outcome) -> str | None:
    """What in Postfix realises the outcome."""
    by_table = local.table.select(recipient)
    match outcome, by_table:
        case NonDelivery(code=code), _ if code == TOO_BIG:
            return "policy service: 552 5.3.4"
        case Selected(taken), Selected(small):
            target = local.target(taken)
            if taken.connector is not small.connector:
                return f"policy service: FILTER {target}"
            if not taken.address_space.is_smtp:
                return f"table of patterns: {taken.address_space.type} -> {target}"
            if taken.address_space.specificity is Specificity.ALL:
                return f"default_transport: {target.removesuffix(':')}"
            return f"transport table: {_key(taken.address_space, recipient)} -> {target}"
        case _:
            return None


def _key(space: AddressSpace, recipient: Recipient) -> str | None:
    """The key of the transport table by which an address space finds a recipient."""
    domain = _domain(recipient)
    if space.specificity is Specificity.ACCEPTED_DOMAINS or domain == space.domain:
        return domain
    return f".{space.domain}"
