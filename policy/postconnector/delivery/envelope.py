"""The envelope of a message (RFC 5321, 3461, 6531, 8689). No I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnvelopeRecipient:
    """One RCPT TO: `address` without angle brackets.

    `notify` and `orcpt` are the values of these parameters as they came (RFC 3461), already
    found to be well-formed.
    """

    address: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One MAIL FROM and its recipients; `sender` is empty for the null reverse-path.

    `body`: 7BIT or 8BITMIME where it was said. `ret` and `envid`: RFC 3461, well-formed.
    """

    sender: str
    recipients: tuple[EnvelopeRecipient, ...]
    body: str | None = None
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    requiretls: bool = False

    def to(self, recipients: tuple[EnvelopeRecipient, ...]) -> "Envelope":
        """The same for these recipients."""
        return Envelope(
            self.sender,
            recipients,
            self.body,
            self.smtputf8,
            self.ret,
            self.envid,
            self.requiretls,
        )
