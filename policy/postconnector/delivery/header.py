"""The header of a message: where it ends, and what is in it. No I/O but reading the message.

Lines `Name:` or `Name :` with those below that begin with a blank, up to the first line that is
neither, as Postfix sees it (header_checks(5)). Lines end with LF, with or without CR before it.
Lines of mailboxes (`From `, `>From `) may stand before. Headers of parts and attached messages
are not looked at.
"""

import re
from collections.abc import Iterator

from postconnector.delivery.content import Content
from postconnector.delivery.reply import Reply
from postconnector.enforcement.message import Headers

LARGEST_HEADER = 1024**2
"""Bytes; Exchange's Receive connectors take a quarter of that (MaxHeaderSize)."""

NAME = rb"[!-9;-~]"
"""A byte of a header's name."""

_LINES = re.compile(rb"(?:(?:[ \t]|" + NAME + rb"++[ \t]*+:)[^\n]*+\n)*+")
_MAILBOX_LINES = re.compile(rb"(?:>*+From [^\n]*+\n)*+")
_FIELD = re.compile(rb"^(" + NAME + rb"++)[ \t]*+:([^\n]*+\n(?:[ \t][^\n]*+\n)*+)", re.MULTILINE)


class HeaderTooLargeError(Exception):
    """A header that can't be looked at whole never leaves; `reply` is for good (5xx).

    For good, because it is the message that is wrong, and would be every time.
    """

    reply = Reply(552, "5.3.4", (f"the message header is larger than {LARGEST_HEADER} bytes",))


def read_header(chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """All lines of the header, and what was read of what is behind it.

    Raises HeaderTooLargeError.
    """
    data, end = b"", 0
    for chunk in chunks:
        data += chunk
        end = _end_of_lines(data, end)
        decided = data.find(b"\n", end)
        if (decided if decided >= 0 else len(data)) > LARGEST_HEADER:
            raise HeaderTooLargeError
        if decided >= 0:
            return data[:end], data[end:]
    end = min(_end_of_lines(data + b"\n", end), len(data))
    return data[:end], data[end:]


def headers(content: Content) -> Headers:
    """Names and values, unfolded, in their order. Raises HeaderTooLargeError."""
    lines, _ = read_header(content.chunks())
    return tuple(
        (name.decode(), b" ".join(value.split()).decode("utf-8", "surrogateescape"))
        for name, value in _FIELD.findall(lines)
    )


def _end_of_lines(data: bytes, known: int) -> int:
    """Where the lines of the header end that are there as a whole; up to `known` they are."""
    mailbox = _MAILBOX_LINES.match(data)
    start = max(mailbox.end() if mailbox else 0, known)
    lines = _LINES.match(data, start)
    return lines.end() if lines else start
