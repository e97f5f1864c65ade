"""One message in an open session: what is said for it, one answer for each recipient. No I/O."""

from dataclasses import dataclass

from postconnector.delivery.content import Content
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.reply import Reply, clean
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.settings import Timeouts
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SendContent,
    SessionFailedError,
    Stage,
)


@dataclass(frozen=True, slots=True)
class RecipientReply:
    """`in_reply_to`: what the next hop answered with it; empty where it is we who say it.

    `uncertain`: the next hop may have taken the message.
    """

    reply: Reply
    in_reply_to: str = ""
    uncertain: bool = False


@dataclass(slots=True)
class Delivered:
    """One reply for each recipient, in their order.

    `is_over`: the session can't be used any more. `is_clean`: the next message needs no RSET.
    `dsn_passed_on`: the next hop took NOTIFY, ORCPT, RET and ENVID.
    """

    replies: tuple[RecipientReply, ...]
    is_over: bool = False
    is_clean: bool = True
    dsn_passed_on: bool = True


def refusal_here(
    envelope: Envelope, content: Content, extensions: Extensions, *, verified_tls: bool
) -> Reply | None:
    """Why this message can't go to this next hop, without asking it; None if it can.

    RFC 1870, 6152, 6531, 8689. Nothing is converted.
    """
    limit = extensions.size_limit
    if limit is not None and content.size > limit:
        text = f"message size {content.size} exceeds the {limit} that the next hop takes"
        return Reply(552, "5.3.4", (text,))
    if content.is_8bit and not extensions.offers("8BITMIME"):
        return Reply(554, "5.6.3", ("8BITMIME is needed, but was not offered",))
    if _needs_smtputf8(envelope, content) and not extensions.offers("SMTPUTF8"):
        return Reply(553, "5.6.7", ("SMTPUTF8 is needed, but was not offered",))
    if envelope.requiretls and not (verified_tls and extensions.offers("REQUIRETLS")):
        return Reply(550, "5.7.30", ("REQUIRETLS support is needed, but was not found",))
    return None


def _needs_smtputf8(envelope: Envelope, content: Content) -> bool:
    addresses = (envelope.sender, *(recipient.address for recipient in envelope.recipients))
    return content.has_8bit_header or not all(address.isascii() for address in addresses)


def mail_command(envelope: Envelope, content: Content, extensions: Extensions) -> str:
    """MAIL FROM with what the next hop knows of the parameters that the message has."""
    words = [f"MAIL FROM:<{envelope.sender}>"]
    if extensions.offers("SIZE"):
        words.append(f"SIZE={content.size}")
    if extensions.offers("8BITMIME") and (content.is_8bit or envelope.body):
        words.append("BODY=8BITMIME" if content.is_8bit else f"BODY={envelope.body}")
    if _needs_smtputf8(envelope, content):
        words.append("SMTPUTF8")
    if envelope.requiretls:
        words.append("REQUIRETLS")
    if extensions.offers("DSN"):
        words += [f"RET={envelope.ret}"] if envelope.ret else []
        words += [f"ENVID={envelope.envid}"] if envelope.envid else []
    return " ".join(words)


def rcpt_command(recipient: EnvelopeRecipient, extensions: Extensions) -> str:
    """RCPT TO in the same way."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if extensions.offers("DSN"):
        words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
        words += [f"ORCPT={recipient.orcpt}"] if recipient.orcpt else []
    return " ".join(words)


class Exchange:
    """The transaction under way; what is known so far survives its failure."""

    def __init__(
        self, envelope: Envelope, content: Content, extensions: Extensions, timeouts: Timeouts
    ) -> None:
        self._envelope = envelope
        self._content = content
        self._extensions = extensions
        self._timeouts = timeouts
        self._replies: list[RecipientReply | None] = [None] * len(envelope.recipients)
        self._mail_answered = False
        self._mail_refused = False
        self._ended_well = False
        self._over = False

    @property
    def nothing_was_answered(self) -> bool:
        """The next hop has not even answered MAIL: nothing is lost by saying it all again."""
        return not self._mail_answered

    def run(self) -> Dialogue[None]:
        """The dialogue. With PIPELINING (RFC 2920) all commands up to DATA go out together."""
        mail = mail_command(self._envelope, self._content, self._extensions)
        rcpts = [rcpt_command(each, self._extensions) for each in self._envelope.recipients]
        if self._extensions.offers("PIPELINING"):
            yield Send((mail, *rcpts, "DATA"))
            yield from self._mail()
            for number in range(len(rcpts)):
                yield from self._rcpt(number)
            yield from self._data()
            return
        yield Send((mail,))
        yield from self._mail()
        if self._mail_refused:
            return
        for number, rcpt in enumerate(rcpts):
            yield Send((rcpt,))
            yield from self._rcpt(number)
        if self._accepted:
            yield Send(("DATA",))
            yield from self._data()

    def fail(self, error: SessionFailedError) -> None:
        """The session broke: who has no final answer gets this one."""
        self._over = True
        uncertain = error.stage is Stage.END_OF_DATA
        said = error.stage.value if error.said_by_peer else ""
        self._answer_rest(RecipientReply(error.reply, said, uncertain), among_accepted=True)

    def result(self) -> Delivered:
        """What became of it."""
        missing = RecipientReply(Reply(451, "4.3.0", ("the delivery was not finished",)))
        replies = tuple(reply or missing for reply in self._replies)
        return Delivered(replies, self._over, self._ended_well, self._extensions.offers("DSN"))

    @property
    def _accepted(self) -> bool:
        return any(reply is not None and reply.reply.is_positive for reply in self._replies)

    def _mail(self) -> Dialogue[None]:
        reply = yield from self._receive(self._timeouts.mail, Stage.MAIL)
        self._mail_answered = True
        self._mail_refused = not reply.is_positive
        if self._mail_refused:
            self._answer_rest(RecipientReply(reply, Stage.MAIL.value))

    def _rcpt(self, number: int) -> Dialogue[None]:
        reply = yield from self._receive(self._timeouts.rcpt, Stage.RCPT)
        if not self._mail_refused:
            self._replies[number] = RecipientReply(reply, Stage.RCPT.value)

    def _data(self) -> Dialogue[None]:
        reply = yield from self._receive(self._timeouts.data_start, Stage.DATA)
        if reply.code != 354:
            if reply.is_positive:
                raise _out_of_step(reply, Stage.DATA)
            self._answer_rest(RecipientReply(reply, Stage.DATA.value), among_accepted=True)
            return
        if not self._accepted:
            # Pipelined, and taken although no recipient was: an empty message ends it.
            yield Send((".",))
            yield from self._receive(self._timeouts.data_end, Stage.DATA)
            return
        yield SendContent(self._content)
        reply = yield from self._receive(self._timeouts.data_end, Stage.END_OF_DATA)
        if reply.code // 100 == 3:
            raise _out_of_step(reply, Stage.END_OF_DATA)
        self._answer_rest(RecipientReply(reply, Stage.END_OF_DATA.value), among_accepted=True)
        self._ended_well = True

    def _receive(self, seconds: float, stage: Stage) -> Dialogue[Reply]:
        reply: Reply = yield Receive(seconds, stage)
        if reply.code == 421:
            self._over = True
        return reply

    def _answer_rest(self, answer: RecipientReply, *, among_accepted: bool = False) -> None:
        """For recipients without an answer, and those who were taken so far."""
        for number, known in enumerate(self._replies):
            if known is None or (among_accepted and known.reply.is_positive):
                self._replies[number] = answer


def _out_of_step(reply: Reply, stage: Stage) -> SessionFailedError:
    text = f"unexpected answer to {stage.value}: {clean(str(reply))}"
    return SessionFailedError(Reply(451, "4.5.0", (text,)), stage)
