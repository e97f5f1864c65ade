"""What the LMTP server hands over: a message with its envelope, wanting one reply a recipient."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from postconnector.delivery.envelope import Envelope
from postconnector.delivery.reply import Reply
from postconnector.delivery.spool import SpooledMessage

_LONGEST_QUEUE_ID = 64


@dataclass(frozen=True, slots=True)
class Transaction:
    """One message. Its content is closed as soon as the replies are there.

    `lhlo_name`: as which the LMTP client greeted. `forwarded`: what XFORWARD said, by attribute,
    for logs.
    """

    envelope: Envelope
    content: SpooledMessage
    lhlo_name: str
    forwarded: Mapping[str, str] = field(default_factory=dict)

    @property
    def queue_id(self) -> str | None:
        """The message's id in the client's queue, if what was said looks like one."""
        found = self.forwarded.get("IDENT", "")
        return found if found.isalnum() and len(found) <= _LONGEST_QUEUE_ID else None

    @property
    def client_address(self) -> str | None:
        """The address of the client from which the LMTP client has the message."""
        return self.forwarded.get("ADDR") or None


Deliver = Callable[[Transaction], Awaitable[Sequence[Reply]]]
"""Delivers a message and gives one reply for each recipient, in their order."""
