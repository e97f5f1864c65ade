"""Sending one message, and finding out what became of it: from the log and from the receiver."""

import smtplib
from dataclasses import dataclass

from tests.demo.messages import Message
from tests.demo.world import World
from tests.lab.loopback import wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import ReceivedMessage

SENDER = "alice@contoso.test"


@dataclass(frozen=True)
class Journey:
    """What became of a message.

    `service`: the master.cf service that Postfix' log names. `helo`: the name by which the
    receiver was greeted. `tls`: none, encrypted or verified. `reason`: of a refusal or delay.
    """

    outcome: str
    service: str | None = None
    helo: str | None = None
    tls: str = "none"
    own_certificate: str | None = None
    reason: str = ""


def send(world: World, message: Message, number: int) -> Journey:
    """Send a message and follow it to its end, or to where it waits."""
    message_id = f"<{number}.demo@contoso.test>"
    text = compose(message.recipient, message.size, message_id)
    refusal = _submit(world, message, text)
    if refusal is not None:
        return refusal
    delivery = world.host.log.wait_for_delivery(message.recipient, message_id=message_id)
    service = delivery.service.removesuffix("/smtp")
    if delivery.status != "sent":
        tls = _tls(world, delivery, None)
        return Journey(delivery.status, service, tls=tls, reason=delivery.text)
    received = _find_received(world, message_id)
    return Journey(
        "delivered",
        service,
        received.helo if received is not None else None,
        _tls(world, delivery, received),
        received.client_certificate if received is not None else None,
    )


def compose(recipient: str, size: int, message_id: str) -> bytes:
    """A message of `size` bytes, give or take a line, with CRLF line ends."""
    head = (
        f"From: {SENDER}\r\nTo: {recipient}\r\nMessage-ID: {message_id}\r\n"
        "Subject: postconnector demo\r\n\r\n"
    ).encode()
    line = b"x" * 70 + b"\r\n"
    return head + line * ((size - len(head)) // len(line))


def _submit(world: World, message: Message, text: bytes) -> Journey | None:
    """Hand the message to Postfix; return a journey if it ends here."""
    if message.by == "sendmail":
        world.host.sendmail(SENDER, [message.recipient], text.replace(b"\r\n", b"\n"))
        return None
    with world.administrator.smtp() as session:
        options = [] if message.by.endswith("no SIZE") else [f"size={len(text)}"]
        session.mail(SENDER, options)
        code, reply = session.rcpt(message.recipient)
        if code != 250:
            return Journey("refused at RCPT", reason=f"{code} {reply.decode()}")
        try:
            code, reply = session.data(text)
        except smtplib.SMTPDataError as error:
            code, reply = error.smtp_code, _as_bytes(error.smtp_error)
        if code != 250:
            return Journey("refused at DATA", reason=f"{code} {reply.decode()}")
    return None


def _as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _tls(world: World, delivery: Delivery, received: ReceivedMessage | None) -> str:
    """That a certificate was verified only the sender knows; TLS itself the receiver too."""
    line = world.host.log.tls_line(delivery)
    if line is not None and "Verified TLS connection" in line:
        return "verified"
    encrypted = line is not None or (received is not None and received.tls is not None)
    return "encrypted" if encrypted else "none"


def _find_received(world: World, message_id: str) -> ReceivedMessage | None:
    """The message as its receiver stored it; None when it stayed on the host."""

    def look() -> ReceivedMessage | None:
        for peer in world.peers.values():
            for received in peer.received():
                if received.message_id == message_id:
                    return received
        return None

    found = look()
    if found is None and not world.host.holds_message(message_id):
        found = wait_until(look, f"message {message_id} at a receiver")
    return found
