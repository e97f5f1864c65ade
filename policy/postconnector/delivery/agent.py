"""The delivery agent: one message in, one answer for each of its recipients out.

It has no queue. What it can't deliver now it answers with 4xx, and whoever gave it the message
keeps it; its own faults are 4xx too.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime

from postconnector.certificates.state import StateError
from postconnector.delivery.answer import Answer
from postconnector.delivery.attempts import Attempts
from postconnector.delivery.content import Content
from postconnector.delivery.delivery_log import log_delivery
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.failures import judged
from postconnector.delivery.filtered_content import filtered
from postconnector.delivery.grouping import Group, Grouping, Position, group_recipients
from postconnector.delivery.header import HeaderTooLargeError, read_header
from postconnector.delivery.hosts.target import NoTargetError
from postconnector.delivery.in_force import InForce
from postconnector.delivery.judging import judgement_of, routes_of
from postconnector.delivery.own_postfix import OwnPostfix
from postconnector.delivery.received import Received
from postconnector.delivery.reply import Reply
from postconnector.delivery.success_report import Relayed, relayed, success_report
from postconnector.delivery.ways import CannotSendError, Ways
from postconnector.enforcement.failure_policy import failure_policy
from postconnector.enforcement.rule import NamedRule
from postconnector.postfix.host import PostfixError
from postconnector.postfix.listener import maps_late

_NOT_NOW = Reply(451, "4.3.5", ("there are no connectors in force to deliver by",))
_OUR_FAULT = Reply(451, "4.3.0", ("the delivery agent failed; its log says why",))

log = logging.getLogger(__name__)


class Agent:
    """Delivers by what is in force when a message comes.

    `postfix`: that of this host, which gets back what it delivers itself. `unusable`: why
    connectors must not be used now, by their names.
    """

    def __init__(
        self,
        in_force: Callable[[], Awaitable[InForce | None]],
        ways: Ways,
        attempts: Attempts,
        rules: Sequence[NamedRule],
        postfix: OwnPostfix | None = None,
        unusable: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._in_force = in_force
        self._ways = ways
        self._attempts = attempts
        self._rules = rules
        self._postfix = postfix
        self._unusable = unusable

    async def deliver(
        self, envelope: Envelope, content: Content, received: Received | None = None
    ) -> list[Answer]:
        """Deliver to all recipients, each connector's and next hop's at the same time.

        `received`: how the message came from Postfix; None: from somebody else, or to somebody
        who has no Postfix.
        """
        began = time.monotonic()
        in_force = await self._in_force()
        if in_force is None:
            return [Answer(_NOT_NOW) for _ in envelope.recipients]
        job = _Job(in_force, envelope, content, received if self._postfix is not None else None)
        try:
            grouping = await self._grouping(job)
        except (PostfixError, StateError) as error:
            log.error("%s: can't be judged now: %s", job.queue_id, error)
            return [Answer(_OUR_FAULT) for _ in envelope.recipients]
        answers = await self._carry_out(job, grouping)
        await self._report(job, relayed(envelope, answers))
        _log(job, answers, time.monotonic() - began)
        return answers

    async def _grouping(self, job: "_Job") -> Grouping:
        received = job.received
        size = job.content.size if received is None else received.size
        asks = received is not None and received.on_agent_path
        answers = self._postfix.answers if self._postfix is not None and asks else None
        late = received is not None and maps_late(received.way)
        routes = await routes_of(job.in_force, job.envelope, size, answers, maps_late=late)
        judgement = judgement_of(
            self._rules, job.envelope, job.content, routes, received, self._unusable()
        )
        return group_recipients(job.in_force.local, routes, judgement, received)

    async def _carry_out(self, job: "_Job", grouping: Grouping) -> list[Answer]:
        found = {position: Answer(reply) for position, reply in grouping.answers.items()}
        parts = [group.positions for group in grouping.groups] + list(grouping.returned.values())
        deliveries = [self._deliver_group(job, group) for group in grouping.groups]
        deliveries += [
            self._hand_back(job, positions, bool(by)) for by, positions in grouping.returned.items()
        ]
        # Most messages are one group, and need no task of their own.
        alone = len(deliveries) == 1
        answered = [await deliveries[0]] if alone else await asyncio.gather(*deliveries)
        for positions, answers in zip(parts, answered, strict=True):
            found.update(zip(positions, answers, strict=True))
        return [found[position] for position in range(len(job.envelope.recipients))]

    async def _hand_back(
        self, job: "_Job", positions: tuple[int, ...], moved: bool
    ) -> Sequence[Answer]:
        part = job.part(positions)
        try:
            if self._postfix is None or job.received is None:
                raise AssertionError("nobody to hand back to")
            received = job.received
            part = replace(part, forwarded=received.forwarded)
            size = received.size if moved else 0
            return await self._postfix.handing_back.deliver(
                part, received.content, size, received.way
            )
        except Exception:
            log.exception("%s: our own fault; asking to try again", job.queue_id)
            return [Answer(_OUR_FAULT)] * len(part.recipients)

    async def _report(self, job: "_Job", reported: Sequence[Relayed]) -> None:
        """Tell the sender. The message is delivered: it must not come again because that fails."""
        if not reported or self._postfix is None:
            return
        try:
            header, _ = read_header(job.content.chunks())
            date = format_datetime(datetime.now(UTC))
            report = success_report(job.in_force.hostname, date, job.envelope, header, reported)
            to_sender = Envelope("", (EnvelopeRecipient(job.envelope.sender, notify="NEVER"),))
            (answer,) = await self._postfix.handing_back.deliver(to_sender, report, report.size)
            if not answer.reply.is_positive:
                text = "the sender is not told of success"
                log.error("%s: %s: %s", job.queue_id, text, answer.told())
        except Exception:
            log.exception("%s: our own fault: the sender is not told of success", job.queue_id)

    async def _deliver_group(self, job: "_Job", group: Group) -> Sequence[Answer]:
        part = job.part(group.positions)
        connector = group.candidate.connector
        policy = failure_policy(connector, job.in_force.local.settings)
        try:
            answers = await self._send(job, group, part)
        except NoTargetError as error:
            answers = [Answer(error.reply, not_found=error.not_found)] * len(part.recipients)
        except (CannotSendError, HeaderTooLargeError) as error:
            answers = [Answer(error.reply)] * len(part.recipients)
        except Exception:
            log.exception("%s: our own fault; asking to try again", job.queue_id)
            return [Answer(_OUR_FAULT, connector=connector.name)] * len(part.recipients)
        return [replace(judged(answer, policy), connector=connector.name) for answer in answers]

    async def _send(self, job: "_Job", group: Group, envelope: Envelope) -> list[Answer]:
        way = await self._ways.find(job.in_force, group)
        return await self._attempts.deliver(way, envelope, filtered(job.content, way.firewall))


@dataclass(frozen=True, slots=True)
class _Job:
    """One message, and what it is delivered by."""

    in_force: InForce
    envelope: Envelope
    content: Content
    received: Received | None

    @property
    def queue_id(self) -> str:
        return (self.received.queue_id if self.received is not None else None) or "NOQUEUE"

    def part(self, positions: tuple[Position, ...]) -> Envelope:
        """The envelope for some of the recipients."""
        return self.envelope.to(tuple(self.envelope.recipients[n] for n in positions))


def _log(job: _Job, answers: Sequence[Answer], seconds: float) -> None:
    """Log what became of each recipient. Nobody gets mail twice because that fails."""
    try:
        for recipient, answer in zip(job.envelope.recipients, answers, strict=True):
            service = job.in_force.local.names.get(answer.connector or "")
            log_delivery(job.queue_id, recipient.address, service, answer, seconds)
    except Exception:
        log.exception("our own fault; the answers to %s stand", job.queue_id)
