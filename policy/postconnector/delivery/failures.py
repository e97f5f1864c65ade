"""What a connector's error policies make of an answer. Pure.

Asked once a recipient, when no other host is left to try, as Postfix asks its delivery status
filter (`postfix.failures`) for the connectors that it carries out by itself; it says the same.
"""

from dataclasses import replace

from postconnector.delivery.answer import Answer
from postconnector.delivery.reply import Reply
from postconnector.enforcement.failure_policy import FailurePolicy

_DNS_FAILED = ".4.3"
"""RFC 3463: directory server failure. Of our own answers, that DNS told nothing."""

_SAME_IN_BOTH = (50, 52, 55)
"""450 and 550 (mailbox unavailable), 452 and 552 (storage), 455 and 555 (parameters)."""

_ONLY_TEMPORARY, _OTHER_TEMPORARY, _OTHER_PERMANENT = 51, 451, 554


def judged(answer: Answer, policy: FailurePolicy) -> Answer:
    """The answer with the class that it has in the end: what Postfix is told, and the log.

    The text still says what the next hop did. A login that was refused is temporary, with
    DowngradeAuthFailures or without: what is wrong is ours to mend (smtp_sasl_auth_soft_bounce,
    which Postfix has too).
    """
    told = answer.told()
    if told.is_positive:
        return answer
    status = f"4{told.status[1:]}" if answer.refused_login else told.status
    our_own = not answer.in_reply_to
    from_dns = answer.not_found or (our_own and status.endswith(_DNS_FAILED))
    status = policy.counts_as(status, from_dns=from_dns)
    if status[0] == told.status[0]:
        return answer
    code = _temporary(told.code) if status[0] == "4" else _permanent(told.code)
    return replace(answer, reply=Reply(code, status, told.lines), in_reply_to="")


def _temporary(code: int) -> int:
    """The last two digits stay where RFC 5321 knows them in that class; 421 would say goodbye."""
    kept = (*_SAME_IN_BOTH, _ONLY_TEMPORARY)
    return 400 + code % 100 if code % 100 in kept else _OTHER_TEMPORARY


def _permanent(code: int) -> int:
    """The same; 551 would name another address."""
    return 500 + code % 100 if code % 100 in _SAME_IN_BOTH else _OTHER_PERMANENT
