"""One line in the log for each recipient, in the form of Postfix' delivery agents."""

import logging

from postconnector.delivery.answer import Answer
from postconnector.model.plain_text import clean

_STATUS = {2: "sent", 4: "deferred", 5: "bounced"}

log = logging.getLogger(__name__)


def status_of(answer: Answer) -> str:
    """sent, deferred or bounced, as Postfix says."""
    return _STATUS.get(answer.reply.code // 100, "deferred")


def log_delivery(
    queue_id: str, recipient: str, connector: str | None, answer: Answer, seconds: float
) -> None:
    """`connector`: the name of its service, if it is ours; `seconds` since the message had come."""
    reply = answer.told()
    log.info(
        "%s: to=<%s>, relay=%s, connector=%s, delay=%.2g, dsn=%s, status=%s (%s)",
        queue_id,
        clean(recipient),
        answer.relay or "none",
        connector or "none",
        seconds,
        reply.status,
        status_of(answer),
        reply.text,
    )
