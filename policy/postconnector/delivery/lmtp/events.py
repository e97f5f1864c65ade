"""What happens in a session of LMTP."""

from collections.abc import Mapping
from dataclasses import dataclass

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.reply import Reply


@dataclass(frozen=True, slots=True)
class SendBytes:
    """To be sent to the client."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageBegun:
    """The envelope is complete; its message comes. The rest as in Transaction."""

    envelope: Envelope
    lhlo_name: str
    forwarded: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MessagePiece:
    """The next part of the message, not dot-stuffed, with CRLF line ends."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """The message is complete, or `refusal` is for each of its recipients.

    `stray`: how many CR and LF that were no line ends, and NUL, became blanks.
    """

    refusal: Reply | None = None
    stray: int = 0


Event = SendBytes | MessageBegun | MessagePiece | MessageEnded
