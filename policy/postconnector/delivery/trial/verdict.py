"""What would become of mail, going by what a trial found at every target. Pure.

Target after target, as in `attempts`, until one takes the message or refuses it for good.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from postconnector.delivery.answer import Answer
from postconnector.delivery.failures import judged
from postconnector.delivery.reply import Reply
from postconnector.delivery.trial.findings import Finding, NotFound
from postconnector.delivery.trying import MOST_SESSIONS, answer_of_failure, was_spoken_to
from postconnector.enforcement.failure_policy import FailurePolicy


class Outcome(Enum):
    """What becomes of it."""

    DELIVERED = "delivered"
    WAITS = "waits"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by`: the target that decides it; None if there is none. `reply`: what is answered then."""

    outcome: Outcome
    by: Finding | None = None
    reply: Reply | None = None


def verdict(
    findings: Sequence[Finding], not_found: Sequence[NotFound], policy: FailurePolicy
) -> Verdict:
    """Of mail that would leave now, with no host known to be dead."""
    last: Finding | None = None
    for finding in _spoken_to(findings):
        if finding.failure is None:
            return Verdict(Outcome.DELIVERED, finding)
        last = finding
        if not _answer(finding).lets_others_try:
            break
    if last is not None:
        return _put_off(judged(_answer(last), policy), last)
    for hop in not_found:
        return _put_off(judged(Answer(hop.reply, not_found=hop.not_found), policy), None)
    return Verdict(Outcome.WAITS)


def _spoken_to(findings: Sequence[Finding]) -> Iterable[Finding]:
    """Those that one message is tried at, if none takes it."""
    sessions = 0
    for finding in findings:
        if not finding.found.tried:
            continue
        yield finding
        sessions += finding.failure is None or was_spoken_to(finding.failure.stage)
        if sessions >= MOST_SESSIONS:
            return


def _answer(finding: Finding) -> Answer:
    failure = finding.failure
    if failure is None:
        raise AssertionError("a target that takes mail")
    return answer_of_failure(
        failure.reply, finding.target, failure.stage, said_by_peer=failure.said_by_peer
    )


def _put_off(answer: Answer, by: Finding | None) -> Verdict:
    told = answer.told()
    return Verdict(Outcome.REFUSED if told.is_permanent else Outcome.WAITS, by, told)
