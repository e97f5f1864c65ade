"""Handing recipients back to Postfix, which delivers to them as if nothing had happened.

Over the private listener that `postfix.agent_path` compiles. What the listener refuses is no
judgement of the recipient, who was taken once already: it is a fault of ours or of the host, and
mail waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postconnector.delivery.answer import Answer
from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.received import RETURN_HELO
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.connection import Connection
from postconnector.delivery.smtp.pool import ConnectionPool
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import SessionFailedError
from postconnector.delivery.smtp.transaction import Delivered
from postconnector.delivery.tls.policy import Starttls, TlsPolicy
from postconnector.postfix.agent_path import return_socket
from postconnector.postfix.service_names import RETURN_SERVICE, on_way

_SETTINGS = SessionSettings(RETURN_HELO, TlsPolicy(Starttls.NEVER, None), idle=5.0)


class HandingBack:
    """To the Postfix with this queue directory."""

    def __init__(self, queue_directory: Path, pool: ConnectionPool) -> None:
        self._queue_directory = queue_directory
        self._pool = pool

    async def deliver(
        self, envelope: Envelope, content: Content, size: int, way: str = ""
    ) -> list[Answer]:
        """One answer for each recipient; `way` is one of the ways back, `size` what the message was
        judged by. 0: no recipient moves because of it, whatever the policy service would find.
        """
        judged, service = _JudgedContent(content, size), on_way(RETURN_SERVICE, way)
        target = Target(service, str(self._queue_directory / return_socket(way)), 0)
        try:
            connection, delivered = await self._converse(target, envelope, judged)
        except SessionFailedError as failure:
            return [Answer(_waiting(failure.reply), target)] * len(envelope.recipients)
        self._pool.give_back(service, connection)
        return [
            Answer(_waiting(each.reply), target, each.in_reply_to, uncertain=each.uncertain)
            for each in delivered.replies
        ]

    async def _converse(
        self, target: Target, envelope: Envelope, content: Content
    ) -> tuple[Connection, Delivered]:
        by_waiting = await self._pool.deliver(target.host, target, envelope, content)
        if by_waiting is not None:
            return by_waiting
        connection = await Connection.open(target, _SETTINGS, NoDialogueLog())
        return connection, await connection.deliver(envelope, content)


@dataclass(frozen=True, slots=True)
class _JudgedContent:
    """The same content, declared with another size: the policy service finds the connector by it
    that we found.
    """

    _content: Content
    size: int

    @property
    def is_8bit(self) -> bool:
        return self._content.is_8bit

    @property
    def has_8bit_header(self) -> bool:
        return self._content.has_8bit_header

    def chunks(self) -> Iterator[bytes]:
        return self._content.chunks()


def _waiting(reply: Reply) -> Reply:
    if not reply.is_permanent:
        return reply
    return Reply(451, f"4{reply.status[1:]}", reply.lines)
