"""A session with one next hop: opened as its settings demand, then good for several messages."""

import ssl
from dataclasses import replace

from postconnector.delivery.content import Content
from postconnector.delivery.dialogue_log import DialogueLog
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.conversation import Conversation, HandshakeFailedError
from postconnector.delivery.smtp.dialogue import opening
from postconnector.delivery.smtp.opened import Opened
from postconnector.delivery.smtp.parameters import REQUIRETLS_MISSING, refusal
from postconnector.delivery.smtp.settings import SessionSettings
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SessionFailedError,
    Stage,
    failed,
)
from postconnector.delivery.smtp.tcp import connect
from postconnector.delivery.smtp.transaction import Delivered, Exchange, RecipientReply
from postconnector.delivery.tls.policy import Starttls, TlsFailedError, TlsPolicy
from postconnector.model.plain_text import clean

_WITHOUT_TLS = TlsPolicy(Starttls.NEVER, None)


class StaleConnectionError(Exception):
    """A connection that was used before is gone; nothing was said on it that counts."""


class Connection:
    """Open. Made by `open`; one message at a time. `messages`: how many were given to it."""

    def __init__(
        self,
        target: Target,
        settings: SessionSettings,
        conversation: Conversation,
        opened: Opened,
    ) -> None:
        self.target = target
        self.settings = settings
        self.messages = 0
        self.opened = opened
        self._conversation = conversation
        self._needs_reset = False

    @classmethod
    async def open(
        cls, target: Target, settings: SessionSettings, log: DialogueLog
    ) -> "Connection":
        """Connect, greet, go over to TLS and log in, as the settings demand.

        Where TLS is only welcome and its handshake breaks, the connection is made anew without,
        once, as Postfix does. Raises SessionFailedError.
        """
        try:
            return await cls._open(target, settings, log)
        except HandshakeFailedError as error:
            log.information(f"going on without TLS: {error}")
        return await cls._open(target, replace(settings, tls=_WITHOUT_TLS), log)

    @classmethod
    async def _open(
        cls, target: Target, settings: SessionSettings, log: DialogueLog
    ) -> "Connection":
        """The same; raises HandshakeFailedError where it may be done again without TLS."""
        opened = Opened()
        conversation: Conversation | None = None
        try:
            wire = await connect(target, settings)
            conversation = Conversation(target, settings, log, wire)
            await conversation.carry_out(opening(settings, opened))
        except (SessionFailedError, TlsFailedError, HandshakeFailedError) as error:
            await _leave(conversation, politely=_may_say_goodbye(error))
            if isinstance(error, HandshakeFailedError) and _may_do_without_tls(settings):
                raise
            failure = error
            if not isinstance(failure, SessionFailedError):
                failure = failed("4.7.5", str(failure), Stage.TLS)
            failure = _named(failure, target)
            failure.opened = opened
            raise failure from None
        except BaseException:
            if conversation is not None:
                conversation.abort()
            raise
        return cls(target, settings, conversation, opened)

    @property
    def local_endpoint(self) -> str:
        """The address and port that we connected from."""
        return self._conversation.local_endpoint

    @property
    def is_reusable(self) -> bool:
        """Whether another message may be sent."""
        return self.messages < self.settings.messages and self._conversation.is_quiet

    async def deliver(self, envelope: Envelope, content: Content) -> Delivered:
        """Send a message; one reply for each recipient, whatever the next hop does.

        Raises StaleConnectionError where a connection that was used before turns out to be gone,
        and what reading the content raises.
        """
        reused, self.messages = self.messages > 0, self.messages + 1
        extensions, tls = self.opened.extensions, self.opened.tls
        # A chain alone says that it is somebody; RFC 8689, 4.2.1, wants to know who.
        verified = tls is not None and tls.verified and self.settings.tls.names is not None
        refused = refusal(envelope, content, extensions, verified_tls=verified)
        if refused is not None:
            others_may = refused is REQUIRETLS_MISSING
            answer = RecipientReply(_with_name(refused, self.target), others_may=others_may)
            return Delivered((answer,) * len(envelope.recipients), extensions.offers("DSN"))
        exchange = Exchange(envelope, content, extensions, self.settings.timeouts)
        try:
            if self._needs_reset:
                await self._conversation.carry_out(_reset(self.settings.timeouts.mail))
            await self._conversation.carry_out(exchange.run())
        except SessionFailedError as error:
            self.abort()
            if reused and exchange.nothing_was_answered:
                raise StaleConnectionError from None
            exchange.fail(_named(error, self.target))
        except BaseException:
            self.abort()
            raise
        self._needs_reset = not exchange.is_clean
        return exchange.result()

    def quit(self) -> None:
        """Say goodbye and close."""
        self._conversation.say_goodbye()

    def abort(self) -> None:
        """Close at once."""
        self._conversation.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, after quit() or abort(): before a loop ends."""
        await self._conversation.wait_closed()


def _reset(seconds: float) -> Dialogue[None]:
    yield Send(("RSET",))
    reply: Reply = yield Receive(seconds, Stage.RSET)
    if reply.code // 100 != 2:
        text = f"unexpected reply to {Stage.RSET.value}: {clean(str(reply))}"
        raise failed("4.5.0", text, Stage.RSET)


async def _leave(conversation: Conversation | None, *, politely: bool) -> None:
    if conversation is None:
        return
    if politely:
        conversation.say_goodbye()
    else:
        conversation.abort()
    await conversation.wait_closed()


def _may_say_goodbye(error: Exception) -> bool:
    """Nobody is left after a handshake that failed, and after 421."""
    if isinstance(error, SessionFailedError):
        return error.reply.code != 421
    return isinstance(error, TlsFailedError)


def _may_do_without_tls(settings: SessionSettings) -> bool:
    """A demand on the certificate is one on TLS, too; so is a login for TLS alone."""
    policy, login = settings.tls, settings.login
    if policy.starttls is not Starttls.IF_OFFERED or (login and login.only_encrypted):
        return False
    verifies = policy.context is not None and policy.context.verify_mode is not ssl.CERT_NONE
    return policy.names is None and not verifies


def _named(error: SessionFailedError, target: Target) -> SessionFailedError:
    """What we say ourselves names the next hop; its own words are said to be its own."""
    if error.said_by_peer:
        return error
    return SessionFailedError(_with_name(error.reply, target), error.stage)


def _with_name(reply: Reply, target: Target) -> Reply:
    return Reply(reply.code, reply.enhanced, (f"{target}: {reply.text}",))
