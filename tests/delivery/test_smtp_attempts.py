"""Target after target: who is asked next, for whom, and who is not asked again."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from postconnector.delivery.answer import Answer
from postconnector.delivery.attempts import Attempts, Way
from postconnector.delivery.dialogue_log import NoDialogueLog
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.smtp.pool import ConnectionPool
from postconnector.delivery.smtp.settings import SessionSettings, Timeouts
from postconnector.delivery.tls.policy import Starttls, TlsPolicy
from postconnector.enforcement.header_firewall import CrossPremises, HeaderFirewall
from tests.lab.client import Message
from tests.lab.scripted_peer import ScriptedPeer

_HELLO = """
    < 220 peer.test ESMTP
    > EHLO client.test
    < 250 peer.test
"""
_MAIL = """
    > MAIL FROM:<alice@contoso.test>
    < 250 ok
"""
_TAKEN = """
    > DATA
    < 354 go on
    message
    < 250 2.0.0 taken
"""
_MESSAGE = Message(b"Subject: try\r\n\r\n.\r\n")
_KEEPS_ALL = HeaderFirewall(
    organization=True, routing=True, cross_premises=CrossPremises.AS_THEY_ARE
)
_SETTINGS = SessionSettings(
    "client.test", TlsPolicy(Starttls.NEVER, None), timeouts=Timeouts(*[20.0] * 10)
)


def rcpt(name: str, reply: str) -> str:
    return f"> RCPT TO:<{name}@fabrikam.test>\n< {reply}\n"


def deliver(
    peers: Sequence[ScriptedPeer], *names: str, messages: int = 1, requiretls: bool = False
) -> list[list[Answer]]:
    """Each of the messages to these recipients, by peers that must be asked just as they expect."""
    recipients = tuple(EnvelopeRecipient(f"{name}@fabrikam.test") for name in names)
    envelope = Envelope("alice@contoso.test", recipients, requiretls=requiretls)

    async def converse(targets: Sequence[Target]) -> list[list[Answer]]:
        pool = ConnectionPool()
        attempts = Attempts(pool, BackOff(time.monotonic))
        way = Way("key", targets, _SETTINGS, _KEEPS_ALL, lambda _: NoDialogueLog())
        answers = [await attempts.deliver(way, envelope, _MESSAGE) for _ in range(messages)]
        pool.close()
        return answers

    for peer in peers:
        peer.start()
    try:
        targets = [Target(f"mx{n}.test", p.address, p.port) for n, p in enumerate(peers)]
        answers = asyncio.run(converse(targets))
    finally:
        for peer in peers:
            peer.stop()
    for peer in peers:
        peer.assert_played()
    return answers


def shown(answers: Sequence[Answer]) -> list[str]:
    return [f"{answer.relay.host if answer.relay else '-'} {answer.reply}" for answer in answers]


def test_the_next_host_is_asked_for_whom_the_first_puts_off() -> None:
    first = ScriptedPeer(
        _HELLO
        + _MAIL
        + rcpt("taken", "250 ok")
        + rcpt("later", "450 4.2.0 later")
        + rcpt("never", "550 5.1.1 unknown")
        + _TAKEN
    )
    second = ScriptedPeer(_HELLO + _MAIL + rcpt("later", "250 ok") + _TAKEN)
    (answers,) = deliver([first, second], "taken", "later", "never")
    assert shown(answers) == [
        "mx0.test 250 2.0.0 taken",
        "mx1.test 250 2.0.0 taken",
        "mx0.test 550 5.1.1 unknown",
    ]


@pytest.mark.parametrize("first", ["< 554 5.7.1 go away", "< 421 4.3.2 busy", "close"])
def test_the_next_host_is_asked_if_the_first_does_not_talk(first: str) -> None:
    second = ScriptedPeer(_HELLO + _MAIL + rcpt("bob", "250 ok") + _TAKEN)
    (answers,) = deliver([ScriptedPeer(first), second], "bob")
    assert shown(answers) == ["mx1.test 250 2.0.0 taken"]


def test_nobody_else_is_asked_where_the_message_may_have_been_taken() -> None:
    script = _HELLO + _MAIL + rcpt("bob", "250 ok") + "> DATA\n< 354 go on\nmessage\nclose"
    (answers,) = deliver([ScriptedPeer(script), ScriptedPeer()], "bob")
    assert answers[0].uncertain
    assert answers[0].reply.code == 451


def test_requiretls_is_looked_for_at_every_host() -> None:
    """RFC 8689, 4.2.1."""
    (answers,) = deliver([ScriptedPeer(_HELLO), ScriptedPeer(_HELLO)], "bob", requiretls=True)
    (answer,) = answers
    assert answer.reply.code == 550
    assert answer.relay is not None
    assert answer.relay.host == "mx1.test"


def test_one_connection_for_two_messages() -> None:
    one = _MAIL + rcpt("bob", "250 ok") + _TAKEN
    answers = deliver([ScriptedPeer(_HELLO + one + one)], "bob", messages=2)
    assert [shown(each) for each in answers] == [["mx0.test 250 2.0.0 taken"]] * 2


def test_a_connection_that_has_gone_is_made_anew() -> None:
    one = _MAIL + rcpt("bob", "250 ok") + _TAKEN
    gone = "> MAIL FROM:<alice@contoso.test>\nclose"
    peer = ScriptedPeer(_HELLO + one + gone, _HELLO + one)
    answers = deliver([peer], "bob", messages=2)
    assert [shown(each) for each in answers] == [["mx0.test 250 2.0.0 taken"]] * 2
