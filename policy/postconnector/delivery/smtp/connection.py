"""A session with one next hop: connects, carries out the steps of dialogues, tells the log."""

import asyncio
import os
import ssl
from dataclasses import replace
from ipaddress import ip_address
from typing import TypeVar

from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import DialogueLog
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply, clean
from postconnector.delivery.smtp.dialogue import Opened, opening
from postconnector.delivery.smtp.dot_stuffing import stuffed
from postconnector.delivery.smtp.replies import ProtocolError
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SendContent,
    SessionFailedError,
    Stage,
    StartTls,
    Step,
)
from postconnector.delivery.smtp.transaction import (
    Delivered,
    Exchange,
    RecipientReply,
    refusal_here,
)
from postconnector.delivery.smtp.wire import ConnectionLostError, Wire
from postconnector.delivery.tls.policy import Starttls, TlsFacts, TlsFailedError, TlsPolicy
from postconnector.delivery.tls.verification import handshake_failure, verify

T = TypeVar("T")

_WITHOUT_TLS = TlsPolicy(Starttls.NEVER, None)


class Connection:
    """Open, and good for messages one after the other. Made by `open`."""

    def __init__(
        self, target: Target, settings: SessionSettings, log: DialogueLog, wire: Wire
    ) -> None:
        self.target = target
        self.settings = settings
        self.messages = 0
        self._log = log
        self._wire = wire
        self._is_over = False
        self._content_sent = False
        self._needs_reset = False
        self.opened = Opened()

    @classmethod
    async def open(
        cls, target: Target, settings: SessionSettings, log: DialogueLog
    ) -> "Connection":
        """Connect, greet, go over to TLS and log in, as the settings demand.

        Where TLS is only welcome and its handshake breaks, the connection is made anew without.
        Raises SessionFailedError.
        """
        try:
            return await cls._open(target, settings, log)
        except _TlsBrokenError as error:
            if settings.tls.starttls is Starttls.REQUIRED:
                raise SessionFailedError(
                    Reply(451, error.enhanced, (str(error),)), Stage.TLS
                ) from None
            log.information(f"going on without TLS: {error}")
            return await cls._open(target, replace(settings, tls=_WITHOUT_TLS), log)

    @classmethod
    async def _open(
        cls, target: Target, settings: SessionSettings, log: DialogueLog
    ) -> "Connection":
        wire = await _connect(target, settings)
        log.connected(wire.endpoint("sockname"), f"{target.address}:{target.port}")
        connection = cls(target, settings, log, wire)
        try:
            connection.opened = await connection._carry_out(opening(settings))
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def local_endpoint(self) -> str:
        """The address and port that we connected from."""
        return self._wire.endpoint("sockname")

    @property
    def is_reusable(self) -> bool:
        """Whether another message may be sent."""
        more = self.messages < self.settings.messages
        return more and not self._is_over and self._wire.is_quiet

    async def deliver(self, envelope: Envelope, content: Content) -> Delivered:
        """Send a message; one reply for each recipient, whatever happens.

        Raises StaleConnectionError where a connection that was used before turns out to be gone.
        """
        reused, self.messages = self.messages > 0, self.messages + 1
        verified = self.opened.tls is not None and self.opened.tls.verified
        refused = refusal_here(envelope, content, self.opened.extensions, verified_tls=verified)
        if refused is not None:
            answer = RecipientReply(refused)
            return Delivered(tuple(answer for _ in envelope.recipients))
        exchange = Exchange(envelope, content, self.opened.extensions, self.settings.timeouts)
        try:
            if self._needs_reset:
                await self._reset()
            await self._carry_out(exchange.run())
        except SessionFailedError as error:
            self.abort()
            if reused and exchange.nothing_was_answered:
                raise StaleConnectionError from None
            exchange.fail(error)
        except BaseException:
            self.abort()
            raise
        delivered = exchange.result()
        self._is_over = self._is_over or delivered.is_over
        self._needs_reset = not delivered.is_clean
        return delivered

    def quit(self) -> None:
        """Say goodbye, and do not wait for an answer (as smtp_skip_quit_response)."""
        if self._wire.is_quiet and not self._is_over:
            self._log.sent("QUIT")
            self._wire.write(b"QUIT\r\n")
        self._is_over = True
        self._wire.close()
        self._log.disconnected("Local")

    def abort(self) -> None:
        """Close at once."""
        if not self._is_over:
            self._log.disconnected("Local")
        self._is_over = True
        self._wire.abort()

    async def _reset(self) -> None:
        await self._do(Send(("RSET",)))
        await self._do(Receive(self.settings.timeouts.mail, Stage.RSET))
        self._needs_reset = False

    async def _carry_out(self, dialogue: Dialogue[T]) -> T:
        try:
            step = next(dialogue)
            while True:
                step = dialogue.send(await self._do(step))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _do(self, step: Step) -> Reply | TlsFacts | None:
        match step:
            case Send():
                self._send(step)
            case Receive(seconds, stage):
                return await self._receive(seconds, stage)
            case StartTls():
                return await self._start_tls()
            case SendContent(content):
                await self._send_content(content)
        return None

    def _send(self, step: Send) -> None:
        if not self._wire.is_quiet and not self._wire.is_lost:
            raise _failed(
                "4.5.0", "it said something that nobody asked for", self.target, Stage.EHLO
            )
        for line in (step.shown,) if step.shown is not None else step.lines:
            self._log.sent(line)
        try:
            self._wire.write("".join(f"{line}\r\n" for line in step.lines).encode())
        except ConnectionLostError:
            return  # a last word may have come; whoever waits for the answer finds out

    async def _receive(self, seconds: float, stage: Stage) -> Reply:
        try:
            async with asyncio.timeout(seconds):
                reply = await self._wire.reply()
        except TimeoutError:
            self._log.disconnected("TimedOut")
            self._is_over = True
            raise _failed("4.4.2", f"no answer in {seconds:.0f} s", self.target, stage) from None
        except ConnectionLostError as error:
            self._log.disconnected("Remote")
            self._is_over = True
            raise _failed("4.4.2", f"lost connection: {error}", self.target, stage) from None
        except ProtocolError as error:
            raise _failed("4.5.0", f"protocol error: {error}", self.target, stage) from None
        for line in reply.lines:
            self._log.received(f"{reply.code} {line}")
        if stage is Stage.END_OF_DATA and reply.is_positive and not self._content_sent:
            text = "it took a message before its end"
            raise _failed("4.5.0", text, self.target, Stage.DATA)
        return reply

    async def _send_content(self, content: Content) -> None:
        self._content_sent = False
        try:
            await self._wire.send(stuffed(content.chunks()), self.settings.timeouts.chunk)
            self._content_sent = True
        except ConnectionLostError as error:
            if self._wire.has_reply:
                return
            text = f"lost connection while sending the message: {error}"
            raise _failed("4.4.2", text, self.target, Stage.DATA) from None
        except TimeoutError:
            text = "the message is not taken any more: timed out"
            raise _failed("4.4.2", text, self.target, Stage.DATA) from None

    async def _start_tls(self) -> TlsFacts:
        context = self.settings.tls.context
        if context is None:
            raise AssertionError("STARTTLS without a context")
        try:
            await self._wire.start_tls(
                context, _server_name(self.target), self.settings.timeouts.tls
            )
        except ProtocolError as error:
            raise _failed("4.7.5", str(error), self.target, Stage.TLS) from None
        except (ssl.SSLError, OSError, ConnectionLostError, TimeoutError) as error:
            raise _TlsBrokenError(str(handshake_failure(error)), "4.7.5") from None
        session = self._wire.tls
        if session is None:
            raise AssertionError("a handshake without a session")
        try:
            facts = verify(self.settings.tls, session)
        except TlsFailedError as error:
            raise _TlsBrokenError(str(error), "4.7.5") from None
        self._log.information(f"TLS protocol {facts.version} with {facts.cipher}")
        return facts


class StaleConnectionError(Exception):
    """A connection that was used before is gone; nothing was said on it that counts."""


class _TlsBrokenError(Exception):
    """TLS did not come about, or does not meet the demand."""

    def __init__(self, text: str, enhanced: str) -> None:
        super().__init__(text)
        self.enhanced = enhanced


async def _connect(target: Target, settings: SessionSettings) -> Wire:
    source = settings.source_address
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeouts.connect):
            _, wire = await loop.create_connection(
                Wire,
                target.address,
                target.port,
                local_addr=(str(source), 0) if source is not None else None,
            )
    except TimeoutError:
        raise _failed("4.4.1", "connection timed out", target, Stage.CONNECT) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise _failed("4.4.1", reason, target, Stage.CONNECT) from None
    return wire


def _server_name(target: Target) -> str | None:
    """For SNI; an address is no name there (RFC 6066)."""
    try:
        ip_address(target.host)
    except ValueError:
        return target.host
    return None


def _failed(enhanced: str, text: str, target: Target, stage: Stage) -> SessionFailedError:
    """What a session with a target came to; Postfix' words for the same."""
    doing = {
        Stage.CONNECT: f"connect to {target}",
        Stage.GREETING: f"{target}: while receiving the greeting",
        Stage.END_OF_DATA: f"{target}: while waiting for the answer to the message, which may come"
        " twice",
    }.get(stage, f"{target}: {stage.value}")
    return SessionFailedError(Reply(451, enhanced, (f"{doing}: {clean(text)}",)), stage)
