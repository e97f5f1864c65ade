"""The main job: connectors.toml published to a real Postfix, real mail taking its connector."""

import pytest

from tests.demo.journey import compose, send
from tests.demo.messages import MESSAGES, Message
from tests.demo.verdict import compare
from tests.demo.world import World
from tests.lab.loopback import wait_until


@pytest.mark.parametrize(
    ("number", "message"),
    list(enumerate(MESSAGES)),
    ids=[f"{m.recipient} {m.size // 1024}KB by {m.by}" for m in MESSAGES],
)
def test_message_takes_its_way(contoso: World, number: int, message: Message) -> None:
    journey = send(contoso, message, number)
    assert compare(message.expected, journey) == [], journey


def test_recipients_of_one_message_take_a_connector_each(contoso: World) -> None:
    message_id = "<several@contoso.test>"
    recipients = {
        "one@fabrikam.test": "pc-fabrikam-partner/smtp",
        "two@example.test": "pc-internet/smtp",
        "three@lab.sales.contoso.test": "pc-subsidiaries/smtp",
        "four@contoso.test": "virtual",
    }
    message = compose("undisclosed@contoso.test", 2000, message_id)
    with contoso.administrator.smtp() as session:
        session.sendmail("alice@contoso.test", list(recipients), message)
    for recipient, service in recipients.items():
        delivery = contoso.host.log.wait_for_delivery(recipient, message_id=message_id)
        assert (delivery.service, delivery.status) == (service, "sent"), delivery


def test_report_without_sender_takes_the_connector(contoso: World) -> None:
    message_id = "<report@contoso.test>"
    message = compose("bounce@example.test", 2000, message_id)
    with contoso.administrator.smtp() as session:
        session.sendmail("", ["bounce@example.test"], message)
    delivery = contoso.host.log.wait_for_delivery("bounce@example.test", message_id=message_id)
    assert (delivery.service, delivery.status) == ("pc-internet/smtp", "sent")


def test_nothing_reaches_a_partner_with_the_wrong_certificate(contoso: World) -> None:
    message_id = "<wrong-name@contoso.test>"
    message = compose("mallory@woodgrove.test", 2000, message_id)
    with contoso.administrator.smtp() as session:
        session.sendmail("alice@contoso.test", ["mallory@woodgrove.test"], message)
    delivery = contoso.host.log.wait_for_delivery("mallory@woodgrove.test", message_id=message_id)
    assert (delivery.status, delivery.dsn) == ("deferred", "4.7.5")
    assert contoso.peers["woodgrove"].received() == []
    assert any(m["queue_id"] == delivery.queue_id for m in contoso.host.queue())


def test_what_the_receivers_saw(contoso: World) -> None:
    """The login, our certificate, and that the partner could verify it."""
    for recipient in ("login@tailspin.test", "certificate@proseware.test"):
        message_id = f"<seen.{recipient}>"
        with contoso.administrator.smtp() as session:
            session.sendmail(
                "alice@contoso.test", [recipient], compose(recipient, 2000, message_id)
            )
        receiver = contoso.peers[recipient.partition("@")[2].partition(".")[0]]
        wait_until(lambda: receiver.holds_message(message_id) or None, f"{message_id} to arrive")  # noqa: B023
    [login] = [m for m in contoso.peers["tailspin"].received() if m.recipient.startswith("login@")]
    assert login.authenticated_sender == "contoso@tailspin"
    assert login.tls is not None
    [shown] = [
        m for m in contoso.peers["proseware"].received() if m.recipient.startswith("certificate@")
    ]
    assert shown.client_certificate == "smtp.contoso.test"
    assert shown.client_certificate_verified
