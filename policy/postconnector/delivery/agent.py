"""The delivery agent: one message in, one answer for each of its recipients out.

It has no queue. What it can't deliver now it answers with 4xx, and whoever gave it the message
keeps it; its own faults are 4xx too.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from postconnector.delivery.answer import Answer
from postconnector.delivery.attempts import Attempts
from postconnector.delivery.content import Content
from postconnector.delivery.delivery_log import log_delivery
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.failures import judged
from postconnector.delivery.filtered_content import HeaderTooLargeError, filtered
from postconnector.delivery.grouping import Group, group_recipients
from postconnector.delivery.hosts.target import NoTargetError
from postconnector.delivery.in_force import InForce
from postconnector.delivery.reply import Reply
from postconnector.delivery.ways import CannotSendError, Ways
from postconnector.enforcement.failure_policy import failure_policy

_NOT_NOW = Reply(451, "4.3.5", ("there are no connectors in force to deliver by",))
_OUR_FAULT = Reply(451, "4.3.0", ("the delivery agent failed; its log says why",))

log = logging.getLogger(__name__)


class Agent:
    """Delivers by what is in force when a message comes."""

    def __init__(
        self, in_force: Callable[[], Awaitable[InForce | None]], ways: Ways, attempts: Attempts
    ) -> None:
        self._in_force = in_force
        self._ways = ways
        self._attempts = attempts

    async def deliver(
        self, envelope: Envelope, content: Content, queue_id: str | None = None
    ) -> list[Answer]:
        """Deliver to all recipients, each connector's and next hop's at the same time."""
        began = time.monotonic()
        in_force = await self._in_force()
        if in_force is None:
            return [Answer(_NOT_NOW) for _ in envelope.recipients]
        grouping = group_recipients(in_force.local.table, envelope.recipients, content.size)
        found = {position: Answer(reply) for position, reply in grouping.answers.items()}
        deliveries = [
            self._deliver_group(in_force, group, envelope, content) for group in grouping.groups
        ]
        # Most messages are one group, and need no task of their own.
        alone = len(deliveries) == 1
        parts = [await deliveries[0]] if alone else await asyncio.gather(*deliveries)
        for group, answers in zip(grouping.groups, parts, strict=True):
            name = group.candidate.connector.name
            for position, answer in zip(group.positions, answers, strict=True):
                found[position] = replace(answer, connector=name)
        answers = [found[position] for position in range(len(envelope.recipients))]
        _log(in_force, envelope, answers, queue_id, time.monotonic() - began)
        return answers

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
            return [Answer(_OUR_FAULT)] * len(part.recipients)
        return [judged(answer, policy) for answer in answers]

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
