"""The delivery agent: one message in, one answer for each of its recipients out.

It has no queue. What it can't deliver now it answers with 4xx, and whoever gave it the message
keeps it; its own faults are 4xx too.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from postconnector.delivery.answer import Answer
from postconnector.delivery.attempts import Attempts
from postconnector.delivery.content import Content
from postconnector.delivery.delivery_log import log_delivery
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.failures import judged
from postconnector.delivery.filtered_content import filtered, without_marker
from postconnector.delivery.grouping import Group, Grouping, group_recipients
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
from postconnector.enforcement.rules import NamedRule
from postconnector.postfix.host import PostfixError

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

        `received`: how the message came from Postfix; None: from somebody else.
        """
        began = time.monotonic()
        in_force = await self._in_force()
        if in_force is None:
            return [Answer(_NOT_NOW) for _ in envelope.recipients]
        try:
            grouping = await self._grouping(in_force, envelope, content, received)
        except PostfixError as error:
            log.error("asking to try again, Postfix can't be asked for its domains: %s", error)
            return [Answer(_OUR_FAULT) for _ in envelope.recipients]
        answers = await self._carry_out(in_force, grouping, envelope, content, received)
        if (reported := relayed(envelope, answers)) and self._postfix is not None:
            await self._report(self._postfix, in_force.hostname, envelope, content, reported)
        queue_id = received.queue_id if received is not None else None
        _log(in_force, envelope, answers, queue_id, time.monotonic() - began)
        return answers

    async def _grouping(
        self, in_force: InForce, envelope: Envelope, content: Content, received: Received | None
    ) -> Grouping:
        size = content.size if received is None else received.size
        asks = self._postfix is not None and received is not None and received.on_agent_path
        kept_domains = self._postfix.kept_domains if self._postfix is not None and asks else None
        routes = await routes_of(in_force, envelope, size, kept_domains)
        judgement = judgement_of(self._rules, envelope, content, routes, received, self._unusable())
        came = received if self._postfix is not None else None
        return group_recipients(in_force.local, routes, judgement, came)

    async def _carry_out(
        self,
        in_force: InForce,
        grouping: Grouping,
        envelope: Envelope,
        content: Content,
        received: Received | None,
    ) -> list[Answer]:
        found = {position: Answer(reply) for position, reply in grouping.answers.items()}
        parts = [group.positions for group in grouping.groups] + grouping.returned
        deliveries = [
            self._deliver_group(in_force, group, envelope, content) for group in grouping.groups
        ]
        if received is not None:
            deliveries += [
                self._hand_back(positions, envelope, content, received)
                for positions in grouping.returned
            ]
        # Most messages are one group, and need no task of their own.
        alone = len(deliveries) == 1
        answered = [await deliveries[0]] if alone else await asyncio.gather(*deliveries)
        for positions, answers in zip(parts, answered, strict=True):
            found.update(zip(positions, answers, strict=True))
        return [found[position] for position in range(len(envelope.recipients))]

    async def _hand_back(
        self,
        positions: tuple[int, ...],
        envelope: Envelope,
        content: Content,
        received: Received,
    ) -> Sequence[Answer]:
        part = envelope.to(tuple(envelope.recipients[n] for n in positions))
        try:
            if self._postfix is None:
                raise AssertionError("nobody to hand back to")
            with suppress(HeaderTooLargeError):  # Postfix takes it, marked as it is
                content = without_marker(content)
            return await self._postfix.handing_back.deliver(part, content, received.size)
        except Exception:
            log.exception("our own fault; asking to try again")
            return [Answer(_OUR_FAULT)] * len(part.recipients)

    async def _report(
        self,
        postfix: OwnPostfix,
        hostname: str,
        envelope: Envelope,
        content: Content,
        reported: Sequence[Relayed],
    ) -> None:
        """Tell the sender. The message is delivered: it must not come again because that fails."""
        try:
            header, _ = read_header(content.chunks())
            date = format_datetime(datetime.now(UTC))
            report = success_report(hostname, date, envelope, header, reported)
            to_sender = Envelope("", (EnvelopeRecipient(envelope.sender, notify="NEVER"),))
            (answer,) = await postfix.handing_back.deliver(to_sender, report, report.size)
            if not answer.reply.is_positive:
                log.error("the sender is not told of success: %s", answer.told())
        except Exception:
            log.exception("our own fault: the sender is not told of success")

    async def _deliver_group(
        self, in_force: InForce, group: Group, envelope: Envelope, content: Content
    ) -> Sequence[Answer]:
        part = envelope.to(tuple(envelope.recipients[n] for n in group.positions))
        policy = failure_policy(group.candidate.connector, in_force.local.settings)
        try:
            answers = await self._send(in_force, group, part, content)
        except NoTargetError as error:
            answers = [Answer(error.reply, not_found=error.not_found)] * len(part.recipients)
        except (CannotSendError, HeaderTooLargeError) as error:
            answers = [Answer(error.reply)] * len(part.recipients)
        except Exception:
            log.exception("our own fault; asking to try again")
            answers = [Answer(_OUR_FAULT)] * len(part.recipients)
        name = group.candidate.connector.name
        return [replace(judged(answer, policy), connector=name) for answer in answers]

    async def _send(
        self, in_force: InForce, group: Group, envelope: Envelope, content: Content
    ) -> list[Answer]:
        way = await self._ways.find(in_force, group)
        return await self._attempts.deliver(way, envelope, filtered(content, way.firewall))


def _log(
    in_force: InForce,
    envelope: Envelope,
    answers: Sequence[Answer],
    queue_id: str | None,
    seconds: float,
) -> None:
    """Log what became of each recipient. Nobody gets mail twice because that fails."""
    try:
        for recipient, answer in zip(envelope.recipients, answers, strict=True):
            service = in_force.local.names.get(answer.connector or "")
            log_delivery(queue_id, recipient.address, service, answer, seconds)
    except Exception:
        log.exception("our own fault; the answers to %s stand", queue_id or "NOQUEUE")
