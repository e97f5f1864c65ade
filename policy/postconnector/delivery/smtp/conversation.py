"""Carries out the steps of dialogues on one connection, and tells the log."""

import asyncio
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeVar

from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import DialogueLog
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply, clean
from postconnector.delivery.smtp.dot_stuffing import stuffed
from postconnector.delivery.smtp.replies import ProtocolError
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SendContent,
    Stage,
    StartTls,
    Step,
    failed,
)
from postconnector.delivery.smtp.wire import ConnectionLostError, Wire
from postconnector.delivery.tls.policy import TlsFacts
from postconnector.delivery.tls.verification import handshake_failure, verify

T = TypeVar("T")


class HandshakeFailedError(Exception):
    """TLS did not come about; the text says why."""


class Conversation:
    """One connection from its making to its end. `is_over`: nothing more can be said."""

    def __init__(
        self, target: Target, settings: SessionSettings, log: DialogueLog, wire: Wire
    ) -> None:
        self._target = target
        self._settings = settings
        self._log = log
        self._wire = wire
        self._stage = Stage.GREETING
        self._sent_whole = True
        self.is_over = False
        log.connected(wire.endpoint("sockname"), wire.endpoint("peername"))

    @property
    def local_endpoint(self) -> str:
        """The address and port that we connected from."""
        return self._wire.endpoint("sockname")

    @property
    def is_quiet(self) -> bool:
        """Whether the next hop is there, and waits for us to speak."""
        return not (self.is_over or self._wire.is_lost or self._wire.is_spoken_to)

    async def carry_out(self, dialogue: Dialogue[T]) -> T:
        """The result of a dialogue.

        Raises SessionFailedError, TlsFailedError where the next hop's TLS is not enough, and
        HandshakeFailedError. Whatever it raises, nothing more can be said then.
        """
        try:
            step = next(dialogue)
            while True:
                step = dialogue.send(await self._do(step))
        except StopIteration as end:
            result: T = end.value
            return result

    def say_goodbye(self) -> None:
        """QUIT, if it would be understood; its answer is not waited for, as in Postfix."""
        if self.is_quiet:
            self._log.sent("QUIT")
            self._wire.write(b"QUIT\r\n")
        self._end("Remote" if self._wire.is_lost else "Local")
        self._wire.close()

    def abort(self) -> None:
        """Close at once."""
        self._end("Remote" if self._wire.is_lost else "Local")
        self._wire.abort()

    async def wait_closed(self) -> None:
        """Wait until the last word is sent, but not longer than for a reply to QUIT."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.timeouts.quit):
                await self._wire.wait_closed()
        self._wire.abort()

    def _end(self, reason: str) -> None:
        if not self.is_over:
            self.is_over = True
            self._log.disconnected(reason)

    async def _do(self, step: Step) -> Reply | TlsFacts | None:
        match step:
            case Send():
                self._send(step)
            case Receive(seconds, stage):
                self._stage = stage
                return await self._receive(seconds, stage)
            case StartTls():
                return await self._start_tls()
            case SendContent(content):
                await self._send_content(content)
        return None

    def _send(self, step: Send) -> None:
        if self._wire.is_spoken_to:
            self._refuse_unasked()
        for line in (step.shown,) if step.shown is not None else step.lines:
            self._log.sent(line)
        try:
            self._wire.write("".join(f"{line}\r\n" for line in step.lines).encode())
        except ConnectionLostError:
            return  # whoever waits for the reply finds out

    def _refuse_unasked(self) -> None:
        """What was said out of turn would be taken for the reply to what we say now."""
        try:
            reply = self._wire.unasked_reply()
        except ProtocolError as error:
            self._end("Local")
            raise failed("4.5.0", f"protocol error: {clean(str(error))}", self._stage) from None
        said = clean(str(reply)) if reply is not None else "half a line"
        if reply is not None:
            self._note(reply)
        self._end("Local")
        if reply is not None and reply.code == 421:
            raise failed("4.4.2", f"it ended the session: {said}", self._stage)
        raise failed("4.5.0", f"protocol error: it said out of turn: {said}", self._stage)

    async def _receive(self, seconds: float, stage: Stage) -> Reply:
        doubt, at = "", stage
        if stage is Stage.END_OF_DATA:
            if self._sent_whole:
                doubt = "; the message may have been taken, and may be delivered twice"
            else:
                at = Stage.DATA
        try:
            async with asyncio.timeout(seconds):
                reply = await self._wire.reply()
        except TimeoutError:
            self._end("TimedOut")
            text = f"timed out while waiting for {_awaited(stage)}{doubt}"
            raise failed("4.4.2", text, at) from None
        except ConnectionLostError as error:
            self._end("Remote")
            text = f"lost connection while waiting for {_awaited(stage)} ({clean(str(error))})"
            raise failed("4.4.2", text + doubt, at) from None
        except ProtocolError as error:
            self._end("Local")
            raise failed("4.5.0", f"protocol error: {clean(str(error))}{doubt}", at) from None
        self._note(reply)
        if at is not stage:
            # It broke us off. What would be said now would still be the message.
            self._end("Local")
            self._wire.abort()
            if reply.is_positive:
                text = f"protocol error: it took the message before its end: {clean(str(reply))}"
                raise failed("4.5.0", text, at)
        return reply

    def _note(self, reply: Reply) -> None:
        lines, last = reply.lines or ("",), len(reply.lines or ("",)) - 1
        for number, line in enumerate(lines):
            words = filter(None, (reply.enhanced, line))
            self._log.received(f"{reply.code}{' ' if number == last else '-'}{' '.join(words)}")

    async def _send_content(self, content: Content) -> None:
        self._sent_whole = False
        self._log.information("", "sending message")
        try:
            pieces = stuffed(content.chunks())
            self._sent_whole = await self._wire.send(pieces, self._settings.timeouts.chunk)
        except TimeoutError:
            self._end("TimedOut")
            text = "timed out while sending the message"
            raise failed("4.4.2", text, Stage.DATA) from None
        if not self._sent_whole and not self._wire.is_spoken_to:
            self._end("Remote")
            raise failed("4.4.2", "lost connection while sending the message", Stage.DATA)

    async def _start_tls(self) -> TlsFacts:
        context = self._settings.tls.context
        if context is None:
            raise AssertionError("STARTTLS without a context")
        try:
            await self._wire.start_tls(
                context, _server_name(self._target), self._settings.timeouts.tls
            )
        except ProtocolError as error:
            raise failed("4.7.5", f"protocol error: {error}", Stage.TLS) from None
        except OSError as error:
            raise HandshakeFailedError(str(handshake_failure(error))) from None
        session = self._wire.tls
        if session is None:
            raise AssertionError("TLS without a session")
        facts = verify(self._settings.tls, session)
        self._log.information(f"TLS protocol {facts.version} with {facts.cipher}")
        return facts


def _awaited(stage: Stage) -> str:
    return "its greeting" if stage is Stage.GREETING else f"the reply to {stage.value}"


def _server_name(target: Target) -> str | None:
    """For SNI; an address is no name there (RFC 6066), nor is what DNS alone takes for one."""
    try:
        ip_address(target.host)
    except ValueError:
        with suppress(UnicodeError):
            target.host.encode("idna")
            return None if target.host.startswith(".") else target.host or None
    return None
