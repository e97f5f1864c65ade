"""What a receiver keeps of a message: the envelope and the session, and the message untouched.

A file holds lines of `name: value`, an empty line and then the message.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.lab.loopback import wait_until


@dataclass(frozen=True)
class StoredMessage:
    """A message for one recipient.

    `sender`: "" for a bounce.
    `helo`, `client_address`: how the client greeted, and from where.
    `protocol`: SMTP, ESMTP, ESMTPS, ESMTPA or ESMTPSA (RFC 3848), in Exim's case UTF8SMTP… too.
    `tls`: the version, such as TLSv1.3; None without TLS.
    `login`: the user that the client logged in as.
    `content`: without any header of the receiver's; lines end in LF.
    """

    sender: str
    recipient: str
    helo: str
    client_address: str
    protocol: str
    tls: str | None
    login: str | None
    content: bytes


def read_stored(path: Path) -> tuple[dict[str, str], bytes]:
    """The lines before the message by their names, and the message."""
    head, _, message = path.read_bytes().partition(b"\n\n")
    lines = (line.partition(": ") for line in head.decode().split("\n"))
    return {name: value for name, _, value in lines}, message


Stored = TypeVar("Stored", bound=StoredMessage)


def wait_stored(received: Callable[[], list[Stored]], count: int, receiver: str) -> list[Stored]:
    """Wait until `received` returns so many messages."""

    def enough() -> list[Stored] | None:
        messages = received()
        return messages if len(messages) >= count else None

    return wait_until(enough, f"{count} messages at {receiver}")
