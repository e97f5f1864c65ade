"""The report of success that nobody else sends: for whom, and what it says (RFC 3464)."""

import email
from email.message import Message

import pytest

from postconnector.delivery.answer import Answer
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.hosts.target import Target
from postconnector.delivery.reply import Reply
from postconnector.delivery.success_report import relayed, success_report

RELAY = Target("mx.partner.test", "192.0.2.1", 25)
TAKEN = Answer(
    Reply(250, "2.6.0", ("queued\x1b[1m",)), RELAY, "end of DATA command", without_dsn=True
)
BOB = EnvelopeRecipient("bob@partner.test", "SUCCESS,DELAY", "rfc822;b+2Bob@contoso.test")


@pytest.mark.parametrize(
    ("sender", "notify", "answer", "count"),
    [
        ("alice@contoso.test", "SUCCESS", TAKEN, 1),
        ("alice@contoso.test", "delay,success", TAKEN, 1),
        ("alice@contoso.test", "FAILURE", TAKEN, 0),
        ("alice@contoso.test", "NEVER", TAKEN, 0),
        ("alice@contoso.test", None, TAKEN, 0),
        ("", "SUCCESS", TAKEN, 0),
        ("alice@contoso.test", "SUCCESS", Answer(Reply(250, "2.0.0", ("ok",)), RELAY), 0),
        ("a@contoso.test", "SUCCESS", Answer(Reply(550, "5.1.1", ()), RELAY, without_dsn=True), 0),
    ],
)
def test_who_is_reported(sender: str, notify: str | None, answer: Answer, count: int) -> None:
    envelope = Envelope(sender, (EnvelopeRecipient("bob@partner.test", notify),))
    assert len(relayed(envelope, [answer])) == count


def parts(message: Message) -> list[Message]:
    found = message.get_payload()
    assert isinstance(found, list)
    return [part for part in found if isinstance(part, Message)]


def test_what_it_says() -> None:
    envelope = Envelope("alice@contoso.test", (BOB,), envid="QQ+2B1")
    header = "From: alice@contoso.test\r\nSubject: é\r\n".encode()
    date = "Tue, 24 Nov 2026 15:00:00 +0000"
    report = success_report("host.contoso.test", date, envelope, header, relayed(envelope, [TAKEN]))
    data = b"".join(report.chunks())
    assert len(data) == report.size
    assert not report.is_8bit
    assert b"\n" not in data.replace(b"\r\n", b"")
    found = email.message_from_bytes(data)
    assert found.get_content_type() == "multipart/report"
    assert found.get_param("report-type") == "delivery-status"
    assert found["To"] == "alice@contoso.test"
    text, status, returned = parts(found)
    assert "<bob@partner.test>: 250 2.6.0 mx.partner.test" in str(text.get_payload())
    assert status.get_content_type() == "message/delivery-status"
    of_message, of_bob = parts(status)
    assert dict(of_message.items()) == {
        "Reporting-MTA": "dns; host.contoso.test",
        "Original-Envelope-Id": "QQ+1",
    }
    assert dict(of_bob.items()) == {
        "Original-Recipient": "rfc822; b+ob@contoso.test",
        "Final-Recipient": "rfc822; bob@partner.test",
        "Action": "relayed",
        "Status": "2.6.0",
        "Remote-MTA": "dns; mx.partner.test",
        "Diagnostic-Code": "smtp; 250 2.6.0 queued\\x1b[1m",
    }
    assert "From: alice@contoso.test" in str(returned.get_payload())
