"""Delivering to one next hop: target after target, until every recipient has its answer.

How many are tried stands in `trying`. The next is tried for recipients that this one would not
take for the time being, never for those it has refused for good, and never for a message that it
may have taken: then it is Postfix that comes again, and a duplicate is better than a loss.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

from postconnector.delivery.answer import Answer
from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import DialogueLog
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.pool import ConnectionPool
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import SessionFailedError
from postconnector.delivery.smtp.transaction import Delivered
from postconnector.delivery.trying import (
    MOST_SESSIONS,
    answer_of_failure,
    are_tried,
    was_spoken_to,
)
from postconnector.enforcement.header_firewall import HeaderFirewall

_LONGEST = 1200.0
"""Seconds after which no further target is begun with: Postfix waits for the answers of all."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one connector's mail gets to its next hop.

    `key`: connections with the same key, to the same target, are alike. `firewall`: the headers
    that leave. `session_log` is asked for each new connection.
    """

    key: Hashable
    targets: Sequence[Target]
    settings: SessionSettings
    firewall: HeaderFirewall
    session_log: Callable[[Target], DialogueLog]

    def tried(self) -> Iterator[Target]:
        """The targets that one message is tried at, in their order."""
        return compress(self.targets, are_tried(self.targets))


class Attempts:
    """Makes attempts, with connections that all messages share."""

    def __init__(self, pool: ConnectionPool, back_off: BackOff) -> None:
        self._pool = pool
        self._back_off = back_off

    async def deliver(self, way: Way, envelope: Envelope, content: Content) -> list[Answer]:
        """One answer for each recipient of the envelope, in its order.

        Raises NoTargetError if no target can be tried now.
        """
        answers: dict[int, Answer] = {}
        pending = list(range(len(envelope.recipients)))
        sessions, began = 0, time.monotonic()
        for target in way.tried():
            if not self._back_off.claim(target):
                continue
            part = envelope.to(tuple(envelope.recipients[n] for n in pending))
            spoke, found = await self._attempt(way, target, part, content)
            answers.update(zip(pending, found, strict=True))
            pending = [n for n in pending if answers[n].lets_others_try]
            sessions += spoke
            if not pending or sessions >= MOST_SESSIONS or time.monotonic() - began > _LONGEST:
                break
        if not answers:
            raise self._back_off.refusal(way.targets)
        return [answers[n] for n in range(len(envelope.recipients))]

    async def _attempt(
        self, way: Way, target: Target, envelope: Envelope, content: Content
    ) -> tuple[bool, list[Answer]]:
        """Whether the target was spoken to, and one answer for each recipient."""
        try:
            connection, delivered = await self._converse(way, target, envelope, content)
        except SessionFailedError as failure:
            answer = answer_of_failure(
                failure.reply, target, failure.stage, said_by_peer=failure.said_by_peer
            )
            return was_spoken_to(failure.stage), [answer] * len(envelope.recipients)
        self._pool.give_back(way.key, connection)
        return True, [
            Answer(
                each.reply,
                target,
                each.in_reply_to,
                uncertain=each.uncertain,
                others_may=each.others_may,
                without_dsn=not delivered.dsn_passed_on,
            )
            for each in delivered.replies
        ]

    async def _converse(
        self, way: Way, target: Target, envelope: Envelope, content: Content
    ) -> tuple[Connection, Delivered]:
        """By a connection that waits for mail, or else by a new one. Raises SessionFailedError."""
        by_waiting = await self._pool.deliver(way.key, target, envelope, content)
        if by_waiting is not None:
            self._back_off.succeeded(target)
            return by_waiting
        connection = await self._open(way, target)
        return connection, await connection.deliver(envelope, content)

    async def _open(self, way: Way, target: Target) -> Connection:
        try:
            connection = await Connection.open(target, way.settings, way.session_log(target))
        except SessionFailedError as failure:
            if was_spoken_to(failure.stage):
                self._back_off.succeeded(target)
            else:
                self._back_off.failed(target, failure.reply.text)
            raise
        except BaseException:
            self._back_off.released(target)
            raise
        self._back_off.succeeded(target)
        return connection
