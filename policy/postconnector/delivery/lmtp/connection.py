"""One client of the LMTP server: its socket around its session.

Nothing is read ahead: what comes is answered or written away before more is taken, so a client
is as fast as we are. One await at a time, each bounded by the idle time but for the delivery.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence

from postconnector.delivery.lmtp.events import (
    Event,
    MessageBegun,
    MessageEnded,
    MessagePiece,
    SendBytes,
)
from postconnector.delivery.lmtp.limits import Limits
from postconnector.delivery.lmtp.session import LmtpSession
from postconnector.delivery.lmtp.transaction import Deliver, Transaction
from postconnector.delivery.reply import Reply
from postconnector.delivery.spool import Spool, SpooledMessage

SHUTTING_DOWN = Reply(421, "4.3.2", ("the delivery agent shuts down",))
_IDLE = Reply(421, "4.4.2", ("idle for too long, closing the connection",))
_OUR_FAULT = Reply(451, "4.3.0", ("the delivery agent failed; its log says why",))
_NO_SPACE = Reply(452, "4.3.1", ("the delivery agent can't store the message now",))
_AGAIN = "; the client may send it again, to those too who have it now"
_READ_SIZE = 60 * 1024
"""With what is held back of the read before, still no more than a chunk of the spool."""


log = logging.getLogger(__name__)


class Connection:
    """Serves one client; its socket is closed by whoever accepted it."""

    def __init__(
        self, client: socket.socket, deliver: Deliver, limits: Limits, spool: Spool
    ) -> None:
        self._socket = client
        self._deliver = deliver
        self._idle = limits.idle
        self._spool = spool
        self._session = LmtpSession(limits)
        self._unsent = bytearray()
        self._sending = False
        self._transaction: Transaction | None = None
        self._failure: Reply | None = None
        self._delivering = False
        self._stopping = False

    def stop_after_delivery(self) -> bool:
        """Say 421 and close once the message that is being delivered is answered.

        False if there is none: converse() may be cancelled now.
        """
        self._stopping = True
        return self._delivering

    async def converse(self) -> None:
        """Serve the client until one of us closes."""
        try:
            self._unsent += self._session.greeting()
            await self._flush()
            await self._read_on()
        except TimeoutError:
            self._last_word(_IDLE)
        except OSError:
            self._client_vanished()
        except asyncio.CancelledError:
            self._last_word(SHUTTING_DOWN)
            raise
        finally:
            self._forget_message()

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._session.is_closed:
            try:
                data = self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                async with asyncio.timeout(self._idle):
                    data = await loop.sock_recv(self._socket, _READ_SIZE)
            if not data:
                self._client_vanished()
                return
            for event in self._session.feed(data):
                await self._act(event)
                if self._stopping:
                    self._last_word(SHUTTING_DOWN)
                    return
            await self._flush()
            # There may be more to read without waiting: the others get their turn.
            await asyncio.sleep(0)

    async def _act(self, event: Event) -> None:
        match event:
            case SendBytes(data):
                self._unsent += data
                if len(self._unsent) > _READ_SIZE:
                    await self._flush()
            case MessageBegun(envelope, lhlo_name, forwarded):
                content = SpooledMessage(self._spool)
                self._transaction = Transaction(envelope, content, lhlo_name, forwarded)
            case MessagePiece(data):
                self._store(data)
            case MessageEnded() if self._transaction is not None:
                await self._end_message(self._transaction, event)

    def _store(self, data: bytes) -> None:
        if self._transaction is None or self._failure is not None:
            return
        try:
            self._transaction.content.write(data)
        except OSError as error:
            log.error("%s: a message can't be stored: %s", self._queue_id(), error)
            self._failure = _NO_SPACE
            self._transaction.content.close()

    async def _end_message(self, transaction: Transaction, end: MessageEnded) -> None:
        if end.stray:
            log.warning("%s: %d bare CR, bare LF or NUL became blanks", self._queue_id(), end.stray)
        # Nobody who is gone already gets a message delivered that he will send again.
        await self._flush()
        count = len(transaction.envelope.recipients)
        failure = end.refusal or self._failure
        try:
            if failure is not None:
                self._unsent += failure.encode() * count
            else:
                self._delivering = True
                await self._answer(await self._replies(transaction))
        finally:
            self._delivering = False
            self._forget_message()

    async def _answer(self, replies: Sequence[Reply]) -> None:
        has_left = self._has_left()
        self._unsent += b"".join(reply.encode() for reply in replies)
        try:
            await self._flush()
        except OSError:
            has_left = True
            raise
        finally:
            if has_left:
                log.warning(
                    "%s: the client left before it heard %s%s",
                    self._queue_id(),
                    ", ".join(f"{reply.code} {reply.status}" for reply in replies),
                    _AGAIN,
                )

    async def _replies(self, transaction: Transaction) -> Sequence[Reply]:
        count = len(transaction.envelope.recipients)
        try:
            replies = [_for_lmtp(reply) for reply in await self._deliver(transaction)]
            if len(replies) != count:
                raise ValueError(f"{len(replies)} replies for {count} recipients")
        except asyncio.CancelledError:
            if _is_cancelled():
                log.warning("%s: stopped while it was delivered%s", self._queue_id(), _AGAIN)
                raise
            log.exception("%s: our own fault; asking to try again", self._queue_id())
        except Exception:
            log.exception("%s: our own fault; asking to try again", self._queue_id())
        else:
            return replies
        return [_OUR_FAULT] * count

    async def _flush(self) -> None:
        if not self._unsent:
            return
        with contextlib.suppress(BlockingIOError):  # it is slow to take what was said
            del self._unsent[: self._socket.send(self._unsent)]
        if not self._unsent:
            return
        data = bytes(self._unsent)
        self._unsent.clear()
        self._sending = True
        async with asyncio.timeout(self._idle):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        self._sending = False

    def _last_word(self, reply: Reply) -> None:
        """Say it if the client takes it at once, and never in the middle of another reply."""
        if self._sending:
            return
        try:
            self._socket.send(self._unsent + reply.encode())
        except OSError:
            log.debug("a client does not hear %s", reply.code)

    def _has_left(self) -> bool:
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _client_vanished(self) -> None:
        if self._session.in_message:
            log.info("%s: the client left in the middle of a message", self._queue_id())

    def _queue_id(self) -> str:
        found = self._transaction.queue_id if self._transaction is not None else None
        return found or "NOQUEUE"

    def _forget_message(self) -> None:
        if self._transaction is not None:
            self._transaction.content.close()
        self._transaction = None
        self._failure = None


def _for_lmtp(reply: Reply) -> Reply:
    """Another's 421 must not say that we close; what is no final reply is a fault of ours."""
    if reply.code == 421:
        return Reply(451, reply.enhanced, reply.lines)
    if reply.code // 100 not in (2, 4, 5):
        raise ValueError(f"{reply.code} is no reply to a message")
    return reply


def _is_cancelled() -> bool:
    """Whether it is we who are cancelled, not something that a delivery waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
