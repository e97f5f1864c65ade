"""How a message came to us from Postfix: by which path, how large it was, whether it had come back.

All of it is in the first header: Received, which the smtpd(8) or pickup(8) of this host wrote last.
Only what the host's access(5) rules PREPEND stands before it.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from postconnector.delivery.content import Content
from postconnector.delivery.filtered_content import without_marker
from postconnector.delivery.header import HeaderTooLargeError
from postconnector.delivery.lmtp.transaction import Transaction
from postconnector.postfix.agent_path import way_of_lhlo

RETURN_HELO = "postconnector-return"
"""As which we greet the smtpd(8) to which we hand back."""

_CAME_BACK = f"Received: from {RETURN_HELO} (localhost [127.0.0.1])".encode()
_MOST_READ = 16 * 1024
_REST_OF_FIELD = rb"[^\n]*+\n(?:[ \t][^\n]*+\n)*+"
_UP_TO_RECEIVED = re.compile(
    rb"(?:(?!Received: )[!-9;-~]++[ \t]*+:" + _REST_OF_FIELD + rb")*+"
    rb"Received: (" + _REST_OF_FIELD + rb")"
)
_QUEUE_ID = re.compile(rb"[ \t]id ([0-9A-Za-z]{6,64})(?:;|\r?\n)")


@dataclass(frozen=True, slots=True)
class Received:
    """`on_agent_path`: FILTER led here, not the transport table; `way`: by which it goes back,
    empty for the usual one. `came_back`: we have handed it back already. `content` is without the
    header that led it to the agent path; `size` is in bytes, as the client sent it to Postfix,
    which is what limits are for. `forwarded`: see Envelope.
    """

    queue_id: str | None
    on_agent_path: bool
    came_back: bool
    content: Content
    size: int
    way: str = ""
    forwarded: Mapping[str, str] = field(default_factory=dict)


def received(transaction: Transaction) -> Received:
    """Find out."""
    way = way_of_lhlo(transaction.lhlo_name)
    on_agent_path = way is not None
    content: Content = transaction.content
    beginning = _beginning(content)
    came_back = beginning.startswith(_CAME_BACK)
    first = _UP_TO_RECEIVED.match(beginning)
    end = first.end() if first else 0
    if came_back and (second := _UP_TO_RECEIVED.match(beginning, end)):
        end = second.end()  # both times a Received was put before what the client had sent
    if on_agent_path:
        with suppress(HeaderTooLargeError):  # Postfix takes it, marked as it is
            content = without_marker(content)
    return Received(
        transaction.queue_id or (_queue_id(first[1]) if first else None),
        on_agent_path,
        came_back,
        content,
        content.size - end,
        way or "",
        transaction.forwarded,
    )


def _beginning(content: Content) -> bytes:
    found = bytearray()
    for chunk in content.chunks():
        found += chunk
        if len(found) >= _MOST_READ:
            break
    return bytes(found[:_MOST_READ])


def _queue_id(field: bytes) -> str | None:
    """What it says behind `id`: Postfix tells us none of mail by sendmail(1)."""
    found = _QUEUE_ID.search(field)
    return found[1].decode() if found else None
