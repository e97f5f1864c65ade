"""Carries out the steps of dialogues on one connection, and tells the log."""

import asyncio
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeVar

from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import DialogueLog
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
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
from postconnector.delivery.smtp.transcript import Transcript
from postconnector.delivery.smtp.wire import ConnectionLostError, Wire
from postconnector.delivery.tls.policy import TlsFacts
from postconnector.delivery.tls.verification import handshake_failure, verify
from postconnector.model.plain_text import clean

T = TypeVar("T")


class HandshakeFailedError(Exception):
    """TLS did not come about; the text says why."""


class Conversation:
    """One connection from its making to its end."""

    def __init__(
        self, target: Target, settings: SessionSettings, log: DialogueLog, wire: Wire
    ) -> None:
        self._target = target
        self._settings = settings
        self._transcript = Transcript(log, settings.login)
        self._wire = wire
        self._stage = Stage.GREETING
        self._sent_whole = True
        log.connected(wire.endpoint("sockname"), wire.endpoint("peername"))

    @property
    def local_endpoint(self) -> str:
        """The address and port that we connected from."""
        return self._wire.endpoint("sockname")

    @property
    def is_quiet(self) -> bool:
        """Whether the next hop is there, and waits for us to speak."""
        return not (self._transcript.has_ended or self._wire.is_lost or self._wire.is_spoken_to)

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
            self._send(Send(("QUIT",)))
        self._transcript.ended("Remote" if self._wire.is_lost else "Local")
        self._wire.close()

    def abort(self) -> None:
        """Close at once."""
        self._transcript.ended("Remote" if self._wire.is_lost else "Local")
        self._wire.abort()

    async def wait_closed(self) -> None:
        """Wait until the last word is sent, but not longer than for a reply to QUIT."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.timeouts.quit):
                await self._wire.wait_closed()
        self._wire.abort()

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
        self._transcript.sent(step)
        try:
            self._wire.write("".join(f"{line}\r\n" for line in step.lines).encode())
        except ConnectionLostError:
            return  # whoever waits for the reply finds out

    def _refuse_unasked(self) -> None:
        """What was said out of turn would be taken for the reply to what we say now."""
        try:
            reply = self._wire.reply_at_hand()
        except ProtocolError as error:
            self._transcript.ended("Local")
            raise failed("4.5.0", self._protocol_error(error), self._stage) from None
        said = "half a line"
        if reply is not None:
            reply = self._heard(reply)
            said = clean(str(reply))
        self._transcript.ended("Local")
        if reply is not None and reply.code == 421:
            raise failed("4.4.2", f"it ended the session: {said}", self._stage)
        raise failed("4.5.0", f"protocol error: it said out of turn: {said}", self._stage)

    async def _receive(self, seconds: float, stage: Stage) -> Reply:
        broken_off = stage is Stage.END_OF_DATA and not self._sent_whole
        at = Stage.DATA if broken_off else stage
        try:
            if (said := self._wire.reply_at_hand()) is None:
                async with asyncio.timeout(seconds):
                    said = await self._wire.reply()
            reply = self._heard(said)
        except TimeoutError:
            self._transcript.ended("TimedOut")
            text = f"timed out while waiting for {_awaited(stage)}"
            raise failed("4.4.2", text, at) from None
        except ConnectionLostError as error:
            self._transcript.ended("Remote")
            text = f"lost connection while waiting for {_awaited(stage)} ({clean(str(error))})"
            raise failed("4.4.2", text, at) from None
        except ProtocolError as error:
            self._transcript.ended("Local")
            raise failed("4.5.0", self._protocol_error(error), at) from None
        if broken_off:
            # It broke us off. What would be said now would still be the message.
            self._transcript.ended("Local")
            self._wire.abort()
            if reply.is_positive:
                text = f"protocol error: it took the message before its end: {clean(str(reply))}"
                raise failed("4.5.0", text, at)
        return reply

    def _heard(self, reply: Reply) -> Reply:
        return self._transcript.heard(reply, logging_in=self._stage is Stage.LOGIN)

    def _protocol_error(self, error: ProtocolError) -> str:
        text = self._transcript.masked(str(error), logging_in=self._stage is Stage.LOGIN)
        return f"protocol error: {clean(text)}"

    async def _send_content(self, content: Content) -> None:
        self._sent_whole = False
        self._transcript.information("", "sending message")
        try:
            pieces = stuffed(content.chunks())
            self._sent_whole = await self._wire.send(pieces, self._settings.timeouts.chunk)
        except TimeoutError:
            self._transcript.ended("TimedOut")
            text = "timed out while sending the message"
            raise failed("4.4.2", text, Stage.DATA) from None
        if not self._sent_whole and not self._wire.is_spoken_to:
            self._transcript.ended("Remote")
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
            if isinstance(error, TimeoutError):
                self._transcript.ended("TimedOut")
            raise HandshakeFailedError(str(handshake_failure(error))) from None
        session = self._wire.tls
        if session is None:
            raise AssertionError("TLS without a session")
        facts = verify(self._settings.tls, session)
        self._transcript.information(f"TLS protocol {facts.version} with {facts.cipher}")
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
