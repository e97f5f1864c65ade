"""What becomes of mail, given what was found at each target."""

import pytest

from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.steps import Stage
from postconnector.delivery.trial.findings import Failure, Finding, FoundTarget, NotFound
from postconnector.delivery.trial.verdict import Outcome, verdict
from postconnector.enforcement.failure_policy import FailurePolicy
from postconnector.model.enhanced_status_code import EnhancedStatusCode

PLAIN = FailurePolicy(dns=False, downgraded=(), upgraded=())
FAILURES = {
    "dead": Failure(Reply(451, "4.4.1", ("can't connect",)), Stage.CONNECT),
    "tls": Failure(Reply(451, "4.7.5", ("not good enough",)), Stage.TLS),
    "later": Failure(Reply(450, "4.2.0", ("later",)), Stage.RCPT, said_by_peer=True),
    "never": Failure(Reply(550, "5.7.1", ("never",)), Stage.RCPT, said_by_peer=True),
    "login": Failure(Reply(535, "5.7.8", ("who?",)), Stage.LOGIN, said_by_peer=True),
}


def finding(kind: str, number: int) -> Finding:
    """`kind`: ok, or a failure; with a hyphen in front the agent would not try it."""
    target = Target(f"mx{number}.test", f"192.0.2.{number}", 25)
    found = FoundTarget(target, "MX", tried=not kind.startswith("-"))
    return Finding(found, failure=FAILURES.get(kind.lstrip("-")))


@pytest.mark.parametrize(
    ("kinds", "outcome", "by"),
    [
        ("ok", Outcome.DELIVERED, 1),
        ("dead ok", Outcome.DELIVERED, 2),
        ("dead tls later ok", Outcome.DELIVERED, 4),
        ("never ok", Outcome.REFUSED, 1),
        ("later never ok", Outcome.REFUSED, 2),
        ("dead tls", Outcome.WAITS, 2),
        ("login", Outcome.WAITS, 1),
        ("-ok", Outcome.WAITS, None),
        ("dead -ok", Outcome.WAITS, 1),
        ("-never ok", Outcome.DELIVERED, 2),
        # Five sessions, and no more; who was not reached was none.
        ("tls tls tls tls ok", Outcome.DELIVERED, 5),
        ("tls tls tls tls tls ok", Outcome.WAITS, 5),
        ("dead dead dead dead dead dead ok", Outcome.DELIVERED, 7),
        ("", Outcome.WAITS, None),
    ],
)
def test_target_after_target(kinds: str, outcome: Outcome, by: int | None) -> None:
    findings = [finding(kind, number) for number, kind in enumerate(kinds.split(), 1)]
    found = verdict(findings, [], PLAIN)
    assert found.outcome is outcome
    assert found.by is (findings[by - 1] if by is not None else None)
    assert (found.reply is None) is (outcome is Outcome.DELIVERED or by is None)


def test_error_policies_count() -> None:
    """DowngradeCustomFailures has mail wait that would bounce."""
    policy = FailurePolicy(
        dns=True, downgraded=(EnhancedStatusCode.parse_permanent("5.7.1"),), upgraded=()
    )
    found = verdict([finding("never", 1)], [], policy)
    assert found.outcome is Outcome.WAITS
    assert found.reply is not None
    assert found.reply.status == "4.7.1"
    nowhere = NotFound("no.test", Reply(550, "5.4.4", ("nonexistent",)), not_found=True)
    assert verdict([], [nowhere], PLAIN).outcome is Outcome.REFUSED
    assert verdict([], [nowhere], policy).outcome is Outcome.WAITS
