"""Command lines of LMTP: what they mean, and that it is the same when we say it to a next hop.

The first byte: whether MAIL said SMTPUTF8. No repetitions: a line is short.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.lmtp.command_error import CommandError
from postconnector.delivery.lmtp.commands import (
    Command,
    Lhlo,
    Mail,
    Rcpt,
    Word,
    Xforward,
    parse_command,
)
from postconnector.delivery.lmtp.paths import LONGEST_ADDRESS
from postconnector.delivery.lmtp.xforward import ATTRIBUTES
from postconnector.delivery.smtp.extensions import Extensions
from postconnector.delivery.smtp.parameters import mail_command, rcpt_command, uses_smtputf8

WORDS = (
    b"LHLO mx.contoso.test",
    b"MAIL FROM:<alice@contoso.test>",
    b"RCPT TO:<bob@fabrikam.test>",
    b"RCPT TO:<Postmaster>",
    b'<"a b>\\""@[IPv6:::1]>',
    b"<@a.test,@b.test:bob@c.test>",
    b"<>",
    b" SIZE=12345",
    b" BODY=8BITMIME",
    b" BODY=7BIT",
    b" SMTPUTF8",
    b" REQUIRETLS",
    b" RET=HDRS",
    b" ENVID=QQ+2B1",
    b" NOTIFY=SUCCESS,DELAY",
    b" NOTIFY=NEVER",
    b" ORCPT=rfc822;b+2Bc@x.test",
    b" ORCPT=utf-8;\xc3\xa9@x.test",
    b"XFORWARD NAME=mx.test ADDR=192.0.2.1 IDENT=4Q7",
    b" HELO=+1B+E9",
    b" SOURCE=[UNAVAILABLE]",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
)
_SIZE = 1000
_ALL = Extensions(dict.fromkeys(("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS"), ()))


@dataclass(frozen=True, slots=True)
class EightBit:
    """A message for which everything is said that was asked for."""

    size: int = _SIZE
    is_8bit: bool = False
    has_8bit_header: bool = True

    def chunks(self) -> Iterator[bytes]:
        """Nobody asks for it."""
        raise AssertionError


def check(data: bytes) -> None:
    """AssertionError where a command is misread."""
    smtputf8, line = bool(data[:1] and data[0] & 1), data[1:]
    command = understood(line, smtputf8)
    if command is None:
        return
    verb, blank, rest = line.partition(b" ")
    for same in (verb.lower() + blank + rest, verb.upper() + blank + rest, line + b"  "):
        assert parse_command(same, smtputf8=smtputf8) == command
    match command:
        case Lhlo(name):
            assert name.encode() == rest.rstrip(b" ")
            assert name.isascii()
            assert name.isprintable()
        case Mail():
            envelope_is_said(envelope_of(command))
        case Rcpt(recipient):
            envelope = Envelope("", (recipient,), smtputf8=smtputf8)
            envelope_is_said(envelope)
        case Xforward(attributes):
            assert set(attributes) <= set(ATTRIBUTES)
            assert all(len(v) <= 255 and (v + "a").isprintable() for v in attributes.values())
            assert "".join(attributes.values()).isascii()
        case Word():
            assert command.value.encode() == verb.upper()


def understood(line: bytes, smtputf8: bool) -> Command | None:
    """What it means; None if it is refused, and then by one short line of ours for good."""
    try:
        return parse_command(line, smtputf8=smtputf8)
    except CommandError as error:
        reply = error.reply
        assert reply.is_permanent
        assert str(reply).isascii()
        assert str(reply).isprintable()
        assert reply.encode() == f"{reply}\r\n".encode()
        assert len(str(reply)) < 100
        return None


def envelope_of(mail: Mail, recipients: Sequence[EnvelopeRecipient] = ()) -> Envelope:
    """As LmtpSession makes it."""
    return Envelope(
        mail.sender,
        tuple(recipients),
        mail.body,
        mail.smtputf8,
        mail.ret,
        mail.envid,
        mail.requiretls,
    )


def envelope_is_said(envelope: Envelope) -> None:
    """To a next hop that offers all we say what was said to us, in commands that hold one line."""
    assert envelope.ret is None or envelope.ret.upper() in ("FULL", "HDRS")
    assert envelope.envid is None or _is_xtext(envelope.envid)
    for recipient in envelope.recipients:
        _wishes_are_well_formed(recipient, envelope.smtputf8)
    content = EightBit()
    addresses = [envelope.sender, *(recipient.address for recipient in envelope.recipients)]
    for address in addresses:
        assert len(address.encode()) <= LONGEST_ADDRESS
        if '"' not in address:
            assert not set(address) & set('<> ,;:\\"()') or address.endswith("]")
    utf8 = uses_smtputf8(envelope, content, envelope.recipients)
    command = mail_command(envelope, content, envelope.recipients, _ALL)
    again = parse_command(command.encode())
    assert isinstance(again, Mail)
    assert again == Mail(
        envelope.sender,
        _SIZE,
        envelope.body.upper() if envelope.body else None,
        utf8,
        envelope.ret,
        envelope.envid,
        envelope.requiretls,
    )
    for recipient in envelope.recipients:
        command = rcpt_command(recipient, _ALL, with_smtputf8=utf8)
        assert parse_command(command.encode(), smtputf8=utf8) == Rcpt(recipient)
        if recipient.address.isascii():
            command = rcpt_command(recipient, _ALL, with_smtputf8=False)
            assert command.isascii()
            assert isinstance(parse_command(command.encode()), Rcpt)


def _wishes_are_well_formed(recipient: EnvelopeRecipient, smtputf8: bool) -> None:
    """RFC 3461, 4.1 and 4.2; RFC 6533, 3."""
    if recipient.notify is not None:
        words = recipient.notify.upper().split(",")
        assert words == ["NEVER"] or set(words) <= {"SUCCESS", "FAILURE", "DELAY"}
    if recipient.orcpt is not None:
        kind, semicolon, address = recipient.orcpt.partition(";")
        assert kind.replace("-", "x").isalnum()
        assert semicolon
        if smtputf8 and kind.lower() == "utf-8":
            address = "".join(character for character in address if character.isascii()) or "x"
        assert _is_xtext(address)


def _is_xtext(text: str) -> bool:
    """RFC 3461, 4: printable but for = and blanks, and + only before two hexadecimal digits."""
    plain, *encoded = text.split("+")
    characters = plain + "".join(part[2:] for part in encoded)
    digits = "".join(part[:2] for part in encoded)
    return (
        bool(text)
        and all("!" <= character <= "~" and character != "=" for character in characters)
        and len(digits) == 2 * len(encoded)
        and all(digit in "0123456789ABCDEF" for digit in digits)
    )
