"""The report for a sender who asked to hear of success (NOTIFY=SUCCESS) where nobody else sends it.

A next hop without DSN reports nothing, and Postfix thinks that we have passed the wish on. So we
say that the message was relayed (RFC 3461, 5.2.2; form: RFC 3464). Pure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import policy
from email.generator import BytesGenerator
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from io import BytesIO

from postconnector.delivery.answer import Answer
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.model.plain_text import clean

_CHUNK = 64 * 1024
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_TEXT = """\
This is the mail system at {hostname}.

Your message was handed on to the mail system below, which can't tell you whether it was delivered.
You will hear of a failure only if that system reports it.

"""


@dataclass(frozen=True, slots=True)
class Relayed:
    """A recipient who is to be reported, and the answer that he got."""

    recipient: EnvelopeRecipient
    answer: Answer


def relayed(envelope: Envelope, answers: Sequence[Answer]) -> list[Relayed]:
    """Of these recipients; none where there is no sender to tell."""
    return [
        Relayed(recipient, answer)
        for recipient, answer in zip(envelope.recipients, answers, strict=True)
        if envelope.sender
        and answer.without_dsn
        and answer.reply.is_positive
        and "SUCCESS" in (recipient.notify or "").upper().split(",")
    ]


def success_report(
    hostname: str, date: str, envelope: Envelope, header: bytes, recipients: Sequence[Relayed]
) -> "SuccessReport":
    """From this host to the sender of the envelope; `date` as a header has it (RFC 5322).

    `header`: that of the message, which is returned without its body.
    """
    report = MIMEMultipart("report")
    report.set_param("report-type", "delivery-status")
    report["Date"] = date
    report["From"] = f"Mail Delivery System <MAILER-DAEMON@{hostname}>"
    report["To"] = clean(envelope.sender)
    report["Subject"] = "Successful Mail Delivery Report"
    report["Auto-Submitted"] = "auto-replied"
    lines = "".join(f"{_said(each)}\n" for each in recipients)
    report.attach(MIMEText(_TEXT.format(hostname=hostname) + lines, "plain", "us-ascii"))
    report.attach(_status(hostname, envelope, recipients))
    returned = MIMEBase("text", "rfc822-headers")
    returned.set_payload(header.decode("ascii", "replace").replace("\ufffd", "?"))
    report.attach(returned)
    written = BytesIO()
    # as_bytes() would import this when it is first called, and by then root is given up.
    BytesGenerator(written, policy=policy.compat32.clone(linesep="\r\n")).flatten(report)
    return SuccessReport(written.getvalue())


def _said(each: Relayed) -> str:
    return f"<{clean(each.recipient.address)}>: {clean(str(each.answer.told()))}"


def _status(hostname: str, envelope: Envelope, recipients: Sequence[Relayed]) -> MIMEBase:
    status = MIMEBase("message", "delivery-status")
    status.attach(_fields(("Reporting-MTA", f"dns; {hostname}"), _id(envelope)))
    for each in recipients:
        relay = each.answer.relay
        status.attach(
            _fields(
                _original(each.recipient),
                ("Final-Recipient", f"rfc822; {clean(each.recipient.address)}"),
                ("Action", "relayed"),
                ("Status", each.answer.told().status),
                ("Remote-MTA", f"dns; {relay.host}") if relay is not None else None,
                ("Diagnostic-Code", f"smtp; {clean(str(each.answer.reply))}"),
            )
        )
    return status


def _fields(*fields: tuple[str, str] | None) -> Message:
    block = Message(policy.compat32)
    for field_ in fields:
        if field_ is not None:
            block[field_[0]] = field_[1]
    return block


def _id(envelope: Envelope) -> tuple[str, str] | None:
    found = envelope.envid
    return ("Original-Envelope-Id", clean(_from_xtext(found))) if found else None


def _original(recipient: EnvelopeRecipient) -> tuple[str, str] | None:
    if not recipient.orcpt:
        return None
    kind, _, address = recipient.orcpt.partition(";")
    return "Original-Recipient", f"{kind}; {clean(_from_xtext(address))}"


def _from_xtext(text: str) -> str:
    """RFC 3461, 4."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)


@dataclass(frozen=True, slots=True)
class SuccessReport:
    """A message (Content), small enough for memory."""

    _data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._data)

    @property
    def is_8bit(self) -> bool:
        """Whether there is a byte above 127."""
        return not self._data.isascii()

    @property
    def has_8bit_header(self) -> bool:
        """Never: the sender's own header is in the body."""
        return False

    def chunks(self) -> Iterator[bytes]:
        """The whole, in pieces of at most 64 KB."""
        for start in range(0, len(self._data), _CHUNK):
            yield self._data[start : start + _CHUNK]
