"""Asking a next hop whether it takes a sender and a recipient, and taking it back. No I/O."""

from collections.abc import Iterator

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.parameters import (
    mail_command,
    rcpt_command,
    recipient_refusal,
    refusal,
    uses_smtputf8,
)
from postconnector.delivery.smtp.settings import Timeouts
from postconnector.delivery.smtp.steps import (
    Dialogue,
    Receive,
    Send,
    SessionFailedError,
    Stage,
    failed,
)
from postconnector.delivery.trial.findings import Failure, Finding
from postconnector.model.plain_text import clean


class _SmallMessage:
    """The message that is never sent (a Content): plain, and small enough for anybody."""

    size = 1000
    is_8bit = False
    has_8bit_header = False

    def chunks(self) -> Iterator[bytes]:
        """None of it."""
        return iter(())


def asking(envelope: Envelope, finding: Finding, timeouts: Timeouts) -> Dialogue[None]:
    """MAIL, RCPT and RSET, in turn, for an envelope with one recipient; never DATA.

    The finding is told the answers, and its failure if one is none.
    """
    extensions = finding.opened.extensions
    if (reply := _refused_unasked(envelope, extensions)) is not None:
        finding.failure = Failure(reply, Stage.MAIL)
        return
    content = _SmallMessage()
    recipients = envelope.recipients
    utf8 = uses_smtputf8(envelope, content, recipients)
    yield Send((mail_command(envelope, content, recipients, extensions),))
    reply = yield from _answer(timeouts.mail, Stage.MAIL)
    finding.sender = reply
    if not reply.is_positive:
        finding.failure = Failure(reply, Stage.MAIL, said_by_peer=True)
        return
    yield Send((rcpt_command(recipients[0], extensions, with_smtputf8=utf8),))
    reply = yield from _answer(timeouts.rcpt, Stage.RCPT)
    finding.recipient = reply
    if not reply.is_positive:
        finding.failure = Failure(reply, Stage.RCPT, said_by_peer=True)
    yield Send(("RSET",))
    yield Receive(timeouts.mail, Stage.RSET)


def _refused_unasked(envelope: Envelope, extensions: Extensions) -> Reply | None:
    """What the agent itself says of this next hop and these addresses."""
    whole = refusal(envelope, _SmallMessage(), extensions, verified_tls=False)
    return whole or recipient_refusal(envelope.recipients[0], envelope, extensions)


def _answer(seconds: float, stage: Stage) -> Dialogue[Reply]:
    reply: Reply = yield Receive(seconds, stage)
    if reply.code == 421:
        raise SessionFailedError(reply, stage, said_by_peer=True)
    if reply.is_positive and reply.code // 100 != 2:
        raise failed("4.5.0", f"unexpected reply to {stage.value}: {clean(str(reply))}", stage)
    return reply
