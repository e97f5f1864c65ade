"""Asking a next hop whether it would take a recipient, without sending anything. No I/O."""

from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.settings import Timeouts
from postconnector.delivery.smtp.steps import Dialogue, Receive, Send, Stage


def inquiry(sender: str, recipient: str, timeouts: Timeouts) -> Dialogue[tuple[Reply, Stage]]:
    """MAIL FROM, RCPT TO, RSET: the last answer that counts, and what it was to."""
    yield Send((f"MAIL FROM:<{sender}>",))
    reply: Reply = yield Receive(timeouts.mail, Stage.MAIL)
    if not reply.is_positive:
        return reply, Stage.MAIL
    yield Send((f"RCPT TO:<{recipient}>",))
    reply = yield Receive(timeouts.rcpt, Stage.RCPT)
    yield Send(("RSET",))
    yield Receive(timeouts.mail, Stage.RSET)
    return reply, Stage.RCPT
