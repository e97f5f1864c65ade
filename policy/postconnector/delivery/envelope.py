"""The envelope of a message (RFC 5321, 3461, 6531, 8689). No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


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
    `forwarded`: where the message came from, by attribute of XFORWARD, for a server that has been
    told to believe us; an empty value is one that is not known.
    """

    sender: str
    recipients: tuple[EnvelopeRecipient, ...]
    body: str | None = None
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    requiretls: bool = False
    forwarded: Mapping[str, str] = field(default_factory=dict, compare=False)

    def to(self, recipients: tuple[EnvelopeRecipient, ...]) -> "Envelope":
        """The same for these recipients."""
        return replace(self, recipients=recipients)
