"""What is remembered of messages that began before the policy service did."""

import pytest

from postconnector.policyd.open_messages import OpenMessages

STARTED = 0x6B05B8B3 + 0.5


def messages(uptime: float = 1.0) -> OpenMessages:
    """Those of a service that has run for so many seconds."""
    times = iter((0.0,))
    return OpenMessages(now=lambda: STARTED, uptime=lambda: next(times, uptime))


@pytest.mark.parametrize(
    ("instance", "known"),
    [
        ("3567.6b05b8b3.7a11f.0", False),
        ("3567.6b05b8b3.7a121.0", True),
        ("3567.6b05b8b2.f1191.1", False),
        ("3567.6b05b8b4.0.1", True),
        ("123.456.7", True),
        ("anything else", True),
    ],
)
def test_of_a_message_that_began_before_nothing_is_known(instance: str, known: bool) -> None:
    """What was named since may be as much as Postfix counts, and be others."""
    found = messages()
    found.add(instance, "bob@contoso.com")
    assert list(found.recipients(instance)) == (["bob@contoso.com"] if known else [])


def test_a_clock_that_was_set_back_matters_only_for_a_while() -> None:
    found = messages(uptime=601.0)
    found.add("3567.6b05b8b2.f1191.1", "bob@contoso.com")
    assert found.recipients("3567.6b05b8b2.f1191.1") == ["bob@contoso.com"]
