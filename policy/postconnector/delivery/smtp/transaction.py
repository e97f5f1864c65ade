"""One message in an open session: what is said for it, one answer for each recipient. No I/O."""

from dataclasses import dataclass

from postconnector.delivery.content import Content
from postconnector.delivery.envelope import Envelope
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.parameters import (
    mail_command,
    rcpt_command,
    recipient_refusal,
    uses_smtputf8,
    xforward_command,
)
from postconnector.delivery.smtp.settings import Timeouts
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SendContent,
    SessionFailedError,
    Stage,
    failed,
)
from postconnector.model.plain_text import clean

_MOST_QUOTED = 300
_IN_DOUBT = "(the message may have been taken, and may be delivered twice)"


@dataclass(frozen=True, slots=True)
class RecipientReply:
    """`in_reply_to`: what the next hop answered with it; empty where it is we who say it.

    `uncertain`: the next hop may have taken the message. `others_may`: another of its hosts may
    take it, though this one can't for good (RFC 8689, 4.2.1).
    """

    reply: Reply
    in_reply_to: str = ""
    uncertain: bool = False
    others_may: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """One reply for each recipient, in their order.

    `dsn_passed_on`: the next hop takes NOTIFY, ORCPT, RET and ENVID.
    """

    replies: tuple[RecipientReply, ...]
    dsn_passed_on: bool


class Exchange:
    """The transaction under way; what is known so far survives its failure.

    `is_clean`: the next message needs no RSET.
    """

    def __init__(
        self, envelope: Envelope, content: Content, extensions: Extensions, timeouts: Timeouts
    ) -> None:
        self._envelope = envelope
        self._content = content
        self._extensions = extensions
        self._timeouts = timeouts
        refusals = (recipient_refusal(each, envelope, extensions) for each in envelope.recipients)
        self._replies = [RecipientReply(reply) if reply else None for reply in refusals]
        self._asked = [number for number, reply in enumerate(self._replies) if reply is None]
        self._mail_answered = False
        self._mail_refused = False
        self.is_clean = not self._asked

    @property
    def nothing_was_answered(self) -> bool:
        """The next hop has not even answered MAIL: nothing is lost by saying it all again."""
        return not self._mail_answered

    def run(self) -> Dialogue[None]:
        """The dialogue. With PIPELINING (RFC 2920) all commands up to DATA go out together."""
        if not self._asked:
            return
        recipients = tuple(self._envelope.recipients[number] for number in self._asked)
        yield from self._forward()
        utf8 = uses_smtputf8(self._envelope, self._content, recipients)
        mail = mail_command(self._envelope, self._content, recipients, self._extensions)
        rcpts = [rcpt_command(each, self._extensions, with_smtputf8=utf8) for each in recipients]
        if self._extensions.offers("PIPELINING"):
            yield Send((mail, *rcpts, "DATA"))
            yield from self._mail()
            for number in self._asked:
                yield from self._rcpt(number)
            yield from self._data()
            return
        yield Send((mail,))
        yield from self._mail()
        if self._mail_refused:
            return
        for number, rcpt in zip(self._asked, rcpts, strict=True):
            yield Send((rcpt,))
            yield from self._rcpt(number)
        if self._has_accepted:
            yield Send(("DATA",))
            yield from self._data()

    def _forward(self) -> Dialogue[None]:
        """Whoever does not believe us takes the message as ours: no reason not to send it."""
        xforward = xforward_command(self._envelope, self._extensions)
        if xforward is not None:
            yield Send((xforward,))
            yield from self._receive(self._timeouts.mail, Stage.XFORWARD)

    def fail(self, error: SessionFailedError) -> None:
        """The session broke: who has no final answer gets this one."""
        said = error.stage.value if error.said_by_peer else ""
        uncertain = error.stage is Stage.END_OF_DATA and not error.said_by_peer
        reply = error.reply
        if uncertain:
            reply = Reply(reply.code, reply.enhanced, (*reply.lines, _IN_DOUBT))
        self._answer_rest(RecipientReply(reply, said, uncertain))

    def result(self) -> Delivered:
        """What became of it."""
        missing = RecipientReply(Reply(451, "4.3.0", ("the delivery was not finished",)))
        replies = tuple(reply or missing for reply in self._replies)
        return Delivered(replies, self._extensions.offers("DSN"))

    @property
    def _has_accepted(self) -> bool:
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
            self._replies[number] = RecipientReply(_of_recipient(reply), Stage.RCPT.value)

    def _data(self) -> Dialogue[None]:
        reply = yield from self._receive(self._timeouts.data_start, Stage.DATA, positive=3)
        if not reply.is_positive:
            self._answer_rest(RecipientReply(reply, Stage.DATA.value))
            return
        if not self._has_accepted:
            # Pipelined, and taken although no recipient was: an empty message ends it.
            yield Send((".",))
            yield from self._receive(self._timeouts.data_end, Stage.DATA)
        else:
            yield SendContent(self._content)
            reply = yield from self._receive(self._timeouts.data_end, Stage.END_OF_DATA)
            self._answer_rest(RecipientReply(reply, Stage.END_OF_DATA.value))
        self.is_clean = True

    def _receive(self, seconds: float, stage: Stage, positive: int = 2) -> Dialogue[Reply]:
        """A reply that is one to this command; 421 is the last word to any."""
        reply: Reply = yield Receive(seconds, stage)
        if reply.code == 421:
            raise SessionFailedError(reply, stage, said_by_peer=True)
        if reply.is_positive and reply.code // 100 != positive:
            text = f"unexpected reply to {stage.value}: {clean(str(reply))[:_MOST_QUOTED]}"
            raise failed("4.5.0", text, stage)
        return reply

    def _answer_rest(self, answer: RecipientReply) -> None:
        """For recipients without an answer, and those who were taken so far."""
        for number, known in enumerate(self._replies):
            if known is None or known.reply.is_positive:
                self._replies[number] = answer


def _of_recipient(reply: Reply) -> Reply:
    """RFC 5321, 4.5.3.1.10: an old way to say that there are too many recipients."""
    if reply.code == 552 and reply.enhanced in (None, "5.5.3"):
        return Reply(452, "4.5.3", reply.lines)
    return reply
