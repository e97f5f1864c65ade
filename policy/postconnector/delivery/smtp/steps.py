"""What a dialogue wants done next, and how it may end. No I/O; `conversation` does it."""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from postconnector.delivery.content import Content
from postconnector.delivery.reply import Reply
from postconnector.delivery.smtp.opened import Opened


class Stage(Enum):
    """How far a session was; the value names what a reply there is to."""

    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "EHLO command"
    TLS = "STARTTLS command"
    LOGIN = "AUTH command"
    XFORWARD = "XFORWARD command"
    MAIL = "MAIL FROM command"
    RCPT = "RCPT TO command"
    DATA = "DATA command"
    END_OF_DATA = "end of DATA command"
    RSET = "RSET command"


@dataclass(frozen=True, slots=True)
class Send:
    """Commands, with their line ends. `shown`: for logs, where they hold a secret."""

    lines: tuple[str, ...]
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for one reply, so many seconds."""

    seconds: float
    stage: Stage


@dataclass(frozen=True, slots=True)
class StartTls:
    """Go over to TLS now; TlsFacts are sent back."""


@dataclass(frozen=True, slots=True)
class SendContent:
    """Send the message and the dot that ends it."""

    content: Content


Step = Send | Receive | StartTls | SendContent

T = TypeVar("T")
Dialogue = Generator[Step, Any, T]
"""Is sent a Reply for each Receive, TlsFacts for StartTls, and None for what is only sent."""


class SessionFailedError(Exception):
    """The session is over. `reply`: what the sender of mail is told for this next hop.

    `said_by_peer`: the next hop said it. `opened`: what is known of a session that could not be
    opened.
    """

    def __init__(self, reply: Reply, stage: Stage, *, said_by_peer: bool = False) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.stage = stage
        self.said_by_peer = said_by_peer
        self.opened = Opened()


def failed(enhanced: str, text: str, stage: Stage) -> SessionFailedError:
    """A failure in our own words, 451; the caller says of which next hop."""
    return SessionFailedError(Reply(451, enhanced, (text,)), stage)
