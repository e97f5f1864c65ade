"""What a message needs of a next hop, and the commands that say it. No I/O. Nothing is converted.

RFC 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 3461 (DSN), 8689 (REQUIRETLS).
"""

import re

from postconnector.delivery.content import Content
from postconnector.delivery.envelope import Envelope, EnvelopeRecipient
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.extensions import Extensions

_NOT_IN_COMMANDS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""What would end a command, or is no UTF-8. No address that came by LMTP has it."""

_PLAIN_IN_XTEXT = re.compile("[!-*,-<>-~]")
_LONGEST_IN_XFORWARD = 255

REQUIRETLS_MISSING = Reply(
    550,
    "5.7.30",
    ("REQUIRETLS is needed, but the next hop has no verified TLS or does not offer it",),
)


def refusal(
    envelope: Envelope, content: Content, extensions: Extensions, *, verified_tls: bool
) -> Reply | None:
    """Why this message can't go to this next hop at all, without asking it; None if it can."""
    limit = extensions.size_limit
    if limit is not None and content.size > limit:
        text = f"message size {content.size} exceeds the {limit} that the next hop takes"
        return Reply(552, "5.3.4", (text,))
    if envelope.requiretls and not (verified_tls and extensions.offers("REQUIRETLS")):
        return REQUIRETLS_MISSING
    if content.is_8bit and not extensions.offers("8BITMIME"):
        return Reply(554, "5.6.3", ("8BITMIME is needed, but was not offered",))
    if not _is_sayable(envelope.sender):
        return Reply(553, "5.1.7", ("the sender's address has control characters",))
    if _needs_smtputf8(envelope, content):
        return _smtputf8_missing(envelope, extensions)
    return None


def recipient_refusal(
    recipient: EnvelopeRecipient, envelope: Envelope, extensions: Extensions
) -> Reply | None:
    """Why this recipient alone can't be named to this next hop; None if he can."""
    if not _is_sayable(recipient.address):
        return Reply(553, "5.1.3", ("the recipient's address has control characters",))
    return None if recipient.address.isascii() else _smtputf8_missing(envelope, extensions)


def xforward_command(envelope: Envelope, extensions: Extensions) -> str | None:
    """XFORWARD (Postfix' XFORWARD_README) with what is known of where the message came from; None
    if nothing is, or nobody wants to know.
    """
    offered = extensions.keywords.get("XFORWARD", ())
    words = [
        f"{name}={_xforward_value(value)}"
        for name, value in envelope.forwarded.items()
        if name in offered
    ]
    return f"XFORWARD {' '.join(words)}" if words else None


def _xforward_value(value: str) -> str:
    """smtpd(8) refuses all of a command in which one is longer."""
    said = _xtext(value)
    return said if 0 < len(said) <= _LONGEST_IN_XFORWARD else "[UNAVAILABLE]"


def _xtext(text: str) -> str:
    """RFC 3461, 4."""
    return "".join(
        chr(octet) if _PLAIN_IN_XTEXT.match(chr(octet)) else f"+{octet:02X}"
        for octet in text.encode()
    )


def mail_command(
    envelope: Envelope,
    content: Content,
    recipients: tuple[EnvelopeRecipient, ...],
    extensions: Extensions,
) -> str:
    """MAIL FROM for these recipients, with what the next hop knows of the parameters."""
    words = [f"MAIL FROM:<{envelope.sender}>"]
    if extensions.offers("SIZE"):
        words.append(f"SIZE={content.size}")
    if extensions.offers("8BITMIME") and (content.is_8bit or envelope.body):
        words.append("BODY=8BITMIME" if content.is_8bit else f"BODY={envelope.body}")
    if uses_smtputf8(envelope, content, recipients) and extensions.offers("SMTPUTF8"):
        words.append("SMTPUTF8")
    if envelope.requiretls:
        words.append("REQUIRETLS")
    if extensions.offers("DSN"):
        words += [f"RET={envelope.ret}"] if envelope.ret else []
        words += [f"ENVID={envelope.envid}"] if envelope.envid else []
    return " ".join(words)


def rcpt_command(
    recipient: EnvelopeRecipient, extensions: Extensions, *, with_smtputf8: bool
) -> str:
    """RCPT TO in the same way."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if extensions.offers("DSN"):
        orcpt = recipient.orcpt and (recipient.orcpt if with_smtputf8 else _ascii(recipient.orcpt))
        words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
        words += [f"ORCPT={orcpt}"] if orcpt else []
    return " ".join(words)


def uses_smtputf8(
    envelope: Envelope, content: Content, recipients: tuple[EnvelopeRecipient, ...]
) -> bool:
    """Whether the parameter is said; a message that only might have needed it goes without."""
    return _needs_smtputf8(envelope, content) or not all(r.address.isascii() for r in recipients)


def _needs_smtputf8(envelope: Envelope, content: Content) -> bool:
    """For all recipients. A header with raw 8-bit text is older than SMTPUTF8, and goes as ever.

    Only one that came as SMTPUTF8 mail needs it (Postfix does the same).
    """
    return not envelope.sender.isascii() or (envelope.smtputf8 and content.has_8bit_header)


def _smtputf8_missing(envelope: Envelope, extensions: Extensions) -> Reply | None:
    """What came without the parameter is older than it, too, and goes as it came."""
    if extensions.offers("SMTPUTF8") or not envelope.smtputf8:
        return None
    return Reply(553, "5.6.7", ("SMTPUTF8 is needed, but was not offered",))


def _is_sayable(address: str) -> bool:
    return _NOT_IN_COMMANDS.search(address) is None


def _ascii(orcpt: str) -> str:
    r"""An original recipient as utf-8-addr-xtext (RFC 6533, 3): é is \x{E9}."""
    return "".join(c if c.isascii() else f"\\x{{{ord(c):X}}}" for c in orcpt)
